r"""Places on the arm that follow from the joints: free labels, from which a glance learns which end is the flange.

With the parameters of :mod:`datasets.rig.landmarks`:

.. math:: T_{i-1,i} = R_x(\alpha_{i-1})\, D_x(a_{i-1})\, R_z(q_i)\, D_z(d_i)
"""

import torch
from torch import Tensor

from datasets.rig.landmarks import A_M, AXIS_M, D_M, ELBOW, QUARTERS, WRIST


def frames(joints: Tensor) -> Tensor:
    """``T_base_link`` ``(B, 7, 4, 4)`` of the seven links at joints ``(B, 7)`` rad."""
    pose = torch.eye(4, dtype=joints.dtype, device=joints.device).expand(len(joints), 4, 4)
    found = []
    for angle, d, a, quarter in zip(joints.unbind(1), D_M, A_M, QUARTERS, strict=True):
        c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
        # R_x of a quarter turn maps y to z and z to -y.
        ca, sa = float(quarter == 0), float(quarter)
        rows = [c, -s, zero, a * one, s * ca, c * ca, -sa * one, -sa * d * one, s * sa, c * sa, ca * one, ca * d * one]
        step = torch.stack([*rows, zero, zero, zero, one], dim=1).view(-1, 4, 4)
        pose = pose @ step
        found.append(pose)
    return torch.stack(found, dim=1)


def landmarks(joints: Tensor, tcp: Tensor) -> Tensor:
    """Elbow, wrist and a point on the tool's axis ``(B, 3, 3)`` m in the base frame, of joints ``(B, 7)`` rad.

    ``tcp`` ``(B, 3)`` m lies on the axis.
    """
    poses = frames(joints)
    axis = tcp - AXIS_M * poses[:, 6, :3, 2]
    return torch.stack([poses[:, ELBOW - 1, :3, 3], poses[:, WRIST - 1, :3, 3], axis], dim=1)
