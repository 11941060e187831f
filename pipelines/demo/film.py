"""Keeps what a run saw, and draws it: a small animation of the camera's image, and the picture of the README."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datasets.arm.kinematics import Kinematics
from datasets.common.files import write_whole
from datasets.rig.frame import Frame
from datasets.rig.projection import Array, invert, look_at, project, transform
from datasets.scene.image_formation import IDENTITY
from datasets.scene.photographer import Photographer
from pipelines.observers.overlay import GOAL, draw_tick
from pipelines.runtime.tick import Seen, Tick
from pipelines.setup.setup import Setup
from pipelines.twin.settings import TwinParams
from pipelines.twin.world import TwinWorld

Picture = NDArray[np.uint8]

FILES = ("demo.gif", "demo.png")
_SHRINK = 0.75
_HEIGHT = 360
"""Height of the README's picture, px."""
_BESIDE_M, _LOOKS_AT_M = (1.05, -0.95, 0.75), (0.25, 0.0, 0.28)
"""Where the viewpoint of the README's picture is, and the point it looks at, m in the base frame."""
_COLOURS = {"glance": (255, 255, 255), "fovea": (255, 120, 200)}
"""The RGB colours of the frames drawn around the windows."""
_QUALITY, _EVERY = 62, 2


class Film:
    """Observes a run and keeps every tick with its frame: 2 MB each."""

    def __init__(self, setup: Setup, goals: int) -> None:
        self._setup, self._goals = setup, goals
        self.seen: list[Seen] = []

    def __call__(self, tick: Tick, frame: Frame) -> None:
        """Keep one tick."""
        self.seen.append((tick, frame))

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``demo.gif`` (every second tick) and ``demo.png`` (where each goal ended, side by side)."""
        folder.mkdir(parents=True, exist_ok=True)
        gif, strip = (folder / name for name in FILES)
        pictures = [_resized(self._drawn(*seen), _SHRINK) for seen in self.seen]
        ends = {tick.goal_index: picture for (tick, _), picture in zip(self.seen, pictures, strict=True)}
        frames = [Image.fromarray(picture).quantize(96, dither=Image.Dither.NONE) for picture in pictures[::2]]
        frames[0].save(
            gif, save_all=True, append_images=frames[1:], duration=self._duration_ms(2), loop=0, optimize=True
        )
        Image.fromarray(np.hstack(list(ends.values()))).save(strip)
        return gif, strip

    def save_picture(self, path: Path, twin: TwinParams) -> Path:
        """Write the README's picture, an animated WebP: the twin from the side, what its camera sees, and both looks.

        Args:
            twin: the settings of the twin that was filmed; its room is drawn again.
        """
        pictures = [Image.fromarray(picture) for picture in self._beside(twin)]
        content = io.BytesIO()
        pictures[0].save(
            content,
            "WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=self._duration_ms(_EVERY),
            loop=0,
            quality=_QUALITY,
            method=6,
        )
        write_whole(path, content.getvalue())
        return path

    def _duration_ms(self, ticks: int) -> int:
        return round(1e3 * ticks / self._setup.rig.rate_hz)

    def _drawn(self, tick: Tick, frame: Frame) -> Picture:
        left = tick.why_held if tick.held else f"{tick.error_m * 1e3:5.1f} mm to go"
        caption = f"goal {tick.goal_index + 1}/{self._goals}  step {tick.step:2d}  {left}"
        return draw_tick(frame.rgb, tick, self._setup.calibration.pose, self._setup.rig.camera, caption)

    def _beside(self, twin: TwinParams) -> Iterator[Picture]:
        rig, pose = self._setup.rig, self._setup.calibration.pose
        joints: Array = np.asarray(rig.home_joints_rad)
        kinematics, photographer = Kinematics(), Photographer(rig, twin.arm)
        world = TwinWorld(rig, twin, lambda time_s: joints)
        onlooker = look_at(_BESIDE_M, _LOOKS_AT_M)
        try:
            for tick, frame in [(tick, frame) for tick, frame in self.seen if not tick.held][::_EVERY]:
                joints = kinematics.step(joints, tick.tcp_at_frame, iterations=5)
                scene = replace(world.scene_at(0.0), t_base_camera=onlooker, image=IDENTITY)
                aside, _ = photographer.photograph_native(scene)
                u, v = project(transform(invert(onlooker), tick.goal), rig.camera)
                cv2.drawMarker(aside, (round(u), round(v)), GOAL, cv2.MARKER_CROSS, 26, 3, cv2.LINE_AA)
                found = self._setup.estimator.locate(frame.cut, pose, rig.camera)
                windows = {"glance": rig.glance_window(pose, rig.camera), "fovea": found.window}
                whole = self._drawn(tick, frame)
                for name, window in windows.items():
                    corner = np.array([window.left + 0.5, window.top + 0.5], int)
                    cv2.rectangle(whole, corner.tolist(), (corner + int(window.width) - 1).tolist(), _COLOURS[name], 2)
                looks = [_look(frame.cut(window, rig.input_px)[0], name) for name, window in windows.items()]
                scale = _HEIGHT / rig.camera.height
                yield np.hstack([_resized(aside, scale), _resized(whole, scale), np.vstack(looks)])
        finally:
            photographer.close()


def _resized(picture: Picture, scale: float) -> Picture:
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _look(seen: Picture, name: str) -> Picture:
    """The input of a look's network, enlarged, named and framed in its window's colour."""
    side = _HEIGHT // 2
    look = cv2.resize(seen, (side, side), interpolation=cv2.INTER_NEAREST)
    cv2.rectangle(look, (0, 0), (side - 1, side - 1), _COLOURS[name], 3)
    cv2.putText(look, name, (9, side - 11), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _COLOURS[name], 1, cv2.LINE_AA)
    return np.asarray(look, dtype=np.uint8)
