"""Records a whole run without slowing it: frames and numbers in the frames schema, and a log of events."""

import logging
import time
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from control.arms.arm import Arm
from datasets.common.cli import require_writable
from datasets.common.errors import DataError, DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Rig
from datasets.store.recording import FRAMES, STOPPED, RecordingWriter
from datasets.store.store import StoredFiles
from pipelines.observers.runlog import RunLog
from pipelines.runtime.tick import GoalResult, Tick, Timing, Vector

logger = logging.getLogger(__name__)

EVENTS = "events.jsonl"
COLUMNS: dict[str, tuple[int, ...]] = {
    "time": (),
    "goal_index": (),
    "step": (),
    "held": (),
    STOPPED: (),
    "goal": (3,),
    "estimate": (3,),
    "sigma": (3,),
    "command": (3,),
    "sent": (3,),
    "tcp_now": (3,),
    **{f"{field.name}_s": () for field in fields(Timing)},
}
"""Shapes of the columns that are added to the schema's own; of the schema's, ``tcp`` and ``joints`` are the encoders'
at the frame's time: the labels of the frame."""


def require_recordable(folder: Path) -> None:
    """Raise ConfigError, before anything is opened, for a folder in which no recording could be made."""
    require_writable(folder / "NAME" / EVENTS, "--record")


def delete_recording(path: Path) -> None:
    """Delete a recording at ``path``; other files there stay, and then the folder stays too.

    Raises:
        DataError: the frames' folder holds files that this project did not write; nothing was deleted.
    """
    StoredFiles(str(path), FRAMES).remove()
    for name in (EVENTS, "zarr.json"):
        (path / name).unlink(missing_ok=True)
    if not any(path.iterdir()):
        path.rmdir()


class RunRecorder:
    """Observes a run and writes it to ``folder/NAME/frames``, its events to ``events.jsonl``; a context manager.

    A disk that fails or is too slow ends the recording, not the run: this is logged, and the steps not recorded are
    counted in ``dropped``. Steps that a slow disk had accepted until then are still written; only :meth:`close` waits
    for that.

    Args:
        folder: the folder of recordings; created if it is missing.
        rig: the rig that is recorded.
        arm: gives the joints at each frame's time, from its reports.
        about: plain values kept with the recording.
        t_base_camera: the calibrated pose (4x4), if it is not the rig's.
        intrinsics: the camera's own, if they are not the rig's.

    Raises:
        DataError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        rig: Rig,
        arm: Arm,
        about: Mapping[str, Any],
        t_base_camera: Vector | None = None,
        intrinsics: Intrinsics | None = None,
    ) -> None:
        self.name = datetime.now().strftime("%Y%m%d-%H%M%S")
        self.path = folder / self.name
        self._given = 0
        self._failure: DataError | None = None
        self._arm, self._began_s = arm, time.monotonic()
        self._last_event: tuple[float, str] | None = None
        self._camera: dict[str, ArrayLike] = {}
        if t_base_camera is not None:
            self._camera |= dict.fromkeys(("T_base_camera", "T_base_camera_told"), t_base_camera)
        if intrinsics is not None:
            self._camera["intrinsics"] = intrinsics.as_array()
        self._writer = RecordingWriter(str(self.path), FRAMES, rig, COLUMNS, about)
        self.log = RunLog(self.path / EVENTS)
        self.log.note("begun", **about)

    @property
    def dropped(self) -> int:
        """Number of steps that cannot be read back; until :meth:`close` it includes those on their way to the disk."""
        return self._given - self._writer.written

    def __call__(self, tick: Tick, frame: Frame) -> None:
        """Hand one tick to the writing thread."""
        self._take(tick, frame)

    def _take(self, tick: Tick, frame: Frame, stopped: bool = False) -> None:
        self._tell_of_the_arm()
        if tick.step == 0:
            self.log.note("goal begun", tick.time_s, goal_index=tick.goal_index, goal=tick.goal.tolist())
        if tick.held and not stopped:
            self.log.note(f"{tick.why_held}, held still", tick.time_s, step=tick.step)
        self._given += 1
        if self._failure is not None:
            return
        try:
            self._writer.append(frame, {**self._row(tick, stopped), **self._labels(tick), **self._camera})
        except DataError as error:
            self._give_up(error)

    def finished(self, result: GoalResult) -> None:
        """Log how a goal ended, and keep the frame during which a stop came."""
        if result.broken_off is not None:
            self._take(*result.broken_off, stopped=True)
        self._tell_of_the_arm()
        if result.stop is None:
            self.log.note("goal ended", residual_mm=_millimetres(result.residual_m), goal=result.goal.tolist())
            return
        self.log.note(
            "stopped",
            result.noticed_s if np.isfinite(result.noticed_s) else None,
            reason=result.stop.reason.value,
            detail=str(result.stop),
            stopped_in_ms=None if result.stopped_in_s is None else round(1e3 * result.stopped_in_s, 1),
        )

    def close(self) -> None:
        """Write the remaining steps, and end the recording; idempotent."""
        self._tell_of_the_arm()
        try:
            self._writer.close()
        except DataError as error:
            if error is not self._failure:
                self._give_up(error)
        self.log.note("ended", steps_not_recorded=self.dropped)
        self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.log.note("failed", detail=f"{type(error).__name__}: {error}")
        self.close()

    def _tell_of_the_arm(self) -> None:
        """Log the arm's new events during the run, so that they are not lost if the process is killed."""
        events = tuple(getattr(self._arm, "events", ()))
        begin = next((i + 1 for i in reversed(range(len(events))) if events[i] is self._last_event), 0)
        for time_s, event in events[begin:]:
            if time_s >= self._began_s:
                self.log.note("arm", time_s, detail=event)
        self._last_event = events[-1] if events else None

    def _row(self, tick: Tick, stopped: bool) -> dict[str, Any]:
        values = {
            "time": tick.time_s,
            "goal_index": tick.goal_index,
            "step": tick.step,
            "held": float(tick.held),
            STOPPED: float(stopped),
            "goal": tick.goal,
            "estimate": tick.estimate,
            "sigma": tick.sigma,
            "command": tick.command,
            "sent": tick.sent,
            "tcp_now": tick.tcp,
        }
        return values | {f"{field.name}_s": getattr(tick.timing, field.name) for field in fields(Timing)}

    def _labels(self, tick: Tick) -> dict[str, Vector]:
        """The encoders' joints and TCP at the frame's time; NaN without an arm, or before its oldest report."""
        try:
            return {"tcp": self._arm.tcp_at(tick.frame_time_s), "joints": self._arm.joints_at(tick.frame_time_s)}
        except DeviceError:
            return {}

    def _give_up(self, error: DataError) -> None:
        logger.warning("recording ended, the run goes on: %s", error)
        self.log.note("recording ended", detail=str(error))
        self._failure = error


def _millimetres(metres: float) -> float | None:
    """A length in mm; None (null in JSON) if it is not finite."""
    return round(1e3 * metres, 3) if np.isfinite(metres) else None
