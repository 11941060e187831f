"""The inputs of actor and critic: selected keys of the observation, scaled, relative to the goal."""

import torch as th
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from control.policies.features import COMMAND, DELAY, ESTIMATE, REST, SIGMA, SIZE, SPREAD
from control.task.env import STATE_SIZE

FAR_M = 0.1
"""Typical distance while reaching, m: errors are divided by it."""
NEAR_M = 0.01
"""Typical distance while settling, m: errors also enter as tanh(error / NEAR_M), so that a millimetre counts."""
CENTRE_M = (0.4, 0.0, 0.25)
"""Middle of the usual workspace, m; absolute positions enter relative to it."""
STEP_M = 0.025
DELAY_S = 0.2

Observation = dict[str, th.Tensor]


class ActorExtractor(BaseFeaturesExtractor):
    """Reads only ``observation`` and ``desired_goal``, which follow from a camera. Features ``(B, 21)``."""

    KEYS = ("observation", "desired_goal")

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, features_dim=SIZE + 5)
        self.centre: th.Tensor
        self.register_buffer("centre", th.tensor(CENTRE_M), persistent=False)

    def forward(self, observations: Observation) -> th.Tensor:
        """Scaled features of a batch."""
        seen, goal = observations["observation"], observations["desired_goal"]
        to_go = goal - seen[:, REST]
        return th.cat(
            [
                to_go / FAR_M,
                th.tanh(to_go / NEAR_M),
                (seen[:, ESTIMATE] - seen[:, REST]) / FAR_M,
                seen[:, SIGMA] / NEAR_M,
                seen[:, SPREAD] / NEAR_M,
                seen[:, COMMAND] / STEP_M,
                (seen[:, REST] - self.centre) / FAR_M,
            ],
            dim=1,
        )


class StateExtractor(BaseFeaturesExtractor):
    """Reads what a camera cannot show: true TCP, target, velocity and the camera's delay. Features ``(B, 16)``."""

    KEYS = ("desired_goal", "achieved_goal", "state")

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, features_dim=6 + STATE_SIZE)

    def forward(self, observations: Observation) -> th.Tensor:
        """Scaled features of a batch."""
        to_go = observations["desired_goal"] - observations["achieved_goal"]
        target, velocity, error, delay = th.split(observations["state"], [3, 3, 3, 1], dim=1)
        parts = [to_go / FAR_M, th.tanh(to_go / NEAR_M), target / STEP_M, velocity / FAR_M, error / NEAR_M]
        return th.cat([*parts, delay / DELAY_S], dim=1)


class CriticExtractor(BaseFeaturesExtractor):
    """Reads the true state, and the actor's inputs, on which its next actions depend. Features ``(B, 38)``."""

    KEYS = (*ActorExtractor.KEYS, "achieved_goal", "state")

    def __init__(self, observation_space: spaces.Dict) -> None:
        seen, state = ActorExtractor(observation_space), StateExtractor(observation_space)
        super().__init__(observation_space, features_dim=seen.features_dim + state.features_dim + 1)
        self.seen, self.state = seen, state

    def forward(self, observations: Observation) -> th.Tensor:
        """Scaled features of a batch."""
        delay = observations["observation"][:, DELAY] / DELAY_S
        return th.cat([self.seen(observations), self.state(observations), delay], dim=1)
