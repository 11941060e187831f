"""Captures: RGB-D frames of an arm at rest in known postures, from which the camera is calibrated.

Two formats are read. ``python -m pipelines.capture`` writes native groups (:mod:`datasets.store.recording`), one for
each time that it was started, ``frames``, ``frames1``, ..., whose attribute ``captures`` holds a :class:`Setting` and
whose further column ``posture`` numbers the postures. Frames of other programs come as a folder of images::

    frames.json    {"intrinsics": {width, height, fx, fy, cx, cy, distortion: [k1, k2, p1, p2, k3]},
                    "frames": [{"joints_rad": [7 numbers], "tcp_m": [3], "posture": 0, "timestamp": 0.0}, ...],
                    "depth_unit_m": 0.001, "camera": "name", "arm": "xarm7", "tool": "none"}
    colour_N.png   8 bit RGB                 depth_N.png   16 bit, aligned to colour, 0 = no reading
    mask_N.png     not 0 where the arm is seen; optional

A frame must have ``joints_rad``, and the file ``intrinsics`` and ``frames``; everything else is optional.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.common.errors import ConfigError, DataError
from datasets.common.files import write_whole
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.store.recording import FRAMES, Recording
from datasets.store.store import depth_to_metres

IMAGES = "frames.json"
"""The file that marks a folder of images."""
POSTURE = "posture"
"""The further column with the number of the posture that a frame belongs to."""
FARTHEST_M = 20.0
MOST_MOVED_RAD = 2e-3
"""Frames of one posture whose joints differ by more, rad, are not of one posture: 2 mm at full reach."""
"""A depth camera of this kind reads no farther: larger values are not in metres."""
NO_TOOL = "none"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setting:
    """What the captures were taken with. No serial number: captures are passed on, and nothing here needs it.

    Attributes:
        camera: the name that it reports, with firmware and similar details.
        depth_unit_m: one count of its depth image; what is stored is in metres already.
        distortion: of the colour image, ``(k1, k2, p1, p2, k3)`` as in OpenCV; all 0 where there is none.
        arm: which arm.
        tool: what is mounted on its flange, by the rig's name; ``none`` for the bare flange.
        planned: how many postures were to be taken; there are fewer if the capturing was ended early.
    """

    camera: str = "unknown"
    depth_unit_m: float = 0.001
    distortion: tuple[float, ...] = (0.0,) * 5
    arm: str = "xarm7"
    tool: str = NO_TOOL
    planned: int = 0

    def __post_init__(self) -> None:
        if len(self.distortion) != 5 or not np.isfinite(self.distortion).all():
            raise ConfigError(f"distortion must be five finite numbers k1, k2, p1, p2, k3, got {self.distortion}")
        if not 1e-6 <= self.depth_unit_m <= 0.01:
            raise ConfigError(f"depth_unit_m must lie in 1e-06..0.01 m, got {self.depth_unit_m}")

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """A setting from plain values; unknown keys are ignored.

        Raises:
            ConfigError: one of them is of another type or out of its range.
        """
        kinds: dict[str, Callable[[Any], Any]] = {
            "depth_unit_m": float,
            "planned": _whole,
            "distortion": lambda given: tuple(map(float, given)),
        }
        known = {each.name for each in fields(cls)} & values.keys()
        try:
            return cls(**{name: kinds.get(name, str)(values[name]) for name in known})
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigError(f"the description of the captures does not fit: {error}") from error


@dataclass(frozen=True)
class Captures:
    """``N`` frames at rest; several may belong to one posture.

    Attributes:
        rgb: ``(N, H, W, 3)`` uint8.
        depth: ``(N, H, W)`` float32, metres along the optical axis, aligned to colour, 0 = no reading.
        joints: ``(N, 7)`` rad, of the encoders.
        tcp: ``(N, 3)`` m in the base frame, of the controller; NaN where it is not given.
        timestamps: ``(N,)`` s, of the capture; comparable only within one session of capturing.
        postures: ``(N,)`` number of the posture, in the order of the plan.
        intrinsics: of colour and depth.
        setting: camera, arm and tool.
        masks: ``(N, H, W)`` bool, where something outside this project saw the arm; None where nothing did.

    Raises:
        DataError: an array does not fit, or its values are not what they should be.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    joints: NDArray[np.float64]
    tcp: NDArray[np.float64]
    timestamps: NDArray[np.float64]
    postures: NDArray[np.int64]
    intrinsics: Intrinsics
    setting: Setting = Setting()
    masks: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        count, image = len(self.joints), (self.intrinsics.height, self.intrinsics.width)
        expected: dict[str, tuple[tuple[int, ...], str]] = {
            "rgb": ((count, *image, 3), "uint8"),
            "depth": ((count, *image), "float32"),
            "joints": ((count, 7), "float64"),
            "tcp": ((count, 3), "float64"),
            "timestamps": ((count,), "float64"),
            "postures": ((count,), "int64"),
            "masks": ((count, *image), "bool"),
        }
        for name, (shape, kind) in expected.items():
            array = getattr(self, name)
            if array is not None and (array.shape != shape or array.dtype != kind):
                raise DataError(f"captures.{name} must be {shape} {kind}, got {array.shape} {array.dtype}")
        if not count:
            raise DataError("the captures hold no frame; take some with python -m pipelines.capture")
        if not np.isfinite(self.joints).all():
            raise DataError("captures.joints hold values that are no numbers; each frame needs the arm's seven joints")
        if np.abs(self.joints).max() > 2 * np.pi + 0.01:
            raise DataError(
                f"captures.joints reach {np.abs(self.joints).max():.0f}, beyond a whole turn; give radians, not degrees"
            )
        for number in np.unique(self.postures):
            moved_rad = np.ptp(self.joints[self.postures == number], axis=0).max()
            if moved_rad > MOST_MOVED_RAD:
                raise DataError(
                    f"frames of posture {number} have joints that differ by {1e3 * moved_rad:.0f} mrad; number the "
                    "postures apart, or leave their numbers out"
                )
        if not np.isfinite(self.depth).all() or self.depth.min() < 0:
            raise DataError("captures.depth holds negative values or no numbers; give metres, 0 where nothing was read")
        if float(np.median(self.depth)) > FARTHEST_M:
            raise DataError(f"captures.depth lies beyond {FARTHEST_M:g} m; give metres, not millimetres")

    def __len__(self) -> int:
        return len(self.joints)

    def __str__(self) -> str:
        k = self.intrinsics
        there = len(np.unique(self.postures))
        of = f" of {self.setting.planned} planned (the rest was not taken)" if self.missing else ""
        return f"{there} postures{of}, {len(self)} frames of {k.width}x{k.height} px, {self.setting.camera}"

    @property
    def missing(self) -> int:
        """How many of the planned postures are not there; 0 where none were planned, or all are there."""
        return max(self.setting.planned - len(np.unique(self.postures)), 0)

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """Each as a frame."""
        rows = zip(self.rgb, self.depth, self.timestamps.tolist(), strict=True)
        return tuple(Frame(rgb, depth, time_s) for rgb, depth, time_s in rows)

    def select(self, index: ArrayLike) -> "Captures":
        """Those frames, by number or by a mask ``(N,)``, in that order; as many postures count as planned as there are.

        Raises:
            DataError: none are left.
        """
        index = np.asarray(index, dtype=None if np.size(index) else np.int64)
        chosen = {name: getattr(self, name)[index] for name in _ARRAYS}
        planned = len(np.unique(chosen["postures"]))
        masks = None if self.masks is None else self.masks[index]
        return replace(self, **chosen, masks=masks, setting=replace(self.setting, planned=planned))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what ``pipelines.capture`` wrote to ``path``, complete or not, or a folder of images; remove distortion.

        Frames that were lost because writing was killed are left out; postures of the plan that are missing are logged.

        Raises:
            DataError: there is nothing of the kind, or it is damaged or does not fit; the message names what.
        """
        path = Path(path)
        if not path.is_dir():
            raise DataError(f"{path}: no such folder; name one that python -m pipelines.capture wrote")
        found = (cls._of_images(path) if (path / IMAGES).is_file() else cls._of_groups(path))._undistorted()
        if found.missing:
            logger.warning("%s: %s; go on with: python -m pipelines.capture --out %s", path, found, path)
        return found

    def save(self, folder: str | Path) -> None:
        """Write a folder of images; depth is rounded to the setting's unit.

        Raises:
            DataError: it holds captures already, or cannot be written.
        """
        folder = Path(folder)
        if sessions(folder) or (folder / IMAGES).exists():
            raise DataError(f"{folder}: holds captures already; choose another folder")
        k, setting = self.intrinsics, self.setting
        units = np.rint(self.depth / setting.depth_unit_m)
        depth = np.where(units <= np.iinfo(np.uint16).max, units, 0).astype(np.uint16)
        frames = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(len(self)):
                pictures = {"colour": cv2.cvtColor(self.rgb[i], cv2.COLOR_RGB2BGR), "depth": depth[i]}
                if self.masks is not None:
                    pictures["mask"] = 255 * self.masks[i].astype(np.uint8)
                for name, picture in pictures.items():
                    write_whole(folder / f"{name}_{i}.png", cv2.imencode(".png", picture)[1].tobytes())
                frame = {"joints_rad": self.joints[i].tolist(), POSTURE: int(self.postures[i])}
                frame["timestamp"] = float(self.timestamps[i])
                frames.append(frame | ({"tcp_m": self.tcp[i].tolist()} if np.isfinite(self.tcp[i]).all() else {}))
            size = {"width": k.width, "height": k.height}
            geometry = {**size, "fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy, "distortion": setting.distortion}
            told = {each.name: getattr(setting, each.name) for each in fields(setting) if each.name != "distortion"}
            write_whole(folder / IMAGES, json.dumps({"intrinsics": geometry, "frames": frames, **told}, indent=1))
        except OSError as error:
            raise DataError(f"{folder}: cannot be written: {error.strerror}; choose another place") from error

    @classmethod
    def _of_groups(cls, path: Path) -> Self:
        recordings = [Recording(str(path), name) for name in sessions(path)]
        if not recordings:
            raise DataError(f"{path}: holds no captures and no {IMAGES}; see python -m pipelines.capture --help")
        parts = []
        for recording in recordings:
            if "captures" not in recording.attributes or POSTURE not in recording.arrays:
                raise DataError(f"{recording.where}: recorded while the arm moved; take captures for a calibration")
            if recording.frames:
                parts.append({name: recording.read(column) for name, column in _COLUMNS.items()})
        if not parts:
            raise DataError(f"{path}: capturing ended before the first frame was kept; start it again")
        settings = {_setting(path, each.attributes["captures"]) for each in recordings if each.frames}
        cameras = {(*part["rgb"].shape[1:3], *row) for part in parts for row in part["intrinsics"].tolist()}
        if len(settings) > 1 or len(cameras) > 1:
            raise DataError(
                f"{path}: taken with different cameras, resolutions or tools; capture anew into another folder"
            )
        rows = {name: np.concatenate([part[name] for part in parts]) for name in _COLUMNS}
        intrinsics = rows.pop("intrinsics")
        height, width = rows["rgb"].shape[1:3]
        return cls(
            **{**rows, "depth": depth_to_metres(rows["depth"]), "postures": rows["postures"].astype(np.int64)},
            intrinsics=Intrinsics.from_array(intrinsics[0], width, height),
            setting=settings.pop(),
        )

    @classmethod
    def _of_images(cls, folder: Path) -> Self:
        file = folder / IMAGES
        try:
            told = json.loads(file.read_text())
            given, frames = told["intrinsics"], told["frames"]
            intrinsics = Intrinsics(
                _whole(given["width"]),
                _whole(given["height"]),
                *(float(given[key]) for key in ("fx", "fy", "cx", "cy")),
            )
            joints = np.array([frame["joints_rad"] for frame in frames], dtype=np.float64).reshape(
                len(frames), -1 if frames else 7
            )
            tcp = np.array([frame.get("tcp_m", (np.nan,) * 3) for frame in frames], dtype=float).reshape(-1, 3)
            times = np.array([frame.get("timestamp", i) for i, frame in enumerate(frames)], dtype=float)
            postures = np.array([_whole(frame.get(POSTURE, i)) for i, frame in enumerate(frames)], dtype=int)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, ConfigError) as error:
            raise DataError(
                f"{file}: does not describe frames ({type(error).__name__}: {error}); it needs intrinsics and, of each "
                "frame, joints_rad"
            ) from error
        setting = _setting(file, {**told, "distortion": given.get("distortion", (0.0,) * 5)})
        size = intrinsics.height, intrinsics.width
        count = range(len(frames))
        rgb = [_image(folder / f"colour_{i}.png", cv2.IMREAD_COLOR, (*size, 3), "uint8")[..., ::-1] for i in count]
        depth = [_image(folder / f"depth_{i}.png", cv2.IMREAD_UNCHANGED, size, "uint16") for i in count]
        masked = [i for i in count if (folder / f"mask_{i}.png").is_file()]
        if masked and len(masked) < len(frames):
            raise DataError(f"{folder}: {len(masked)} of {len(frames)} frames have a mask; give all of them, or none")
        masks = [_image(folder / f"mask_{i}.png", cv2.IMREAD_GRAYSCALE, size, "uint8") > 0 for i in masked]
        return cls(
            np.array(rgb, dtype=np.uint8).reshape(-1, *size, 3),
            (np.array(depth, dtype=np.float32) * np.float32(setting.depth_unit_m)).reshape(-1, *size),
            joints,
            tcp,
            times,
            postures,
            intrinsics,
            setting,
            np.array(masks) if masks else None,
        )

    def _undistorted(self) -> Self:
        """Images of a pinhole camera without distortion; depth and masks by the nearest pixel, which mixes no two."""
        if not any(self.setting.distortion):
            return self
        k = self.intrinsics
        camera = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]])
        where = cv2.initUndistortRectifyMap(
            camera, np.array(self.setting.distortion), None, camera, (k.width, k.height), cv2.CV_32FC1
        )

        def moved(images: NDArray[Any], how: int) -> NDArray[Any]:
            return np.stack([cv2.remap(image, *where, how, borderMode=cv2.BORDER_CONSTANT) for image in images])

        return replace(
            self,
            rgb=moved(self.rgb, cv2.INTER_LINEAR),
            depth=moved(self.depth, cv2.INTER_NEAREST),
            masks=None if self.masks is None else moved(self.masks.astype(np.uint8), cv2.INTER_NEAREST) > 0,
            setting=replace(self.setting, distortion=(0.0,) * 5),
        )


_ARRAYS = ("rgb", "depth", "joints", "tcp", "timestamps", "postures")
_COLUMNS = {
    "rgb": "native/rgb",
    "depth": "native/depth",
    "joints": "joints",
    "tcp": "tcp",
    "timestamps": "timestamp",
    "postures": POSTURE,
    "intrinsics": "intrinsics",
}


def sessions(path: Path) -> list[str]:
    """The groups in a folder of captures, in the order in which they were begun."""
    numbers = {each.name.removeprefix(FRAMES) or "0" for each in path.glob(f"{FRAMES}*") if each.is_dir()}
    return [session(number) for number in sorted(int(number) for number in numbers if number.isdecimal())]


def session(number: int) -> str:
    """The name of the group that capturing writes when it is started for the ``number``-th time, from 0."""
    return f"{FRAMES}{number or ''}"


def _whole(value: Any) -> int:
    """A value as a whole number; raises ValueError for a fraction, OverflowError for what is not finite."""
    number = int(value)
    if number != float(value):
        raise ValueError(f"{value} is no whole number")
    return number


def _setting(where: Path, values: Mapping[str, Any]) -> Setting:
    try:
        return Setting.of_json(values)
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from error


def _image(path: Path, how: int, shape: tuple[int, ...], kind: str) -> NDArray[Any]:
    """An image file of that shape and type."""
    if not path.is_file():
        raise DataError(f"{path}: no such image; the frames are colour_0.png, depth_0.png, colour_1.png, and so on")
    image = cv2.imread(str(path), how)
    if image is None:
        raise DataError(f"{path}: a damaged image; copy the folder again")
    if image.shape != shape or image.dtype != kind:
        unit = ", in units of depth_unit_m" if kind == "uint16" else ""
        raise DataError(f"{path}: must be {shape} {kind}{unit} to fit {IMAGES}, got {image.shape} {image.dtype}")
    return image
