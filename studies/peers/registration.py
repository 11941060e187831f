"""The row on the camera's pose from the arm's whole body, compared with roboreg's Hydra."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from control.arms.fence import Fence
from control.arms.params import ArmParams
from control.clearance.arm_clearance import ArmClearance
from datasets.rig.projection import Array, backproject
from datasets.rig.rig import Rig
from perception.calibration.captures import Captures
from perception.calibration.registration.arm_view import ArmView
from perception.calibration.registration.motion import places
from perception.calibration.registration.register import register
from pipelines.capture.postures import choose_postures
from pipelines.twin.hidden.captures import hidden_captures
from studies.peers.environment import Peers
from studies.peers.row import Row, difference, row

TWINS = range(1000, 1005)
HYDRA_POINTS, HYDRA_SURFACE_POINTS = 3000, 12_000
"""Numbers of points per posture, observed and on the arm's surface: Hydra's own command takes all observed points and
5000 of each mesh, on a GPU."""


def registration(peers: Peers, postures: int = 10) -> list[Row]:
    """The camera's pose from the arm's whole body, without a start value: ``calibrate --frames``, roboreg's Hydra."""
    rig = Rig.load()
    fence, clearance = Fence.from_rig(rig, ArmParams()), ArmClearance(rig)
    errors: dict[str, list[Array]] = {"ours": [], "theirs": []}
    spent: dict[str, list[float]] = {"ours": [], "theirs": []}
    with TemporaryDirectory() as folder:
        for seed in TWINS:
            plan = choose_postures(rig, fence, clearance, postures, seed)
            captures, truth = hidden_captures(seed, plan, rig=rig, frames=1)
            path = Path(folder) / f"{seed}.npz"
            _save_clouds(captures, truth.pose, path)
            sides: dict[str, Callable[[], Any]] = {
                "ours": lambda captures=captures: register(captures).t_base_camera,
                "theirs": lambda path=path: peers.ask("hydra", clouds=str(path)),
            }
            for name, side in sides.items():
                began = time.monotonic()
                errors[name].append(difference(np.array(side()), truth.pose, places(rig.workspace)))
                spent[name].append(time.monotonic() - began)
    theirs_s, ours_s = (float(np.median(spent[side])) for side in ("theirs", "ours"))
    note = (
        f"{len(TWINS)} hidden twins, {postures} postures, no start; depth is up to 2 % off, which Hydra does not "
        "estimate; it is given the true masks, of which it uses the borders; "
        f"it takes {theirs_s:.0f} s, ours {ours_s:.0f} s"
    )
    medians = {name: np.median(values, axis=0) for name, values in errors.items()}
    names = {"ours": "calibrate --frames", "theirs": "roboreg, Hydra robust ICP"}
    return [
        row(
            f"Camera's pose by the whole arm, {unit}",
            unit,
            *((names[side], float(medians[side][key])) for side in names),
            False,
            note,
        )
        for key, unit in enumerate(("mm", "deg"))
    ]


def _save_clouds(captures: Captures, true_pose: Array, path: Path) -> None:
    """Writes what ``hydra`` of ``worker.py`` reads, from one frame per posture."""
    k, rng = captures.intrinsics, np.random.default_rng(0)
    view = ArmView((k.width, k.height))
    clouds = {}
    try:
        for i, (depth, joints) in enumerate(zip(captures.depth, captures.joints, strict=True)):
            view.place(joints)
            mask = (view.draw(true_pose, k)[0] > 0).astype(np.uint8)
            # As in HydraConfig of roboreg 0.6.7: only the mask's border, 10 px inwards and 3 px outwards.
            border = cv2.dilate(mask, np.ones((3, 3))) > cv2.erode(mask, np.ones((10, 10)))
            v, u = np.nonzero(border & (depth > 0) & (depth < 2.0))
            chosen = rng.permutation(len(v))[:HYDRA_POINTS]
            clouds[f"observed_{i}"] = backproject(np.stack([u, v], axis=-1)[chosen], depth[v, u][chosen], k)
            surface = view.surface(HYDRA_SURFACE_POINTS)
            clouds[f"reference_{i}"], clouds[f"normals_{i}"] = surface.points, surface.normals
    finally:
        view.close()
    np.savez(path, **clouds)
