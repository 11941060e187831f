"""Takes captures: the arm stands still in each posture, and its frames are on the disk within a second."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.common.errors import ConfigError, DeviceError, SafetyStop
from datasets.rig.frame import Frame
from datasets.rig.projection import Array, Intrinsics
from datasets.rig.rig import Rig
from datasets.store.recording import FRAMES, Recording, RecordingWriter
from perception.calibration.captures import POSTURE, Setting, session, sessions
from perception.cameras.camera import Camera
from pipelines.runtime.stops import Stop
from pipelines.runtime.tick import Vector

STILL_RAD = 2e-4
"""The arm is at rest when its encoders change by less than this over ``STILL_S``: 0.1 mm at full reach."""
STILL_S = 0.3
PATIENCE_S = 5.0
_LOOK_S = 0.02
_REPORTED_S = 0.05
"""The encoders' reports cover all moments that are at least this long past, s."""
_PLAN = "plan"


class TurningArm(Protocol):
    """The interface of an arm that capturing needs."""

    @property
    def tcp(self) -> NDArray[np.float64]:
        """The encoders' TCP ``(3,)`` m now."""
        ...

    def home(self) -> None:
        """Go home slowly in a straight line; raises SafetyStop, before anything moves, if the way is not clear."""
        ...

    def tcp_after(self, joints_rad: ArrayLike) -> NDArray[np.float64]:
        """The TCP ``(3,)`` m that belongs to the joints ``(7,)`` rad."""
        ...

    def why_stopped(self) -> str | None:
        """The reason why it no longer takes commands; None while it takes them."""
        ...

    def take_posture(self, joints_rad: ArrayLike) -> None:
        """Turn slowly to these joints ``(7,)``; raises SafetyStop, before anything moves, if the way is not clear."""
        ...

    def joints_at(self, time_s: float) -> NDArray[np.float64]:
        """The encoders' joints ``(7,)`` rad at a past moment."""
        ...

    def tcp_at(self, time_s: float) -> NDArray[np.float64]:
        """The encoders' TCP ``(3,)`` m at a past moment."""
        ...


class Tour:
    """The way from home through the postures of a plan, and home again.

    Args:
        arm: the arm, wherever it was left.
        home_rad: the joints ``(7,)`` at home.
        plan: the postures ``(P, 7)`` rad; each is reached from the previous one, the first from home, home from the
            last.
        allow: called with the TCP's displacement ``(3,)`` m before every motion; raises :class:`Stop` to end the tour.
    """

    def __init__(self, arm: TurningArm, home_rad: Array, plan: Array, allow: Callable[[Vector], None]) -> None:
        self._arm, self._allow = arm, allow
        self._stations, self._at = [home_rad, *plan, home_rad], 0

    def begin(self) -> None:
        """Go home in a straight line; if that is not clear, by turning all joints."""
        home = self._stations[0]
        self._allow(self._arm.tcp_after(home) - self._arm.tcp)
        try:
            self._arm.home()
        except SafetyStop:
            if self._arm.why_stopped() is not None:
                raise
            self._allow(self._arm.tcp_after(home) - self._arm.tcp)  # it is another motion
            self._arm.take_posture(home)

    def go(self, posture: int) -> None:
        """Turn to a later posture of the plan: directly if the way is clear, otherwise through the postures between."""
        self._reach(posture + 1)

    def end(self) -> None:
        """Turn home."""
        self._reach(len(self._stations) - 1)

    def _reach(self, station: int) -> None:
        try:
            self._turn(station)
        except SafetyStop as refused:
            if self._at == station - 1 or isinstance(refused, Stop) or self._arm.why_stopped() is not None:
                raise
            for between in range(self._at + 1, station + 1):
                self._turn(between)

    def _turn(self, station: int) -> None:
        joints = self._stations[station]
        self._allow(self._arm.tcp_after(joints) - self._arm.tcp)
        self._arm.take_posture(joints)
        self._at = station


