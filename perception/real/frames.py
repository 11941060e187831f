"""Frames to judge by: a folder of images, captures, or a recorded run, with what is known of their camera."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datasets.common.errors import ConfigError, DataError
from datasets.rig.projection import Array, Intrinsics
from datasets.rig.rig import Rig
from datasets.store.recording import FRAMES, STOPPED, Recording
from perception.calibration.calibration import Calibration
from perception.calibration.captures import IMAGES, NO_TOOL, Captures, Setting, sessions
from perception.calibration.registration.register import KNOWN_TOOL

POSES = ("T_base_camera", "T_base_camera_published")
"""Keys under which ``frames.json`` may state the camera's pose, as rows of a 4x4 matrix."""
BARE = (NO_TOOL, "flange")


@dataclass(frozen=True)
class RealFrames:
    """What is judged by.

    Attributes:
        captures: the frames; those of a recorded run were not all taken at rest.
        calibration: the given pose of the camera; None where none is given.
        postures: whether each frame shows a posture at rest, so that the arm's model can be laid onto it.
    """

    captures: Captures
    calibration: Calibration | None
    postures: bool

    @property
    def is_bare(self) -> bool:
        """Whether the arm has nothing on its flange."""
        return self.captures.setting.tool in BARE

    @property
    def shows_gripper(self) -> bool:
        """Whether the xArm gripper is mounted, the only tool that is drawn to compare frames with."""
        return self.captures.setting.tool == KNOWN_TOOL

    @classmethod
    def load(cls, path: str | Path, rig: Rig, most: int, calibration: Calibration | None = None) -> "RealFrames":
        """Read a folder of frames, or the only such folder in it.

        Args:
            path: of images with ``frames.json``, of captures, or of a recorded run.
            rig: replaces what a recording does not state about its camera.
            most: largest number of frames, spread evenly over all that there are.
            calibration: of the camera; default: what the folder states.

        Raises:
            DataError: there are none, or they are damaged or do not fit; the message names the file.
        """
        folder = _only_folder(Path(path))
        if (folder / IMAGES).is_file():
            captures, told = Captures.load(folder), _told_pose(folder / IMAGES)
        elif _is_run(folder):
            captures, told = _of_run(folder, rig, most)
        else:
            captures, told = Captures.load(folder), None
        captures = captures.select(_spread(len(captures), most))
        used = calibration or told
        if used is not None and not used.has_true_depth:
            captures = replace(captures, depth=np.stack([used.true_depth(each) for each in captures.depth]))
        return cls(captures, used, not _is_run(folder))

    def tcp_offset_m(self, rig: Rig) -> float:
        """How far along the flange's axis the point lies that is to be found: the TCP of what is mounted.

        Raises:
            DataError: that tool is not known.
        """
        tool = self.captures.setting.tool
        if self.is_bare:
            return 0.0
        if tool == rig.tool.name:
            return rig.tool.tcp_offset_m
        raise DataError(
            f"the frames show the tool {tool!r}, and this estimator was trained for {rig.tool.name!r}; give the "
            "estimator of that tool by --estimator, or correct tool in the frames' description"
        )


def _only_folder(path: Path) -> Path:
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; name one that holds {IMAGES}, captures, or a recorded run")
    if _holds_frames(path):
        return path
    inner = sorted(each for each in path.iterdir() if each.is_dir() and _holds_frames(each))
    if len(inner) == 1:
        return inner[0]
    what = f"several folders of frames ({', '.join(each.name for each in inner)}); name one" if inner else "no frames"
    raise DataError(f"{path}: holds {what}; a folder of frames has {IMAGES}, captures, or a recorded run in it")


def _holds_frames(path: Path) -> bool:
    captured = any((path / name / "native").is_dir() for name in sessions(path))
    return (path / IMAGES).is_file() or captured or _is_run(path)


def _is_run(path: Path) -> bool:
    """Whether it is a recorded run, or its recording; captures are recordings, too, but marked as captures."""
    group = path / FRAMES if (path / FRAMES / "native").is_dir() else path
    return (group / "native").is_dir() and "captures" not in Recording(str(group.parent), group.name).attributes


def _told_pose(file: Path) -> Calibration | None:
    told = json.loads(file.read_text())  # read once already, by Captures
    key = next((name for name in POSES if name in told), None)
    if key is None:
        return None
    try:
        pose = np.array(told[key], dtype=float)
        if pose.shape != (4, 4):
            raise ConfigError(f"it has the shape {pose.shape}, where rows of a 4x4 matrix are expected")
        return Calibration.of_pose(pose, f"given with the frames, as {key}")
    except (ConfigError, TypeError, ValueError) as error:
        raise DataError(f"{file}: {key} is no pose of a camera: {error}") from error


def _of_run(path: Path, rig: Rig, most: int) -> tuple[Captures, Calibration]:
    recording = Recording.at(path)
    columns = {name: recording.read(name) for name in ("joints", "tcp", "timestamp", "intrinsics")}
    kept = np.isfinite(columns["joints"]).all(axis=1)
    if STOPPED in recording.arrays:
        kept &= recording.read(STOPPED) == 0
    chosen = np.flatnonzero(kept)
    if not len(chosen):
        raise DataError(f"{recording.where}: no frame has the joints recorded, besides one that a stop came at")
    chosen = chosen[_spread(len(chosen), most)]
    frames = [recording.frame(int(index)) for index in chosen]
    height, width = frames[0].depth.shape
    tool = (recording.attributes.get("rig") or {}).get("tool", {})
    captures = Captures(
        rgb=np.stack([frame.rgb for frame in frames]),
        depth=np.stack([frame.depth for frame in frames]),
        joints=columns["joints"][chosen],
        tcp=columns["tcp"][chosen],
        timestamps=columns["timestamp"][chosen],
        postures=np.arange(len(chosen)),
        intrinsics=Intrinsics.from_array(columns["intrinsics"][chosen[0]], width, height),
        setting=Setting(camera="as recorded", tool=tool.get("name", rig.tool.name)),
    )
    return captures, Calibration.of_recording(Path(recording.url) / recording.name, rig)


def _spread(count: int, most: int) -> Array:
    """Numbers of at most ``most`` of ``count`` frames, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))
