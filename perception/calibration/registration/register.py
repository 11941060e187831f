"""From captures to a calibrated camera."""

import logging

import numpy as np
from numpy.typing import ArrayLike

from datasets.arm.model import ArmName
from datasets.rig.rig import Workspace
from perception.calibration.captures import Captures
from perception.calibration.registration.result import CalibrationError, Cause, Registration

LEAST_POSTURES = 5

logger = logging.getLogger(__name__)


def register(
    captures: Captures,
    *,
    tool: str | None = None,
    arm: ArmName = "own",
    start: ArrayLike | None = None,
    fit_intrinsics: bool = False,
    fit_joints: bool = False,
    least_postures: int = LEAST_POSTURES,
    workspace: Workspace | None = None,
) -> Registration:
    """Calibrate the camera by the arm that it sees.

    Args:
        captures: frames at rest.
        tool: what is mounted; default: what the captures say. Only the gripper's shapes are known: of another tool, and
            of none, the arm's flange is the last link that is compared.
        arm: whose shapes are compared.
        start: ``T_base_camera`` (4x4) to begin with; default: searched for from nothing.
        fit_intrinsics: focal length and principal point too.
        fit_joints: offsets of joints 2 to 7 too, held near 0 by what a factory leaves (*assumed*: 1 mrad).
        least_postures: fewer are refused.
        workspace: where the pose's deviation is told; default: the rig's.

    Raises:
        CalibrationError: nothing should be calibrated from these captures; its ``cause`` says why.
    """
    if len(np.unique(captures.postures)) < least_postures:
        raise CalibrationError(Cause.TOO_FEW, f"{captures}; at least {least_postures} are needed, ten are better")
    raise NotImplementedError
