"""The parameters of learning; reading a parameter file waits for no torch, which takes seconds to import."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from control.policies.picture import PictureParams
from control.policies.shipped import POLICY_FOLDER
from control.task.env import EnvParams
from control.task.episode_seeds import LARGEST_SEED
from control.task.rendered import RenderedParams
from datasets.common.config import Checked, Within
from datasets.common.errors import ConfigError

Head = Literal["flat", "keypoints", "votes"]
PROPORTIONAL = "proportional"
FUSED = "proportional_fused"
"""Names of the plain controllers, in results."""


@dataclass(frozen=True)
class AgentParams(Checked):
    """DDPG's settings; ``params/control.yaml`` and ``params/end_to_end_*.yaml`` give the values and the reasons.

    Attributes:
        steps: steps of the environment; each is followed by one update.
        learning_rate: for actor and critic; falls linearly to a twentieth, so that the last actors differ little.
        batch_size: transitions per update.
        buffer_size: transitions kept.
        warm_up: steps of uniformly random actions before the first update.
        actor_starts: updates of only the critic before the actor's first.
        tau: rate at which the target networks follow.
        gamma: discount per step.
        train_freq: steps of the environment per update.
        bottleneck_weight: :math:`c` of :class:`control.learning.ddpg.BottleneckDDPG`; only for actors that see images.
        hidden: width of the two hidden layers.
        noise: smallest and largest standard deviation of an episode's exploration.
        residual_gain: gain of the proportional controller that the actor corrects; 0: no such controller.
        residual_scale: largest correction, in largest displacements.
    """

    PART = "agent."

    steps: Annotated[int, Within(1)] = 5000
    learning_rate: Annotated[float, Within(0, above=True)] = 1e-3
    batch_size: Annotated[int, Within(1)] = 128
    buffer_size: Annotated[int, Within(1)] = 20_000
    warm_up: Annotated[int, Within(0)] = 200
    actor_starts: Annotated[int, Within(0)] = 0
    tau: Annotated[float, Within(0, 1, above=True)] = 0.05
    gamma: Annotated[float, Within(0, 1, below=True)] = 0.9
    hidden: Annotated[int, Within(1)] = 64
    noise: Annotated[tuple[float, float], Within(0, above=True, rising=True)] = (0.02, 0.3)
    train_freq: Annotated[int, Within(1)] = 1
    bottleneck_weight: Annotated[float, Within(0)] = 0.0
    residual_gain: Annotated[float, Within(0)] = 0.0
    residual_scale: Annotated[float, Within(0, above=True)] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_steps("steps", self.steps)

    def check_episodes(self, name: str, interval: int, horizon: int) -> None:
        """Refuse evaluations, every ``interval`` steps as the parameter ``name`` says, that episodes do not suit.

        Raises:
            ConfigError: an evaluation would fall within an episode of ``horizon`` steps or between two updates, or the
                warm-up ends before the first episode does.
        """
        if interval % horizon:
            raise ConfigError(f"{name} must be a whole number of episodes of {horizon} steps, got {interval}")
        if interval % self.train_freq:
            raise ConfigError(f"{name} must be a multiple of agent.train_freq, {self.train_freq}, got {interval}")
        if self.warm_up < horizon:
            raise ConfigError(f"agent.warm_up must be a whole episode, {horizon} steps, or more, got {self.warm_up}")

    def check_steps(self, name: str, steps: int) -> None:
        """Refuse a number of steps, given as the parameter ``name``, that is too small for any update of the actor.

        Raises:
            ConfigError: after ``steps`` steps the actor has never been updated.
        """
        if (steps - self.warm_up) // self.train_freq <= self.actor_starts:
            raise ConfigError(
                f"{name} must exceed warm_up by more than actor_starts updates of train_freq steps each, "
                f"or nothing is learnt; got {steps}"
            )


@dataclass(frozen=True)
class EvaluationParams(Checked):
    """Numbers of episodes on fixed seeds; the seeds of training, validation and test never overlap.

    Attributes:
        episodes: episodes of the test, through the estimator itself.
        validation_episodes: episodes of each evaluation while learning.
        tuning_episodes: episodes per gain of the proportional controllers.
        gains: gains that are tried for the proportional controllers.
        interval: steps between evaluations while learning; each evaluation saves a checkpoint.
        rooms: number of scenes in which the estimator's errors are measured.
        workers: number of processes that run episodes.
    """

    PART = "evaluation."

    episodes: Annotated[int, Within(1)] = 100
    validation_episodes: Annotated[int, Within(1)] = 20
    tuning_episodes: Annotated[int, Within(1)] = 40
    gains: Annotated[tuple[float, ...], Within(0, above=True)] = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0)
    interval: Annotated[int, Within(1)] = 1000
    rooms: Annotated[int, Within(1)] = 100
    workers: Annotated[int, Within(1)] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.gains:
            raise ConfigError("evaluation.gains is empty: name at least one gain")


@dataclass(frozen=True)
class ControlParams(Checked):
    """``params/control.yaml``; each value is explained there."""

    seed: Annotated[int, Within(0, LARGEST_SEED)] = 0
    env: EnvParams = field(default_factory=EnvParams)
    rooms: RenderedParams = field(default_factory=RenderedParams)
    agent: AgentParams = field(default_factory=AgentParams)
    true_state_steps: Annotated[int, Within(1)] = 3000
    evaluation: EvaluationParams = field(default_factory=EvaluationParams)
    policy: str = str(POLICY_FOLDER)
    results: str = "results/control"
    runs: str = "runs/control"
    kind: Literal["pretrained"] = "pretrained"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.agent.check_episodes("evaluation.interval", self.evaluation.interval, self.env.horizon)
        self.agent.check_steps("true_state_steps", self.true_state_steps)


@dataclass(frozen=True)
class EndToEndParams(Checked):
    """``params/end_to_end_*.yaml``; each value is explained there."""

    kind: Literal["end_to_end"]
    policy: str
    results: str
    seed: Annotated[int, Within(0, LARGEST_SEED)] = 0
    env: EnvParams = field(default_factory=EnvParams)
    frames: str = "params/frames.yaml"
    train_split: str = "nominal"
    test_split: str = "nominal"
    picture: PictureParams = field(default_factory=PictureParams)
    head: Head = "keypoints"
    points: Annotated[int, Within(1)] = 32
    shift_px: Annotated[int, Within(0)] = 4
    sigma_m: Annotated[float, Within(0, unit="m", above=True)] = 0.006
    learning_horizon: Annotated[int, Within(1)] = 15
    bf16: bool = True
    hindsight: Annotated[int, Within(0)] = 1
    agent: AgentParams = field(default_factory=AgentParams)
    interval: Annotated[int, Within(1)] = 6000
    validation_episodes: Annotated[int, Within(1)] = 20
    episodes: Annotated[int, Within(1)] = 100
    runs: str = "runs/end_to_end"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.agent.check_episodes("interval", self.interval, self.learning_horizon)
        if self.head == "votes" and not self.picture.depth:
            raise ConfigError("head: votes needs picture.depth, whose points vote")