class CaptureFolder:
    """A folder of captures that may be begun, continued and ended at any moment.

    Args:
        path: the folder.
        plan: the postures ``(P, 7)`` rad; captures already in the folder must have been taken by the same plan.
        frames: how many frames each posture is to have.

    Raises:
        ConfigError: the folder holds captures of another plan.
        DataError: its content is damaged.
    """

    def __init__(self, path: Path, plan: Array, frames: int) -> None:
        self._path, self._plan, self._frames = path, plan, frames
        self._begun = sessions(path) if path.is_dir() else []
        counts = np.zeros(len(plan), dtype=int)
        for name in self._begun:
            recording = Recording(str(path), name)
            before = np.asarray(recording.attributes.get(_PLAN, ()), dtype=float)
            if before.shape != plan.shape or not np.allclose(before, plan, atol=1e-6):
                raise ConfigError(
                    f"--out {path}: holds captures of another plan; give the --postures, --seed and parameter files "
                    "that they were begun with, or another folder"
                )
            if recording.frames:
                counts += np.bincount(recording.read(POSTURE).astype(int), minlength=len(plan))
        self.left: tuple[int, ...] = tuple(np.flatnonzero(counts < frames).tolist())

    @contextmanager
    def writer(self, rig: Rig, setting: Setting) -> Iterator[Callable[[Frame, int, Array, Array], None]]:
        """Yield a function that keeps a frame with its posture's number, joints ``(7,)`` and TCP ``(3,)``.

        All frames are on the disk when the context ends.

        Raises:
            ConfigError: the folder was begun with another camera, image size or tool.
        """
        for name in self._begun:
            _require_same(Recording(str(self._path), name), rig, setting)
        number = max((int(name.removeprefix(FRAMES) or 0) for name in self._begun), default=-1) + 1
        unknown = np.full((4, 4), np.nan)  # the captures are taken to find the camera's pose
        attributes = {"captures": asdict(replace(setting, planned=len(self._plan))), _PLAN: self._plan.tolist()}
        with RecordingWriter(str(self._path), session(number), rig, {POSTURE: ()}, attributes) as recording:

            def keep(frame: Frame, posture: int, joints: Array, tcp: Array) -> None:
                labels: dict[str, ArrayLike] = {
                    "joints": joints,
                    "tcp": tcp,
                    POSTURE: float(posture),
                    "T_base_camera": unknown,
                }
                recording.append(frame, labels)

            yield keep


def _require_same(begun: Recording, rig: Rig, setting: Setting) -> None:
    if not begun.frames:
        return
    height, width = begun.read("native/rgb", 0, 1).shape[1:3]
    before = Intrinsics.from_array(begun.read("intrinsics", 0, 1)[0], width, height)
    told = Setting.of_json(begun.attributes["captures"])
    if before != rig.camera or (told.camera, told.tool) != (setting.camera, setting.tool):
        raise ConfigError(
            f"{begun.where}: begun with {told.camera} ({before}), tool {told.tool}; now it is {setting.camera} "
            f"({rig.camera}), tool {setting.tool}: capture anew into another folder"
        )


def look_at_rest(camera: Camera, arm: TurningArm, frames: int) -> list[tuple[Frame, Array, Array]]:
    """Take ``frames`` frames of an arm at rest, each with the joints ``(7,)`` and the TCP ``(3,)`` at its time.

    Raises:
        DeviceError: the arm does not come to rest, moves meanwhile, or the camera gives no frames.
    """
    deadline = time.monotonic() + PATIENCE_S + STILL_S
    while True:
        now_s = time.monotonic() - _REPORTED_S
        moments = [arm.joints_at(now_s - part * STILL_S) for part in (0, 0.25, 0.5, 0.75, 1)]
        if np.ptp(moments, axis=0).max() < STILL_RAD:
            break
        if time.monotonic() > deadline:
            raise DeviceError(f"the arm does not come to rest within {PATIENCE_S:g} s; look what moves it")
        time.sleep(_LOOK_S)
    taken: list[tuple[Frame, Array, Array]] = []
    while len(taken) < frames:
        frame = patient_read(camera)
        if frame.timestamp < now_s:
            continue
        joints = arm.joints_at(frame.timestamp)
        if np.abs(joints - moments[0]).max() > 2 * STILL_RAD:
            raise DeviceError("the arm moved while it was photographed; look what moves it, then go on")
        taken.append((frame, joints, arm.tcp_at(frame.timestamp)))
    return taken


def patient_read(camera: Camera) -> Frame:
    """The next frame; because the arm is at rest, the camera is given ``PATIENCE_S`` to come back after a fault."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return camera.read()
        except DeviceError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def describe_camera(description: str) -> str:
    """A camera's description without its serial number, because captures are passed on to others."""
    return ", ".join(part for part in description.split(", ") if not part.startswith("serial number"))
