"""Pictures of each judged frame, for its owner alone: they are never written where git would take them up."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets.common.cli import require_writable_folder
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.rig.projection import Array, invert, project, transform
from perception.calibration.captures import Captures
from perception.calibration.pictures import outlined
from perception.calibration.registration.arm_view import ArmView

_REFERENCE, _GIVEN, _FITTED = (0, 255, 0), (255, 60, 60), (60, 140, 255)
_ARM_PX = 9


def require_private(folder: Path) -> None:
    """Refuse a folder that cannot be written, or in which git would take pictures for part of a repository.

    Raises:
        ConfigError: the message says which.
    """
    require_writable_folder(folder, "--overlays")
    there = folder.resolve()
    repository = next((each for each in (there, *there.parents) if (each / ".git").exists()), None)
    if repository is None:
        return
    line = ["git", "-C", str(repository), "check-ignore", "--quiet", str(there / "overlay_0.png")]
    try:
        ignored = subprocess.run(line, capture_output=True).returncode == 0
    except FileNotFoundError:  # without git this cannot be known
        ignored = False
    if not ignored:
        raise ConfigError(
            f"--overlays {folder}: lies in the repository {repository}, which does not ignore it, and pictures of real "
            "rooms do not belong there; name a folder outside of it"
        )


def draw_overlays(
    captures: Captures,
    pose: Array,
    truth: Array,
    estimates: Sequence[tuple[Array, Array | None]],
    rows: Sequence[dict[str, Any]],
    folder: Path,
    *,
    bare: bool,
) -> None:
    """Write ``overlay_N.png`` of each frame: the arm's outline, where its TCP is (green), where it was estimated.

    Args:
        captures: the frames.
        pose: of the camera (4x4) by which outline and reference are drawn.
        truth: ``(N, 3)`` m, base frame.
        estimates: of each frame in the camera's frame: with the pose as given (red) and as fitted (blue), ``(3,)`` m.
        rows: of :func:`perception.real.judge.judge`, whose figures are written below.
        folder: of the pictures.
        bare: whether the arm has nothing on its flange.
    """
    k = captures.intrinsics
    view = ArmView((k.width, k.height), tool=not bare)
    try:
        for index, joints in enumerate(tqdm(captures.joints, desc="overlays", unit="frame")):
            view.place(joints)
            picture = np.ascontiguousarray(outlined(captures.rgb[index], view.draw(pose, k)[0] > 0))
            marks = [(_REFERENCE, transform(invert(pose), truth[index]))]
            marks += list(zip((_GIVEN, _FITTED), estimates[index], strict=True))  # type: ignore[arg-type]  # or None: not fitted
            for colour, point in marks:
                if point is not None and point[2] > 0:
                    column, row = np.rint(project(point, k)).astype(int).clip(-10000, 10000).tolist()
                    cv2.drawMarker(picture, (column, row), colour, cv2.MARKER_CROSS, 2 * _ARM_PX, 2)
            _write_below(picture, _words(rows[index]))
            done = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
            write_whole(folder / f"overlay_{index}.png", done.tobytes())
    finally:
        view.close()


def _words(row: dict[str, Any]) -> str:
    ways = [
        f"{name} {row[name]['error_mm']:.0f} mm (sigma {row[name]['sigma_mm']:.0f})"
        for name in ("given", "fitted")
        if row[name]
    ]
    return ", ".join(ways)


def _write_below(picture: NDArray[np.uint8], words: str) -> None:
    for colour, thick in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        place = (8, picture.shape[0] - 10)
        cv2.putText(picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, thick, cv2.LINE_AA)
