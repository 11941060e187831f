"""The arm's kinematics by the table of its manual, in a few lines that share nothing with the project's own."""

import numpy as np

# d m, alpha rad, a m: the modified DH table of the xArm7 in the vendor's manual.
DH = [
    (0.267, 0.0, 0.0),
    (0.0, -np.pi / 2, 0.0),
    (0.293, np.pi / 2, 0.0),
    (0.0, np.pi / 2, 0.0525),
    (0.3425, np.pi / 2, 0.0775),
    (0.0, np.pi / 2, 0.0),
    (0.097, -np.pi / 2, 0.076),
]
TCP_ALONG_FLANGE_M = 0.172


def dh_pose(joints: np.ndarray) -> np.ndarray:
    """``T_base_tcp`` by Craig's convention: rotate alpha about x, shift a, turn theta about z, shift d."""
    pose = np.eye(4)
    for (d, alpha, a), theta in zip(DH, joints, strict=True):
        ca, sa, c, s = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
        pose = pose @ np.array(
            [[c, -s, 0, a], [s * ca, c * ca, -sa, -sa * d], [s * sa, c * sa, ca, ca * d], [0, 0, 0, 1]]
        )
    return pose @ np.block([[np.eye(3), np.array([[0], [0], [TCP_ALONG_FLANGE_M]])], [np.zeros(3), 1]])
