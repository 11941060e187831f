"""Draws which postures were taken, and from which sides they show the arm."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from control.arms.fence import Fence
from datasets.arm.kinematics import Kinematics
from datasets.rig.projection import Array
from datasets.rig.rig import Box
from perception.calibration.registration.posture import LinkPlaces

_X_M, _Y_M, _Z_M = (-0.5, 0.9), (-0.7, 0.7), (-0.2, 1.2)


def draw_coverage(
    plan: Array,
    taken: NDArray[np.bool_],
    fence: Fence,
    keep_out: Mapping[str, Box],
    path: Path,
    tcp_offset_m: float | None = None,
) -> None:
    """Draw the links from above and from the side, and each joint's angles, as PNG; postures not taken are pale.

    Args:
        plan: ``(P, 7)`` rad.
        taken: ``(P,)`` bool.
        fence: the box that the TCP stays in, drawn dashed.
        keep_out: boxes of the site by name, drawn grey.
        path: the file to write.
        tcp_offset_m: TCP offset of the mounted tool, as :class:`datasets.arm.kinematics.Kinematics` takes it.
    """
    links, kinematics = LinkPlaces(), Kinematics(tcp_offset_m)
    chains = np.array([[np.zeros(3), *links(joints), kinematics.tcp(joints)] for joints in plan])
    figure, (above, side, angles) = plt.subplots(1, 3, figsize=(15, 4.8), layout="constrained")
    for joints, chain, there in zip(plan, chains, taken, strict=True):
        style = {"color": "#0072b2" if there else "0.85", "lw": 0.9, "marker": "o", "ms": 3}
        above.plot(chain[:, 0], chain[:, 1], **style)
        side.plot(chain[:, 0], chain[:, 2], **style)
        angles.plot(np.arange(1, 8), np.degrees(joints), **style)
    for axes, across in ((above, 1), (side, 2)):
        corner, size = fence.low_m[[0, across]], (fence.high_m - fence.low_m)[[0, across]]
        axes.add_patch(Rectangle(tuple(corner), *size, fill=False, ls="--", lw=0.8, label="the TCP's fence"))
        for name, box in keep_out.items():
            low, high = box.low[[0, across]], box.high[[0, across]]
            axes.add_patch(Rectangle(tuple(low), *(high - low), color="0.6", alpha=0.6, lw=0))
            axes.annotate(name, (low + high) / 2, ha="center", va="center", fontsize=7, clip_on=True)
    above.legend(loc="lower right", fontsize=7)
    above.set(xlabel="x (m)", ylabel="y (m)", title="from above", aspect="equal", xlim=_X_M, ylim=_Y_M)
    side.set(xlabel="x (m)", ylabel="z (m)", title="from the side", aspect="equal", xlim=_X_M, ylim=_Z_M)
    angles.set(xlabel="joint", ylabel="angle (deg)", title=f"{int(taken.sum())} of {len(plan)} postures taken")
    path.parent.mkdir(parents=True, exist_ok=True)
    # No date in the file: the same captures give the same bytes.
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)
