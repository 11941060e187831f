"""The reach task seen through images: for actors that find the position themselves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from control.policies.features import SIZE
from control.policies.picture import CAMERA_SIZE, PictureParams, take_picture
from control.task.env import STATE_SIZE, EnvParams, Observations, ReachEnv
from control.task.rendered import EpisodeScenes
from datasets.rig.projection import Array, Window
from datasets.rig.rig import Rig
from datasets.scene.photographer import Picture
from perception.estimator.estimate import PositionEstimate

Locate = Callable[[NDArray[np.uint8], NDArray[np.float32]], Array]
"""Function that finds a position ``(3,)`` m from ``image (C, S, S)`` and ``camera (16,)``."""


class ImageReachEnv(ReachEnv):
    """A :class:`control.task.env.ReachEnv` whose position comes from a network that is still learning.

    In addition to the observations of :class:`control.task.env.ReachEnv` there are ``image`` ``(C, 84, 84)`` uint8 and
    ``camera`` ``(16,)``, from which ``locate`` found the position in ``observation``
    (:func:`control.policies.picture.take_picture` describes their contents), and ``seen_tcp`` ``(3,)`` m, where the TCP
    was in the picture, which is privileged like ``achieved_goal`` and ``state``. The goal is never drawn into the
    image, so hindsight replay may exchange it.

    :param picture: which part of the camera's image is seen
    :param sigma_m: standard deviation per axis with which the positions are fused
    :param learning: every step shows another scene, and every episode begins at another place, so that pictures differ
        more. Otherwise an episode has one scene and begins at home, like every test
    :param horizon: steps of an episode, instead of the parameters' number
    """

    def __init__(
        self,
        params: EnvParams | None,
        frames: str,
        split: str,
        picture: PictureParams | None = None,
        sigma_m: float = 0.006,
        learning: bool = False,
        horizon: int | None = None,
        rig: Rig | None = None,
    ) -> None:
        params = EnvParams() if params is None else params
        super().__init__(params if horizon is None else replace(params, horizon=horizon), rig=rig)
        self._scenes = EpisodeScenes(frames, split, self.rig)
        self._picture = PictureParams() if picture is None else picture
        self._sigma = np.full(3, sigma_m)
        self._learning = learning
        size = self.rig.input_px
        self.observation_space = spaces.Dict(
            {
                "image": spaces.Box(0, 255, (self._picture.channels, size, size), np.uint8),
                "camera": spaces.Box(-1e4, 1e4, (CAMERA_SIZE,), np.float32),
                "seen_tcp": spaces.Box(-2.0, 2.0, (3,), np.float32),
                "observation": spaces.Box(-10.0, 10.0, (SIZE,), np.float32),
                "desired_goal": spaces.Box(-2.0, 2.0, (3,), np.float32),
                "achieved_goal": spaces.Box(-2.0, 2.0, (3,), np.float32),
                "state": spaces.Box(-10.0, 10.0, (STATE_SIZE,), np.float32),
            }
        )
        self.locate: Locate = lambda image, camera: self._goals.home
        """The network; until one is given, the TCP is believed to be at home."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start with a new goal, arm and scene; the same seed gives the same episode."""
        self._pictured: Array | None = None
        return super().reset(seed=seed, options=options)

    def _start(self) -> Array:
        return self._goals.sample(self.np_random) if self._learning else super()._start()

    def _look(self, sent: Array) -> tuple[dict[str, NDArray], Array]:
        if self._pictured is None:
            self._scenes.draw(int(self.np_random.integers(2**31)))
            self._scenes.place_arm(self._seen_tcp)
        elif self._learning:
            self._scenes.redraw(int(self.np_random.integers(2**31)))
        # After a dropped frame it is the same array object, which means the same picture.
        if self._pictured is not self._seen_tcp or self._learning:
            self._pictured = self._seen_tcp
            scene = self._scenes.scene
            self._image, self._camera = take_picture(
                self._picture, self.rig, self._photograph, scene.t_base_camera_told, scene.intrinsics
            )
        estimate = PositionEstimate(np.asarray(self.locate(self._image, self._camera), dtype=float), self._sigma)
        features, error = self._encoded(estimate, sent)
        return {"image": self._image, "camera": self._camera, "seen_tcp": self._seen_tcp, **features}, error

    def _photograph(self, window: Window, size_px: int) -> Picture:
        if self._picture.depth:
            return self._scenes.camera(self._seen_tcp)(window, size_px)
        # Depth takes time and is not needed here.
        return self._scenes.colour(self._seen_tcp, window, size_px), np.zeros((0, 0), np.float32)

    def close(self) -> None:
        """Free the GL context."""
        self._scenes.close()
