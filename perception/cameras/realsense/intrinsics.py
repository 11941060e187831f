"""The intrinsics of a camera's images against those of the rig: adopted when close, refused when not."""

import logging
from typing import Any

import numpy as np

from datasets.common.errors import DeviceError
from datasets.rig.projection import Intrinsics
from perception.cameras.realsense.image_fit import ImageFit
from perception.cameras.realsense.settings import CameraParams

logger = logging.getLogger(__name__)


def adopt_intrinsics(reported: Any, rig: Intrinsics, settings: CameraParams) -> Intrinsics:
    """The pinhole intrinsics of a stream's images once they have the rig's size, checked against the rig's.

    Args:
        reported: ``rs.intrinsics`` of the colour stream.
        rig: what the rig says of the camera.
        settings: the tolerances.

    Raises:
        DeviceError: an image size that does not fit, lens distortion, or a focal length or principal point too far from
            the rig's.
    """
    if not np.isfinite([reported.fx, reported.fy, reported.ppx, reported.ppy]).all():
        raise DeviceError(
            f"the camera's focal lengths ({reported.fx}, {reported.fy}) px and principal point ({reported.ppx}, "
            f"{reported.ppy}) px are not numbers: the camera lost its calibration; restore it with the vendor's tools"
        )
    adopted = ImageFit.of(reported, rig).intrinsics
    # numpy's max, and comparisons that NaN fails, because a camera without calibration reports NaN.
    largest = np.max(np.abs(reported.coeffs))
    if not largest <= settings.distortion_tolerance:
        raise DeviceError(
            f"the camera reports lens distortion ({reported.model}, largest coefficient {largest:.3g}), but images are "
            "expected without; use a D435-like camera whose colour stream is free of it, or undistort its images first"
        )
    focal_off = np.max(np.abs([adopted.fx / rig.fx - 1, adopted.fy / rig.fy - 1]))
    if not focal_off <= settings.focal_tolerance:
        raise DeviceError(
            f"the camera's focal lengths ({adopted.fx:.1f}, {adopted.fy:.1f}) px differ by {focal_off:.1%} from the "
            f"rig's ({rig.fx:.1f}, {rig.fy:.1f}), at most {settings.focal_tolerance:.1%} is allowed; "
            "describe this camera in params/rig.yaml and retrain"
        )
    centre_off = np.max(np.abs([adopted.cx - rig.cx, adopted.cy - rig.cy]))
    if not centre_off <= settings.principal_point_tolerance_px:
        raise DeviceError(
            f"the camera's principal point ({adopted.cx:.1f}, {adopted.cy:.1f}) px is {centre_off:.1f} px from the "
            f"rig's ({rig.cx:.1f}, {rig.cy:.1f}), at most {settings.principal_point_tolerance_px:.1f} px is allowed; "
            "describe this camera in params/rig.yaml and retrain"
        )
    if focal_off > 1e-4 or centre_off > 0.1:
        logger.info(
            "the camera's own intrinsics are used: fx %.1f, fy %.1f, cx %.1f, cy %.1f px (focal length %.2f %%, "
            "principal point %.1f px off the rig's)",
            adopted.fx, adopted.fy, adopted.cx, adopted.cy, 100 * focal_off, centre_off,
        )  # fmt: skip
    return adopted
