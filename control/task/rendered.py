"""The estimator itself as the policy's source of positions: a scene per episode, drawn and looked at twice per step."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from control.task.sources import ErrorModel, PositionSource
from datasets.arm.kinematics import Kinematics
from datasets.common.config import load_params
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.projection import Array, Window
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import Randomization
from datasets.scene.scene import SceneSampler
from perception.estimator.estimate import PositionEstimate
from perception.estimator.estimator import MODEL_FOLDER, Photograph, PositionEstimator

_SURE_STEP_M = 0.05
"""Length, m, of a motion that three iterations follow to within a tenth of a millimetre; episodes make shorter ones."""


@dataclass(frozen=True)
class RenderedParams:
    """Which scenes are drawn, and which networks look at them.

    Attributes:
        estimator: folder of the networks.
        frames: parameter file of the splits.
        split: split whose randomization of camera, appearance and depth noise the scenes follow; the seeds are those of
            the episodes.
    """

    estimator: str = str(MODEL_FOLDER)
    frames: str = "params/frames.yaml"
    split: str = "nominal"


class EpisodeScenes:
    """Scenes drawn from seeds and photographed with the arm at the episode's present place.

    The gripper points straight down at home's yaw, as the controller holds it in Cartesian motion; everything else of
    the scene, with the camera's own error, stays as drawn. The depth sensor's noise is new in every picture.

    :param change: change to the split's randomization, for scenes that differ from all training scenes

    Raises (on construction):
        ConfigError: the file has no split of that name.
    """

    def __init__(
        self, frames: str, split: str, rig: Rig, change: Callable[[Randomization], Randomization] | None = None
    ) -> None:
        randomization = SplitPlan.of(load_params(frames, FramesParams), split, rig).randomization
        if change is not None:
            randomization = change(randomization)
        self._sampler = SceneSampler(rig, randomization)
        self._photographer = Photographer(rig, randomization.arm)
        self._kinematics = Kinematics(rig.tool.tcp_offset_m)
        self._home = np.array(rig.home_joints_rad)
        self.draw(0)

    def draw(self, seed: int) -> None:
        """Draw a scene and its camera error, with the arm at home."""
        self.scene = replace(self._sampler.sample(seed), joints_rad=self._home)
        self._pictures = 0

    def redraw(self, seed: int) -> None:
        """Draw another scene around the arm where it is."""
        self.scene = replace(self._sampler.sample(seed), joints_rad=self.scene.joints_rad, tcp=self.scene.tcp)

    def camera(self, tcp: Array) -> Photograph:
        """Returns a function that takes pictures of the arm with its TCP at ``tcp`` ``(3,)`` m."""
        self.place_arm(tcp)
        self._pictures += 1
        return partial(self._photographer.photograph, self.scene, noise_seed=self._pictures)

    def colour(self, tcp: Array, window: Window, size_px: int) -> NDArray[np.uint8]:
        """The ``rgb (S, S, 3)`` of a picture by :meth:`camera`, without the time that depth takes."""
        self.place_arm(tcp)
        self._pictures += 1
        return self._photographer.photograph_colour(self.scene, window, size_px, self._pictures)

    def close(self) -> None:
        """Free the GL context."""
        self._photographer.close()

    def place_arm(self, tcp: Array) -> None:
        """Move the arm to ``tcp`` on a straight line, as the controller would: the posture follows from the way."""
        joints = self.scene.joints_rad
        way = tcp - self._kinematics.tcp(joints)
        steps = max(1, math.ceil(float(np.linalg.norm(way)) / _SURE_STEP_M))
        for left in np.arange(steps - 1, -1, -1) / steps:
            joints = self._kinematics.step(joints, tcp - left * way, iterations=3)
        self.scene = replace(self.scene, joints_rad=joints, tcp=self._kinematics.tcp(joints))


class RenderedSource:
    """Renders the two windows that the estimator requests, and returns its estimate.

    Raises (on construction):
        ModelError: the networks are missing or made for another rig.
        ConfigError: the file has no split of that name.
    """

    def __init__(self, params: RenderedParams, rig: Rig) -> None:
        self._estimator = PositionEstimator.load(Path(params.estimator), rig)
        self._scenes = EpisodeScenes(params.frames, params.split, rig)

    def reset(self, seed: int) -> None:
        """Draw a scene with its camera error."""
        self._scenes.draw(seed)

    def estimate(self, tcp: Array) -> PositionEstimate:
        """Estimates the position by two looks at the arm with its TCP at ``tcp`` ``(3,)`` m."""
        photograph = self._scenes.camera(tcp)
        scene = self._scenes.scene
        return self._estimator.locate(photograph, scene.t_base_camera_told, scene.intrinsics).fovea

    def close(self) -> None:
        """Free the GL context."""
        self._scenes.close()


def fit_error_model(
    source: PositionSource, places: Array, seed: int, step_m: float = 0.05, progress: Callable[[], object] = int
) -> ErrorModel:
    r"""Measure an :class:`ErrorModel` of the estimator, with four looks in each of ``len(places)`` scenes.

    In every scene the TCP is put twice at one place, then ``step_m`` beside it, then at the next scene's place. With
    the errors :math:`e_1, e_2` (same place), :math:`e_3` (near) and :math:`e_4` (far), per axis:

    .. math::

        n^2 = \tfrac12 \overline{(e_1 - e_2)^2}, \quad b^2 = \overline{e_1 e_4}, \quad
        f^2 = \overline{e^2} - b^2 - n^2, \quad \overline{e_1 e_3} = b^2 + f^2 e^{-step^2 / 2 \ell^2}

    Errors are clipped at 5 times their median length, so that single failures are not mistaken for noise.
    """
    rng = np.random.default_rng(seed)
    errors, sigmas = [], []
    for number, place in enumerate(places):
        source.reset(seed + number)
        direction = rng.standard_normal(3)
        near = place + step_m * direction / np.linalg.norm(direction)
        estimates = [(source.estimate(tcp), tcp) for tcp in (place, place, near, places[number - 1])]
        errors.append([estimate.xyz - tcp for estimate, tcp in estimates])
        progress()
        sigmas.append([np.linalg.norm(estimate.sigma) for estimate, _ in estimates])
    error = np.array(errors)
    limit = 5 * np.median(np.linalg.norm(error, axis=-1))
    error = np.clip(error, -limit, limit)
    noise = np.mean((error[:, 0] - error[:, 1]) ** 2, axis=0) / 2
    total = np.mean(error**2, axis=(0, 1))
    bias = np.clip(np.mean(error[:, 0] * error[:, 3], axis=0), 0, np.maximum(total - noise, 0))
    field = np.maximum(total - noise - bias, 0)
    near_share = np.mean(error[:, 0] * error[:, 2] - bias) / max(float(np.mean(field)), 1e-12)
    length = step_m / np.sqrt(-2 * np.log(np.clip(near_share, 0.05, 0.95)))

    severity = float(np.std(np.log(np.mean(sigmas, axis=1))))

    def axes(variance: Array) -> tuple[float, float, float]:
        # The measured values include the episodes' difficulties, whose mean square is exp(2 severity^2).
        x, y, z = (round(float(value), 6) for value in np.sqrt(variance) / np.exp(severity**2))
        return x, y, z

    return ErrorModel(axes(bias), axes(field), axes(noise), round(float(length), 4), round(severity, 3))
