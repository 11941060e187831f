"""Pictures of what the networks train on: the rig, randomized scenes, and the depth camera's errors.

``python -m datasets.gallery`` writes them to ``results/frames``.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.files import write_whole
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.projection import Window, invert, transform
from datasets.rig.rig import RIG_PATH, Rig
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import CameraRandomization, LookRandomization, Randomization
from datasets.scene.scene import Scene, SceneSampler

FOLDER = Path("results/frames")
NEAR_M, FAR_M = 0.6, 2.0

Image = NDArray[np.uint8]


def depth_colours(depth_m: NDArray[np.float32]) -> Image:
    """Depth ``(H, W)`` as colours from near (bright) to far; no reading is black."""
    share = np.clip((FAR_M - depth_m) / (FAR_M - NEAR_M), 0, 1)
    colours = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1]
    return np.where(depth_m[..., None] > 0, colours, 0).astype(np.uint8)


def window_at_tcp(scene: Scene, rig: Rig) -> Window:
    """The fovea's window around the true TCP."""
    return rig.fovea_window(transform(invert(scene.t_base_camera), scene.tcp), scene.intrinsics)


def whole_window(scene: Scene, rig: Rig) -> Window:
    """The glance's window."""
    return rig.glance_window(scene.t_base_camera_told, scene.intrinsics)


def rig_picture(photographer: Photographer, rig: Rig, seed: int = 9) -> Image:
    """The whole view and both looks, in colour and depth, with their windows drawn: ``(480, 1600, 3)``."""
    bright = LookRandomization(wild_arm=0, occluder=0, arm_shade=(1, 1), key_light=(0.6, 0.7), ambient=(0.4, 0.5))
    scene = SceneSampler(rig, Randomization(look=bright, depth_noise=(1, 1))).sample(seed)
    rgb, _ = photographer.photograph_native(scene)
    glance, fovea = whole_window(scene, rig), window_at_tcp(scene, rig)
    whole = rgb.copy()
    for window, colour in ((glance, (255, 255, 255)), (fovea, (255, 200, 0))):
        corner = np.array([window.left + 0.5, window.top + 0.5], int)
        cv2.rectangle(whole, corner.tolist(), (corner + int(window.width) - 1).tolist(), colour, 2)
    columns = [whole]
    for window in (glance, fovea):
        look, depth = photographer.photograph(scene, window, rig.input_px)
        columns.append(np.vstack([_enlarged(look, 240), _enlarged(depth_colours(depth), 240)]))
    return np.hstack(columns)


def randomized_picture(photographer: Photographer, rig: Rig, rows: int = 3, columns: int = 8) -> Image:
    """A grid of glances of training scenes, from cameras of the whole envelope."""
    sampler = SceneSampler(rig, Randomization(camera=CameraRandomization(envelope=CameraEnvelope())))
    scenes = map(sampler.sample, range(rows * columns))
    looks = [photographer.photograph(scene, whole_window(scene, rig), rig.input_px)[0] for scene in scenes]
    grid = [np.hstack([_enlarged(look, 168) for look in looks[row * columns :][:columns]]) for row in range(rows)]
    return np.vstack(grid)


def depth_noise_picture(photographer: Photographer, rig: Rig, levels: Sequence[float] = (0.0, 0.5, 1.0, 1.5)) -> Image:
    """The fovea's depth at several levels of noise, clean first, for three scenes."""
    sampler = SceneSampler(rig, Randomization(look=LookRandomization(occluder=0, ambient=(0.15, 0.6))))
    rows = []
    for seed in (1, 4, 6):
        scene = sampler.sample(seed)
        window = window_at_tcp(scene, rig)
        row = [_enlarged(photographer.photograph(scene, window, rig.input_px)[0], 252)]
        for level in levels:
            noisy = dataclasses.replace(scene, depth_noise=level)
            row.append(_enlarged(depth_colours(photographer.photograph(noisy, window, rig.input_px)[1]), 252))
        rows.append(np.hstack(row))
    return np.vstack(rows)


def _enlarged(image: Image, side_px: int) -> Image:
    return cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = CommandParser(prog="python -m datasets.gallery", description=__doc__.splitlines()[0], result=True)
    parser.add_argument("--rig", type=Path, default=RIG_PATH, help="rig file (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: %(default)s)")
    options = parser.parse_args(arguments)
    with command_line("datasets.gallery", options) as tell:
        rig = Rig.load(options.rig)
        require_writable_folder(options.out, "--out")
        photographer = Photographer(rig)
        options.out.mkdir(parents=True, exist_ok=True)
        written = []
        for name, draw in (
            ("rig", rig_picture),
            ("randomized", randomized_picture),
            ("depth_noise", depth_noise_picture),
        ):
            path = options.out / f"{name}.png"
            picture = cv2.imencode(".png", np.ascontiguousarray(draw(photographer, rig)[..., ::-1]))[1]
            write_whole(path, picture.tobytes())  # cv2.imwrite does not report a file that it could not write
            written.append(str(path))
        photographer.close()
        tell({"written": written}, "\n".join(written))


if __name__ == "__main__":
    main()
