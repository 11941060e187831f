"""A measured camera and table: a file of its own beside the rig, which makes no trained model invalid."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import yaml
from numpy.typing import NDArray

from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.rig.rig import Rig
from datasets.store.recording import Recording
from perception.estimator.table_plane import MOST_TABLE_Z_M

Row = tuple[float, float, float, float]
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
    """

    t_base_camera: tuple[Row, Row, Row, Row]
    poses: int
    residual_mm: float
    measured: str
    table_z_m: float = 0.0

    def __post_init__(self) -> None:
        pose = self.pose
        rotation = pose[:3, :3]
        if not np.all(np.isfinite(pose)) or not np.allclose(pose[3], [0, 0, 0, 1]):
            raise ConfigError("t_base_camera must be a finite 4x4 pose whose last row is [0, 0, 0, 1]")
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4) or np.linalg.det(rotation) < 0:
            raise ConfigError("t_base_camera's upper left 3x3 is no rotation; calibrate again instead of editing it")
        if np.max(np.abs(pose[:3, 3])) > 10:
            raise ConfigError(f"t_base_camera places the camera at {pose[:3, 3].tolist()}: values are metres")
        if self.table_z_m is None or not abs(self.table_z_m) <= MOST_TABLE_Z_M:  # an empty key is read as None
            raise ConfigError(
                f"table_z_m is {self.table_z_m}: the table's height in the base frame must lie in "
                f"-{MOST_TABLE_Z_M}..{MOST_TABLE_Z_M} m"
            )

    @property
    def pose(self) -> NDArray[np.float64]:
        """``T_base_camera`` (4x4)."""
        return np.array(self.t_base_camera, dtype=float)

    def __str__(self) -> str:
        if self.measured == NOT_MEASURED:
            return self.measured
        return (
            f"{self.measured}: {self.poses} poses, residual {self.residual_mm:.1f} mm, "
            f"table at z = {1e3 * self.table_z_m:.1f} mm"
        )

    @classmethod
    def of_pose(
        cls,
        pose: NDArray[np.floating],
        measured: str,
        *,
        poses: int = 0,
        residual_mm: float = 0.0,
        table_z_m: float = 0.0,
    ) -> Self:
        """With the pose as an array (4x4)."""
        rows = tuple(tuple(map(float, row)) for row in pose)
        return cls(rows, poses, residual_mm, measured, table_z_m)  # type: ignore[arg-type]

    @classmethod
    def of_rig(cls, rig: Rig) -> Self:
        """Where the rig says that the camera stands, with the table at z = 0."""
        return cls.of_pose(rig.t_base_camera, NOT_MEASURED)

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """Read a file that :meth:`save` wrote; raises ConfigError naming what is wrong."""
        return load_params(path, cls)

    @classmethod
    def of_recording(cls, path: str | Path, rig: Rig) -> Self:
        """What a run knew of camera and table when it was recorded; the rig's own values where that was the same.

        Args:
            path: of the recording, as in ``runs/NAME/frames``.
            rig: that it is played with.

        Raises:
            DataError: there is no such recording, or it is damaged.
        """
        path = Path(path)
        stored = Recording(str(path.parent), path.name)
        if not stored.frames:
            return cls.of_rig(rig)
        pose = stored.read("T_base_camera_told", 0, 1)[0]
        table_z_m = float(stored.attributes.get("table_z_m", 0.0))
        if table_z_m == 0 and np.allclose(pose, rig.t_base_camera, atol=1e-9):
            return cls.of_rig(rig)
        return cls.of_pose(pose, f"as recorded in {path}", table_z_m=table_z_m)

    def save(self, path: str | Path) -> None:
        """Write YAML, whole or not at all."""
        values = asdict(self)
        values["t_base_camera"] = [[round(float(value), 9) for value in row] for row in self.t_base_camera]
        write_whole(path, yaml.safe_dump(values, sort_keys=False, default_flow_style=None))
