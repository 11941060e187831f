"""The reach task seen through images: for actors that find the position themselves."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from control.task.env import STATE_SIZE, EnvParams, Observations, ReachEnv
from control.task.rendered import EpisodeScenes
from datasets.rig.projection import Array
from datasets.rig.rig import Rig


class ImageReachEnv(ReachEnv):
    """:class:`control.task.env.ReachEnv` whose actor's observations are an image and the last displacement.

    ``image`` ``(3, 84, 84)`` uint8 is the glance's window in colour; ``command`` ``(3,)`` m what was sent at the step
    before. There is no ``observation``; ``achieved_goal`` and ``state`` stay privileged. The goal is never drawn into
    the image, so hindsight replay may exchange it.

    :param room_steps: steps after which another scene is drawn, within the episode; 0: one scene per episode. Learning
        sees more scenes so, and its pictures are less alike
    """

    def __init__(
        self, params: EnvParams | None, frames: str, split: str, room_steps: int = 0, rig: Rig | None = None
    ) -> None:
        super().__init__(params, rig=rig)
        self._scenes = EpisodeScenes(frames, split, self.rig)
        self._room_steps = room_steps
        size = self.rig.input_px
        self.observation_space = spaces.Dict(
            {
                "image": spaces.Box(0, 255, (3, size, size), np.uint8),
                "command": spaces.Box(-1.0, 1.0, (3,), np.float32),
                "desired_goal": spaces.Box(-2.0, 2.0, (3,), np.float32),
                "achieved_goal": spaces.Box(-2.0, 2.0, (3,), np.float32),
                "state": spaces.Box(-10.0, 10.0, (STATE_SIZE,), np.float32),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start at home with a new goal, arm and scene; the same seed gives the same episode."""
        self._entered = False
        return super().reset(seed=seed, options=options)

    def _look(self, sent: Array) -> tuple[dict[str, NDArray], Array]:
        if not self._entered:
            self._scenes.draw(int(self.np_random.integers(2**31)))
            self._entered = True
        elif self._room_steps and self._steps % self._room_steps == 0:
            self._scenes.redraw(int(self.np_random.integers(2**31)))
        rgb = self._scenes.colour(self._seen_tcp, self.rig.picture_window, self.rig.input_px)
        return {"image": rgb.transpose(2, 0, 1).copy(), "command": sent}, np.zeros(3)

    def close(self) -> None:
        """Free the GL context."""
        self._scenes.close()
