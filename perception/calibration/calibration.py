"""A measured camera and table, in a file beside the rig or as a site's ``camera``; trained models stay valid.

The depth camera is described as :mod:`perception.calibration.registration.result` does.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray

from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Rig
from datasets.store.recording import Recording
from perception.calibration.registration.result import WARP_ORDERS, warp_waves
from perception.estimator.table_plane import MOST_TABLE_Z_M

Row = tuple[float, float, float, float]
Row6 = tuple[float, float, float, float, float, float]
MOST_SCALE, MOST_OFFSET_M = 0.1, 0.1
"""Largest errors of a depth camera: five times what its maker allows; beyond it, something else is wrong."""
NOT_MEASURED = "none given: the camera must stand where params/rig.yaml says"


@dataclass(frozen=True)
class Calibration:
    """Where the camera was measured to stand, and how high the table lies.

    Attributes:
        t_base_camera: rows of the 4x4 pose, m.
        poses: how many arm positions it was measured at.
        residual_mm: root mean square of what the measured pose leaves unexplained.
        measured: when and how, in words; :data:`NOT_MEASURED` of the rig's own values.
        table_z_m: of the table in the base frame, m; negative where the base stands on a plate.
        covariance: ``(6, 6)`` of the pose in the base frame, m and rad; None where it is not known.
        intrinsics: those that the pose belongs to; None: those that the camera itself reports.
        depth_scale: ratio of the depth camera's readings to the true depth.
        depth_offset_m: constant error of its readings.
        depth_warp_m: coefficients of the slow warp, in the order of ``WARP_ORDERS``; empty: none.
        table_seen: whether the table's height was measured; False: it was not seen, and ``table_z_m`` says nothing.
    """

    t_base_camera: tuple[Row, Row, Row, Row]
    poses: int
    residual_mm: float
    measured: str
    table_z_m: float = 0.0
    covariance: tuple[Row6, Row6, Row6, Row6, Row6, Row6] | None = None
    intrinsics: Intrinsics | None = None
    depth_scale: float = 1.0
    depth_offset_m: float = 0.0
    depth_warp_m: tuple[float, ...] = ()
    table_seen: bool = True

    def __post_init__(self) -> None:
        pose = self.pose
        rotation = pose[:3, :3]
        if not np.all(np.isfinite(pose)) or not np.allclose(pose[3], [0, 0, 0, 1]):
            raise ConfigError("t_base_camera must be a finite 4x4 pose whose last row is [0, 0, 0, 1]")
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4) or np.linalg.det(rotation) < 0:
            raise ConfigError("t_base_camera's upper left 3x3 is no rotation; calibrate again instead of editing it")
        if np.max(np.abs(pose[:3, 3])) > 10:
            raise ConfigError(f"t_base_camera places the camera at {pose[:3, 3].tolist()}: values are metres")
        if not (np.isfinite(self.residual_mm) and self.residual_mm >= 0):
            raise ConfigError(f"residual_mm must be a number of at least 0, got {self.residual_mm}")
        if self.table_z_m is None or not abs(self.table_z_m) <= MOST_TABLE_Z_M:  # an empty key is read as None
            raise ConfigError(
                f"table_z_m is {self.table_z_m}: the table's height in the base frame must lie in "
                f"-{MOST_TABLE_Z_M}..{MOST_TABLE_Z_M} m"
            )
        if self.covariance is not None:
            covariance = np.array(self.covariance)
            if not np.allclose(covariance, covariance.T) or np.linalg.eigvalsh(covariance)[0] < -1e-12:
                raise ConfigError("covariance must be symmetric and positive; calibrate again instead of editing it")
        if not abs(self.depth_scale - 1) <= MOST_SCALE:
            raise ConfigError(f"depth_scale must lie within {MOST_SCALE} of 1, got {self.depth_scale}")
        if len(self.depth_warp_m) not in (0, len(WARP_ORDERS)):
            raise ConfigError(f"depth_warp_m must have {len(WARP_ORDERS)} values or none, got {len(self.depth_warp_m)}")
        if not np.all(np.abs([self.depth_offset_m, *self.depth_warp_m]) <= MOST_OFFSET_M):
            raise ConfigError(f"depth_offset_m and depth_warp_m must be numbers of at most {MOST_OFFSET_M} m")

    @property
    def pose(self) -> NDArray[np.float64]:
        """``T_base_camera`` (4x4)."""
        return np.array(self.t_base_camera, dtype=float)

    @property
    def depth(self) -> dict[str, Any]:
        """The fields that say how the depth camera errs, by name."""
        return {name: getattr(self, name) for name in _DEPTH}

    @property
    def has_true_depth(self) -> bool:
        """Whether depth is used as it is read, without correction."""
        return self.depth_scale == 1 and not any((self.depth_offset_m, *self.depth_warp_m))

    def true_depth(self, read_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """A depth image ``(H, W)`` m of this camera without its scale, offset and warp; 0 stays 0."""
        if self.has_true_depth:
            return read_m
        added_m = _added(self.depth_offset_m, self.depth_warp_m, *read_m.shape)
        return np.where(read_m > 0, (read_m - added_m) / np.float32(self.depth_scale), np.float32(0))

    def __str__(self) -> str:
        if self.measured == NOT_MEASURED:
            return self.measured
        table = f"table at z = {1e3 * self.table_z_m:.1f} mm" + ("" if self.table_seen else ", not measured")
        return f"{self.measured}: {self.poses} poses, residual {self.residual_mm:.1f} mm, {table}"

    @classmethod
    def of_pose(
        cls,
        pose: NDArray[np.floating],
        measured: str,
        *,
        poses: int = 0,
        residual_mm: float = 0.0,
        table_z_m: float = 0.0,
        **further: Any,
    ) -> Self:
        """A calibration from the pose as an array (4x4); ``further`` fields by name."""
        rows = tuple(tuple(map(float, row)) for row in pose)
        return cls(rows, poses, residual_mm, measured, table_z_m, **further)  # type: ignore[arg-type]  # the rows of a 4x4 array

    @classmethod
    def of_rig(cls, rig: Rig) -> Self:
        """The calibration that the rig itself states, with the table at z = 0."""
        return cls.of_pose(rig.t_base_camera, NOT_MEASURED)

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """Read a file that :meth:`save` wrote; raises ConfigError naming what is wrong."""
        return load_params(path, cls)

    @classmethod
    def of_recording(cls, path: str | Path, rig: Rig) -> Self:
        """The calibration that a run used when it was recorded; the rig's own values where they are the same.

        Args:
            path: of the recording, as in ``runs/NAME/frames``.
            rig: the rig that the recording is played with.

        Raises:
            DataError: there is no such recording, or it is damaged.
        """
        path = Path(path)
        stored = Recording(str(path.parent), path.name)
        if not stored.frames:
            return cls.of_rig(rig)
        pose = stored.read("T_base_camera_told", 0, 1)[0]
        table_z_m = float(stored.attributes.get("table_z_m", 0.0))
        depth = {name: stored.attributes[name] for name in _DEPTH if name in stored.attributes}
        depth["depth_warp_m"] = tuple(depth.get("depth_warp_m", ()))
        if (
            table_z_m == 0
            and cls.of_pose(pose, "", **depth).has_true_depth
            and np.allclose(pose, rig.t_base_camera, atol=1e-9)
        ):
            return cls.of_rig(rig)
        return cls.of_pose(pose, f"as recorded in {path}", table_z_m=table_z_m, **depth)

    def save(self, path: str | Path) -> None:
        """Write YAML, whole or not at all."""
        write_whole(path, yaml.safe_dump(self.as_plain(), sort_keys=False, default_flow_style=None))

    def as_plain(self) -> dict[str, Any]:
        """Its fields as YAML has them, without optional fields that are empty or 0."""
        values = asdict(self)
        for name in ("t_base_camera", "covariance"):
            values[name] = values[name] and [[float(f"{value:.9g}") for value in row] for row in values[name]]
        values["depth_warp_m"] = list(self.depth_warp_m)
        if self.table_seen:
            del values["table_seen"]
        return {name: value for name, value in values.items() if name not in _OPTIONAL or value}


_DEPTH = ("depth_scale", "depth_offset_m", "depth_warp_m")
_OPTIONAL = ("covariance", "intrinsics", "depth_offset_m", "depth_warp_m")


@lru_cache(maxsize=4)
def _added(offset_m: float, warp_m: tuple[float, ...], height: int, width: int) -> NDArray[np.float32]:
    """What is added to depth, ``(H, W)`` m."""
    warp = warp_waves(height, width) @ np.array(warp_m) if warp_m else np.zeros((height, width))
    return np.asarray(offset_m + warp, dtype=np.float32)
