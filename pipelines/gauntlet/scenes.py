"""The gaps in what the camera sees: scenes and pictures that differ from the nominal ones."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from control.task.rendered import EpisodeScenes, RenderedParams
from datasets.rig.projection import Array, Intrinsics, Window
from datasets.rig.rig import Rig
from datasets.scene.depth_sensor import warp_of_size
from datasets.scene.photographer import Picture
from datasets.scene.randomization import CameraRandomization
from datasets.scene.scene import sample_camera
from perception.estimator.estimate import PositionEstimate
from perception.estimator.estimator import Photograph
from pipelines.gauntlet.depth_calibration import DepthCorrection
from pipelines.gauntlet.gaps import Gap, changed

HOLE_CELL_PX = 8
HOLE_SPREAD_CELLS = 1.5
"""Smoothing of the noise, in cells; holes are where it is low: patches of about 25 px of the native image."""
BAR_RADIUS_M, BAR_HALF_LENGTH_M = 0.04, 0.25
"""Size of the passing bar, m: that of a forearm."""
BAR_SPEED_M_S = 0.2
BAR_CROSSES_S = (0.5, 4.5)
"""When the bar is in front of the home position, s: within the 5 s of an episode."""

Look = Callable[[Photograph, Array, Intrinsics], PositionEstimate]


class GapScenes(EpisodeScenes):
    """Scenes with a gap, which changes what :class:`datasets.scene.scene.SceneSampler` cannot draw by itself.

    The camera is moved afterwards by its own random stream, so that a seed gives the same scene in every gap.
    """

    def __init__(self, params: RenderedParams, gap: Gap, rig: Rig) -> None:
        self._gap = gap
        self._rig = rig
        self._camera = changed(CameraRandomization(), gap.camera, "camera") if gap.camera else None
        self._home_tcp: Array = np.zeros(3)
        super().__init__(params.frames, params.split, rig, gap.randomization)
        self._home_tcp = self._kinematics.tcp(rig.home_joints_rad)

    @property
    def intrinsics_told(self) -> Intrinsics:
        """The camera's intrinsics as given to the estimator."""
        return self._rig.camera if self._gap.focal_fraction else self.scene.intrinsics

    def draw(self, seed: int) -> None:
        """Draw a scene with its camera error; the arm stands at home."""
        super().draw(seed)
        self._rng = np.random.default_rng([seed, 2])
        if self._camera is not None:
            pose, told, intrinsics = sample_camera(self._rng, self._rig, self._camera, self.scene.tcp)
            self.scene = replace(self.scene, t_base_camera=pose, t_base_camera_told=told, intrinsics=intrinsics)
        if self._gap.focal_fraction:
            k, factor = self._rig.camera, 1 + self._gap.focal_fraction * float(self._rng.choice([-1, 1]))
            true = Intrinsics(k.width, k.height, k.fx * factor, k.fy * factor, k.cx, k.cy)
            self.scene = replace(self.scene, intrinsics=true)
        error = self.scene.depth_error
        if self._gap.depth_scale_fraction:
            error = replace(error, scale=self._gap.depth_scale_fraction * float(self._rng.choice([-1, 1])))
        if self._gap.depth_warp_m:
            error = replace(error, warp_m=warp_of_size(self._rng, self._gap.depth_warp_m, self.scene.intrinsics))
        self.scene = replace(self.scene, depth_error=error)
        if self._gap.depth_calibrated:
            told = self.scene.t_base_camera_told
            self._correction = DepthCorrection(error, told, self.intrinsics_told, self._rig.workspace, self._rng)
        if self._gap.passing_bar:
            self._side, self.crosses_s = float(self._rng.choice([-1, 1])), float(self._rng.uniform(*BAR_CROSSES_S))

    def camera(self, tcp: Array) -> Photograph:
        """A function that takes pictures of the arm with its TCP at ``tcp`` ``(3,)`` m."""
        if self._gap.passing_bar:
            self._move_bar()
        photograph = super().camera(tcp)
        if self._gap.depth_holes:
            photograph = partial(self._torn, photograph, self._holes())
        if self._gap.depth_calibrated:
            photograph = partial(_corrected, photograph, self._correction)
        return photograph

    def _torn(self, photograph: Photograph, holes: np.ndarray, window: Window, size_px: int) -> Picture:
        rgb, depth = photograph(window, size_px)
        columns, rows = window.sample_pixels(size_px)
        rows, columns = rows.clip(0, self._rig.camera.height - 1), columns.clip(0, self._rig.camera.width - 1)
        return rgb, np.where(holes[np.ix_(rows // HOLE_CELL_PX, columns // HOLE_CELL_PX)], np.float32(0), depth)

    def _holes(self) -> np.ndarray:
        """A mask of the native image's cells that have no depth in this picture."""
        shape = -(-self._rig.camera.height // HOLE_CELL_PX), -(-self._rig.camera.width // HOLE_CELL_PX)
        noise = cv2.GaussianBlur(self._rng.standard_normal(shape), (0, 0), HOLE_SPREAD_CELLS)
        return noise < np.quantile(noise, self._gap.depth_holes)

    def _move_bar(self) -> None:
        appearance, camera_m = self.scene.appearance, self.scene.t_base_camera[:3, 3]
        time_s = self._pictures / self._rig.rate_hz
        middle = 0.5 * (self._home_tcp + camera_m)
        middle[1] += self._side * BAR_SPEED_M_S * (time_s - self.crosses_s)
        positions, sizes, yaws = appearance.positions.copy(), appearance.sizes.copy(), appearance.yaws.copy()
        positions[-1], sizes[-1], yaws[-1] = middle, [BAR_RADIUS_M, BAR_HALF_LENGTH_M, 0], 0.0
        self.scene = replace(self.scene, appearance=replace(appearance, positions=positions, sizes=sizes, yaws=yaws))


def _corrected(photograph: Photograph, correction: DepthCorrection, window: Window, size_px: int) -> Picture:
    rgb, depth = photograph(window, size_px)
    return rgb, correction.undo(depth, *window.sample_pixels(size_px))


class GapSource:
    """Positions found in a gap's scenes.

    A picture that is seen again (a dropped frame) gives the very same answer again.

    :param look: finds the position in a photograph, given the camera's pose and intrinsics
    """

    def __init__(self, scenes: GapScenes, look: Look) -> None:
        self._scenes = scenes
        self._look = look

    def reset(self, seed: int) -> None:
        """Draw a scene with its camera error."""
        self._scenes.draw(seed)
        self._seen: Array | None = None

    def estimate(self, tcp: Array) -> PositionEstimate:
        """The position found in a picture of the arm with its TCP at ``tcp`` ``(3,)`` m."""
        # The environment hands over the same array when the frame was dropped.
        if tcp is not self._seen:
            self._seen = tcp
            photograph = self._scenes.camera(tcp)
            told = self._scenes.scene.t_base_camera_told
            self._answer = self._look(photograph, told, self._scenes.intrinsics_told)
        return self._answer
