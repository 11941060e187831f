r"""DDPG of Stable-Baselines3, with a position bottleneck in the actor and a head start for the critic."""

from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3 import DDPG
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import polyak_update
from torch.nn.functional import mse_loss

from control.learning.locators import PictureLocator
from control.policies.features import ESTIMATE, REST

POSITION_SCALE_M = 0.1
"""The bottleneck's loss is in units of 0.1 m, so that it is of the order of the critic's values."""
POSITION_KEY = "seen_tcp"
"""Key of the TCP's position in the picture, which is what even a late picture can show."""


class BottleneckDDPG(DDPG):
    r"""DDPG whose actor finds its position in a picture, and is also trained on where that position truly was.

    The actor's locator :math:`f` narrows a picture to a position :math:`\hat s_t = f(o_t)`; commands and earlier
    positions are fused with it into the rest point :math:`\hat x_t`, from which the action follows
    (:mod:`control.policies.delay_fusion`). With the position :math:`s_t` in the picture,

    .. math::

        L_a = -\mathbb E\big[Q(s, \pi(\hat x_t + f(o_t) - \hat s_t))\big]
            + c\, \mathbb E\big[\lVert f(o_t) - s_t \rVert^2 / 3\big]

    so that the locator receives :math:`\nabla L_f = \nabla L_{RL} + c\, \nabla \mathrm{MSE}(s, \hat s)`, as the
    original project trained it. The gradient does not pass through the fusion: :math:`\hat x_t - \hat s_t` is what the
    fusion gave when the picture was taken, with the weights of that time, and is held fixed. The RL gradient asks which
    position *in the newest picture* would have led to a better action, with the commanded motion since then unchanged;
    it ignores that the same weights also placed the earlier pictures of the episode. The target actor acts on the rest
    point as it was fused. Positions are in units of 0.1 m. Without a locator and with ``actor_starts`` 0 this class
    equals :class:`stable_baselines3.DDPG`, step by step.

    :param bottleneck_weight: :math:`c`
    :param actor_starts: number of updates of only the critic before the actor's first. A residual actor is good from
        the start, and an untrained critic would only make it worse; a locator learns its positions meanwhile
    :param gradient_log_interval: updates between two logs of both gradients' norms in the extractor

    The other parameters are those of :class:`stable_baselines3.DDPG`.
    """

    def __init__(
        self,
        *args: Any,
        bottleneck_weight: float = 0.0,
        actor_starts: int = 0,
        gradient_log_interval: int = 100,
        **kwargs: Any,
    ):
        self.bottleneck_weight = bottleneck_weight
        self.actor_starts = actor_starts
        self.gradient_log_interval = gradient_log_interval
        super().__init__(*args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update critic, actor and their targets; ``TD3.train`` without the parts that DDPG does not use."""
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer])
        actor_losses, critic_losses = [], []
        for _ in range(gradient_steps):
            self._n_updates += 1
            assert self.replay_buffer is not None
            data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            with th.no_grad():
                next_actions = self.actor_target(data.next_observations).clamp(-1, 1)
                next_q = th.cat(self.critic_target(data.next_observations, next_actions), dim=1).min(
                    dim=1, keepdim=True
                )
                target_q = data.rewards + (1 - data.dones) * self.gamma * next_q.values
            current_q = self.critic(data.observations, data.actions)
            critic_loss = th.stack([mse_loss(q, target_q) for q in current_q]).sum()
            critic_losses.append(critic_loss.item())
            self.critic.optimizer.zero_grad()
            critic_loss.backward()
            self.critic.optimizer.step()

            learns = self._n_updates > self.actor_starts
            if learns or self.locator is not None:
                actor_losses.append(self._update_actor(data.observations, learns))
            polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
            polyak_update(self.actor.parameters(), self.actor_target.parameters(), self.tau)
            polyak_update(self.critic_batch_norm_stats, self.critic_batch_norm_stats_target, 1.0)
            polyak_update(self.actor_batch_norm_stats, self.actor_batch_norm_stats_target, 1.0)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/critic_loss", np.mean(critic_losses))
        if actor_losses:
            self.logger.record("train/actor_loss", np.mean(actor_losses))

    @property
    def locator(self) -> PictureLocator | None:
        """The part of the actor before its bottleneck; None if the actor sees no pictures."""
        locator = getattr(self.actor, "locator", None)
        assert locator is None or isinstance(locator, PictureLocator)
        return locator

    def locate(self, image: NDArray[np.uint8], camera: NDArray[np.float32]) -> NDArray[np.float64]:
        """The bottleneck's position ``(3,)`` m for one picture; the environment calls this."""
        assert self.locator is not None
        with th.no_grad():
            position = self.locator.eval()(th.as_tensor(image[None]), th.as_tensor(camera[None]))
        return position[0].numpy().astype(np.float64)

    def _update_actor(self, observations: Any, learns: bool) -> float:
        """One update of the actor, or of only its locator while the actor does not yet learn to act."""
        self.actor.optimizer.zero_grad()
        if self.locator is None:
            rl_loss = -self.critic.q1_forward(observations, self.actor(observations)).mean()
            rl_loss.backward()
        else:
            position = self.locator(observations["image"], observations["camera"])
            truth = observations[POSITION_KEY] / POSITION_SCALE_M
            position_loss = self.bottleneck_weight * mse_loss(position / POSITION_SCALE_M, truth)
            rl_loss = position_loss.new_zeros(())
            if learns:
                rl_loss = -self.critic.q1_forward(observations, self.actor(relocated(observations, position))).mean()
                if self._n_updates % self.gradient_log_interval == 0:
                    self._log_gradients(rl_loss, position_loss)
            (rl_loss + position_loss).backward()
            self.logger.record("train/position_loss", position_loss.item())
        self.actor.optimizer.step()
        return rl_loss.item()

    def _log_gradients(self, rl_loss: th.Tensor, position_loss: th.Tensor) -> None:
        assert self.locator is not None
        weights = list(self.locator.parameters())
        for name, loss in (("rl", rl_loss), ("position", position_loss)):
            gradients = th.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
            squares = [gradient.square().sum() for gradient in gradients if gradient is not None]
            self.logger.record(f"train/locator_gradient_{name}", th.stack(squares).sum().sqrt().item())


def relocated(observations: dict[str, th.Tensor], position: th.Tensor) -> dict[str, th.Tensor]:
    """The actor's observations if the newest picture's position ``(B, 3)`` m differs from when it was taken."""
    seen = observations["observation"]
    rest = seen[:, REST] + position - seen[:, ESTIMATE]
    return {
        "observation": th.cat([rest, position, seen[:, ESTIMATE.stop :]], dim=1),
        "desired_goal": observations["desired_goal"],
    }


class EpisodeNoise(NormalActionNoise):
    """Gaussian exploration whose size is drawn anew for each episode, log-uniformly.

    Under constant noise the arm never rests at the goal, so the critic cannot learn the value of settling; here some of
    the episodes are nearly free of noise.

    :param size: number of action components
    :param low: smallest standard deviation
    :param high: largest standard deviation
    """

    def __init__(self, size: int, low: float, high: float):
        super().__init__(np.zeros(size), np.full(size, high))
        self._range = np.log([low, high])
        self.reset()

    def reset(self) -> None:
        """Draw the next episode's standard deviation."""
        self._sigma = np.full_like(self._sigma, np.exp(np.random.uniform(*self._range)))  # noqa: NPY002  (SB3 seeds it)
