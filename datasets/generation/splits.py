"""Which frames are drawn (``params/frames.yaml``): the splits, their sizes, seeds and what is randomized in them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Annotated, Any

import numpy as np

from datasets.arm.model import ArmName
from datasets.arm.tools import tool_digest
from datasets.common.code_digest import fingerprint
from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError
from datasets.rig.rig import RIG_PATH, Rig
from datasets.scene.randomization import CameraRandomization, DepthErrorRandomization, Randomization, Range
from datasets.store.store import LookName

JITTER_TIMES: dict[LookName, float] = {"fovea": 1.0, "base": 2.0, "parafovea": 4.0}
"""Factor on the fovea's jitter. The look at the base begins where a camera that may have been knocked is expected to
see it; the parafovea begins where the glance places a tool that it cannot distinguish from the rest of the arm."""
ASTRAY_M = (0.14, 0.35)
"""Distances from the flange, m, between which the parts of wrist and forearm lie that look like it."""


@dataclass(frozen=True)
class WindowJitter(Checked):
    """How far a training window lies from the TCP's true pixel; it imitates the error of the glance's estimate.

    A mixture of two Gaussians: most windows miss by ``sigma_m`` per axis, ``tail_share`` of them by ``tail_sigma_m``.
    Of the fovea's windows the share ``astray_share`` lies ``ASTRAY_M`` away, as if an earlier look had taken another
    part of the arm for the tool. There is nothing to find there, and the network learns to say so.
    """

    PART = "window_jitter."

    sigma_m: Annotated[float, Within(0, unit="m")] = 0.008
    tail_sigma_m: Annotated[float, Within(0, unit="m")] = 0.025
    tail_share: Annotated[float, Within(0, 1)] = 0.15
    astray_share: Annotated[float, Within(0, 1)] = 0.0

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Displacement ``(2,)`` m across the view, at the TCP's distance."""
        sigma = self.tail_sigma_m if rng.random() < self.tail_share else self.sigma_m
        return rng.normal(0.0, sigma, 2)

    def as_plain(self) -> dict[str, float]:
        """The values by name, without those that are not used, so that frames drawn before these existed still fit."""
        values = asdict(self)
        if not self.astray_share:
            del values["astray_share"]
        return values

    def astray(self, rng: np.random.Generator) -> np.ndarray | None:
        """Displacement ``(2,)`` m of a window that lies on another part of the arm; None for most."""
        if rng.random() >= self.astray_share:
            return None
        angle = rng.uniform(-np.pi, np.pi)
        return rng.uniform(*ASTRAY_M) * np.array([np.cos(angle), np.sin(angle)])


@dataclass(frozen=True)
class SplitParams(Checked):
    """One split.

    Attributes:
        frames: number of frames.
        seed: seed of the split; frame i has the scene seed ``SeedSequence([seed, i])``.
        camera: where the camera stands, and the pose that the estimator is given.
        arm: the arm model that is drawn.
        looks: which images are kept; even with none, labels and seeds remain, from which images can be drawn.
        depth_noise: range of the depth sensor's noise level, when not the shared one.
        depth_waves_px: height of the depth sensor's slow waves, when not the shared one.
        depth_error: error of the depth camera itself, when not the shared one.
        occluder: share of scenes with a bar between camera and arm, when not the shared one.
    """

    frames: Annotated[int, Within(0)]
    seed: Annotated[int, Within(0)]
    camera: CameraRandomization
    arm: ArmName = "own"
    looks: tuple[LookName, ...] = ("glance", "fovea")
    depth_noise: Annotated[Range, Within(0, rising=True)] | None = None
    depth_waves_px: Annotated[Range, Within(0, 2, "px", rising=True)] | None = None
    depth_error: DepthErrorRandomization | None = None
    occluder: Annotated[float, Within(0, 1)] | None = None


@dataclass(frozen=True)
class FramesParams(Checked):
    """All splits, and the randomization they share.

    Attributes:
        splits: by name; each becomes a group of the store.
        randomization: shared by all; ``arm`` and ``camera`` are each split's own.
        window_jitter: of the fovea's windows.
        shard_frames: frames in a file, the unit of work and of what a killed worker loses. = 250
        rig: the rig file: which tool is mounted, where its TCP may be.
    """

    splits: dict[str, SplitParams]
    randomization: Randomization = field(default_factory=Randomization)
    window_jitter: WindowJitter = field(default_factory=WindowJitter)
    shard_frames: Annotated[int, Within(1, 10_000)] = 250
    rig: str = str(RIG_PATH)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.splits:
            raise ConfigError("splits is empty: name at least one split to draw")
        by_seed: dict[int, str] = {}
        for name, split in self.splits.items():
            if (other := by_seed.setdefault(split.seed, name)) != name:
                raise ConfigError(
                    f"splits.{name}.seed is that of {other}, {split.seed}: both would show the same scenes; "
                    "give each a seed of its own"
                )


@dataclass(frozen=True)
class SplitPlan:
    """Everything that decides the bytes of one split, besides the program itself."""

    name: str
    frames: int
    seed: int
    looks: tuple[LookName, ...]
    rig: Rig
    randomization: Randomization
    window_jitter: WindowJitter
    shard_frames: int

    @classmethod
    def of(cls, params: FramesParams, name: str, rig: Rig) -> "SplitPlan":
        """The plan of one split.

        Raises:
            ConfigError: the file has no split of that name.
        """
        if name not in params.splits:
            raise ConfigError(f"unknown split {name!r}; the parameter file has {', '.join(params.splits)}")
        split = params.splits[name]
        look = params.randomization.look
        randomization = replace(
            params.randomization,
            arm=split.arm,
            camera=split.camera,
            depth_noise=split.depth_noise or params.randomization.depth_noise,
            depth_waves_px=split.depth_waves_px or params.randomization.depth_waves_px,
            depth_error=split.depth_error or params.randomization.depth_error,
            look=look if split.occluder is None else replace(look, occluder=split.occluder),
        )
        return cls(
            name, split.frames, split.seed, split.looks, rig, randomization, params.window_jitter, params.shard_frames
        )

    def scene_seed(self, index: int) -> int:
        """Seed of frame ``index``, the same for every worker."""
        return int(np.random.SeedSequence([self.seed, index]).generate_state(1, np.uint64)[0])

    def description(self) -> Mapping[str, Any]:
        """The plan as plain values: the attributes of the split's group."""
        values = asdict(self)
        del values["name"]
        jitter = self.window_jitter.as_plain()
        randomization = self.randomization.as_plain()
        return {**values, "rig": self.rig.to_json(), "randomization": randomization, "window_jitter": jitter}


@cache
def scenes_digest(frames: str, split: str, rig: Rig) -> str:
    """Twelve hexadecimal digits of how ``split`` of the parameter file ``frames`` randomizes scenes, and of the tool.

    Raises:
        ConfigError: as :func:`datasets.common.config.load_params`; or the split is missing.
    """
    plan = SplitPlan.of(load_params(frames, FramesParams), split, rig)
    return fingerprint([plan.randomization.as_plain(), tool_digest(rig.tool)])
