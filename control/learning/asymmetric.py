r"""An actor that sees what the camera shows, and a critic that sees the true state, in Stable-Baselines3's TD3 family.

Pinto, Andrychowicz, Welinder, Zaremba, Abbeel, "Asymmetric Actor Critic for Image-Based Robot Learning", 2017
(arXiv 1710.06542). With the observation :math:`o`, the true state :math:`s` and the goal :math:`g`, DDPG minimizes

.. math::

    L_c &= \mathbb E\big[\big(Q(s_t, g, a_t) - r_t - \gamma\, Q'(s_{t+1}, g, \pi'(o_{t+1}, g))\big)^2\big] \\
    L_a &= -\mathbb E\big[Q(s_t, g, \pi(o_t, g))\big]

The critic is needed in training only, so the privileged state never reaches the arm.

The actor may be a correction to a proportional controller (residual policy learning: Silver et al., arXiv 1812.06298;
Johannink et al., arXiv 1812.03201):

.. math::

    \pi(o, g) = \operatorname{limit}_1\big(\kappa e + \rho \min(1, \lVert \kappa e \rVert) \tanh f(o, g)\big),
    \qquad e = g - \hat x

where :math:`\hat x` is the fused position, :math:`\operatorname{limit}_1` shortens to length 1 (the largest
displacement), and :math:`f` starts at zero: the actor already reaches goals before its first update. Far away the
length is fixed and the direction is nearly that of :math:`e`; the correction shapes the arrival. At the goal it fades,
so that :math:`e = 0` stays a fixed point: a network's output is nowhere exactly zero, and the rest of it at the goal
would be an error too small for a critic to see (1 mm changes :math:`Q` by less than its own fitting error).
"""

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.td3.policies import Actor, TD3Policy
from torch import nn

from control.learning.locators import PictureLocator
from control.policies.features import REST


class ResidualActor(Actor):
    """An actor whose network corrects a proportional controller.

    :param gain: the proportional controller's gain, in displacements of the largest size per metre; 0: the network
        acts without a controller
    :param residual_scale: the largest correction, in units of the largest displacement
    """

    def __init__(self, *args: Any, gain: float, residual_scale: float, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.gain = gain
        self.residual_scale = residual_scale
        if gain > 0:
            output = self.mu[-2]
            assert isinstance(output, nn.Linear)
            nn.init.zeros_(output.weight)
            nn.init.zeros_(output.bias)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {"gain": self.gain, "residual_scale": self.residual_scale}

    def forward(self, obs: dict[str, th.Tensor]) -> th.Tensor:  # type: ignore[override]  # SB3 types tensors alone
        """Normalised actions ``(B, 3)``."""
        wanted = self.gain * (obs["desired_goal"] - obs["observation"][:, REST])
        length = wanted.norm(dim=1, keepdim=True)
        correction = self.residual_scale * length.clamp(max=1.0) * super().forward(obs)  # type: ignore[arg-type]  # as above
        total = wanted + correction
        return total / total.norm(dim=1, keepdim=True).clamp(min=1.0)


class AsymmetricCritic(ContinuousCritic):
    """A critic that skips the observations its extractor does not read (``KEYS``): scaling pictures costs time."""

    def extract_features(self, obs: Any, features_extractor: BaseFeaturesExtractor) -> th.Tensor:
        """Features of the extractor's own keys."""
        keys = getattr(features_extractor, "KEYS", None)
        return super().extract_features(obs if keys is None else {key: obs[key] for key in keys}, features_extractor)


class AsymmetricPolicy(TD3Policy):
    """TD3/DDPG policy whose critic extracts its features from other observation keys than its actor.

    Observation keys are selected inside the extractors; the policy's observation space stays complete.

    :param critic_features_extractor_class: extractor of the critic and of its target; the actor's is
        ``features_extractor_class``
    :param critic_features_extractor_kwargs: keyword arguments of the critic's extractor
    :param gain: see :class:`ResidualActor`; 0 makes it the plain actor of DDPG
    :param residual_scale: see :class:`ResidualActor`
    :param locator_kwargs: keyword arguments of the :class:`control.learning.locators.PictureLocator` before the actor's
        bottleneck; None: the actor sees no pictures

    The other parameters are those of :class:`stable_baselines3.td3.policies.TD3Policy`.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        features_extractor_class: type[BaseFeaturesExtractor] = FlattenExtractor,
        features_extractor_kwargs: dict[str, Any] | None = None,
        normalize_images: bool = True,
        optimizer_class: type[th.optim.Optimizer] = th.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
        n_critics: int = 2,
        share_features_extractor: bool = False,
        critic_features_extractor_class: type[BaseFeaturesExtractor] = FlattenExtractor,
        critic_features_extractor_kwargs: dict[str, Any] | None = None,
        gain: float = 0.0,
        residual_scale: float = 1.0,
        locator_kwargs: dict[str, Any] | None = None,
    ):
        if share_features_extractor:
            raise ValueError(
                "actor and critic of an asymmetric policy see different things: they cannot share features"
            )
        self.critic_features_extractor_class = critic_features_extractor_class
        self.critic_features_extractor_kwargs = critic_features_extractor_kwargs or {}
        self.gain = gain
        self.residual_scale = residual_scale
        self.locator_kwargs = locator_kwargs
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch,
            activation_fn,
            features_extractor_class,
            features_extractor_kwargs,
            normalize_images,
            optimizer_class,
            optimizer_kwargs,
            n_critics,
            share_features_extractor,
        )

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> Actor:
        """Actor or target actor; a residual actor if a gain is given."""
        kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        residual = {"gain": self.gain, "residual_scale": self.residual_scale}
        actor = ResidualActor(**kwargs, **residual) if self.gain > 0 else Actor(**kwargs)
        if self.locator_kwargs is not None:
            actor.locator = PictureLocator(self.observation_space, **self.locator_kwargs)
        return actor.to(self.device)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Critic or target critic, with its own extractor."""
        if features_extractor is None:
            features_extractor = self.critic_features_extractor_class(
                self.observation_space, **self.critic_features_extractor_kwargs
            )
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return AsymmetricCritic(**kwargs).to(self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {
            "critic_features_extractor_class": self.critic_features_extractor_class,
            "critic_features_extractor_kwargs": self.critic_features_extractor_kwargs,
            "gain": self.gain,
            "residual_scale": self.residual_scale,
            "locator_kwargs": self.locator_kwargs,
        }
