"""What a registration found: as a calibration for the runtime, and in words for the operator."""

import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import invert
from datasets.rig.rig import Rig
from perception.calibration.calibration import Calibration
from perception.calibration.registration.arm_view import LINKS
from perception.calibration.registration.fit import JOINTS_SD_RAD
from perception.calibration.registration.motion import places, standard_deviation
from perception.calibration.registration.result import Registration


def registered(found: Registration, rig: Rig, words: str) -> Calibration:
    """What registration found, as a calibration; the table's height is taken below the middle of the workspace."""
    table_z_m = 0.0
    if found.table is not None:
        x, y, _ = (rig.workspace.low + rig.workspace.high) / 2
        table_z_m = float((found.table[3] - found.table[0] * x - found.table[1] * y) / found.table[2])
    return Calibration.of_pose(
        found.t_base_camera,
        words,
        poses=len(found.postures),
        residual_mm=round(float(np.sqrt(np.nanmean(found.residuals_mm**2))), 3),
        table_z_m=round(table_z_m, 4),
        table_seen=found.table is not None,
        covariance=tuple(tuple(row) for row in found.covariance.tolist()),
        intrinsics=found.intrinsics,
        depth_scale=round(float(found.depth_scale), 6),
        depth_offset_m=round(float(found.depth_offset_m), 6),
        depth_warp_m=tuple(round(value, 6) for value in found.depth_warp_m.tolist()),
    )


def told(found: Registration, calibration: Calibration, rig: Rig) -> str:
    """What registration found, as lines of text."""
    deviation_mm = 1e3 * standard_deviation(found.covariance, places(rig.workspace))
    turned_deg = np.degrees(np.sqrt(found.covariance.diagonal()[3:].max()))
    metre = np.ones((found.intrinsics.height, found.intrinsics.width), np.float32)
    warp_mm = 1e3 * np.ptp(calibration.true_depth(metre))
    by_link = [
        f"{link} {np.nanmedian(column):+.1f}"
        for link, column in zip(LINKS, found.residuals_mm.T, strict=True)
        if np.isfinite(column).any()
    ]
    offsets = np.degrees(found.joint_offsets_rad)
    lines = [
        f"camera at {found.t_base_camera[:3, 3].round(4).tolist()} m, known to {deviation_mm:.2f} mm and "
        f"{turned_deg:.3f} deg (one standard deviation, where the tool goes)",
        f"from where the rig says: {difference(found.t_base_camera, rig.t_base_camera)}",
        f"depth: scale {100 * (found.depth_scale - 1):+.2f} %, offset {1e3 * found.depth_offset_m:+.1f} mm, warp over "
        f"the image {warp_mm:.1f} mm",
        "table: not seen, the site file's height or z = 0 is kept"
        if found.table is None
        else f"table: z = {1e3 * calibration.table_z_m:+.1f} mm in the base frame",
        f"left unexplained, mm: {', '.join(by_link)}",
    ]
    if found.by_joints.any():
        more_mm = 1e3 * standard_deviation(found.by_joints, places(rig.workspace))
        lines.insert(
            1,
            f"that holds if the joints stand where their encoders say; offsets of {1e3 * JOINTS_SD_RAD:g} mrad, as a "
            f"factory leaves them, would add {more_mm:.1f} mm (one standard deviation; see --fit-joints)",
        )
    if offsets.any():
        lines.append(f"joints stand off from their encoders by {', '.join(f'{each:+.3f}' for each in offsets)} deg")
    if found.disagreeing:
        lines.append(f"postures that the others do not fit: {', '.join(map(str, found.disagreeing))}")
    return "\n".join(lines)


def difference(pose: NDArray[np.floating], other: NDArray[np.floating]) -> str:
    """How far two camera poses are apart, in words."""
    offset = 1e3 * (pose[:3, 3] - other[:3, 3])
    turned = (invert(other) @ pose)[:3, :3]
    angle = np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1)))
    return f"{np.linalg.norm(offset):.1f} mm ({', '.join(f'{value:+.1f}' for value in offset)}) and {angle:.2f} deg"
