"""How long an estimate takes, side by side with other ways in one run: ``python tests/benchmarks/bench_estimator.py``.

Writes ``results/benchmarks/estimator.json``. From a whole 640x480 frame to a position by all looks, ONNX Runtime on
one thread. The frames are drawn beforehand. Every round times each side on the same frames, one side after the other;
ratios are medians over rounds, so that a machine whose speed drifts does so for all sides.
"""

import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo reads it when it is imported
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy and torch are imported

import cv2
import numpy as np
import onnxruntime
import timm
import torch
from tqdm import tqdm

from datasets.rig.frame import Frame
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import Randomization
from datasets.scene.scene import Scene, SceneSampler
from perception.estimator import estimator as estimator_module
from perception.estimator.estimator import MODEL_FOLDER, PositionEstimator

OUT = Path("results/benchmarks/estimator.json")
FRAMES, ROUNDS = 120, 8
SINGLE_NET = "mobilenetv3_small_050"
"""One of timm's smallest, at the whole view, with no second look."""
LIMIT_P50_MS = 6.0

Side = Callable[[Frame, Scene], object]


class Looks:
    """The estimator, its parts timed apart: each network, cutting the windows, and checking the pose by the table."""

    def __init__(self, rig: Rig) -> None:
        self.estimator = PositionEstimator.load(MODEL_FOLDER, rig)
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        for look, session in list(self.estimator._sessions.items()):
            self.estimator._sessions[look] = TimedSession(self._timed(look, session.run))
        estimator_module.fit_table = self._timed("pose_check", estimator_module.fit_table)
        self._timed_cut = self._timed("cut", Frame.cut)

    def __call__(self, frame: Frame, scene: Scene) -> object:
        with patch.object(Frame, "cut", lambda *inputs: self._timed_cut(*inputs)):
            return self.estimator.bound(scene.t_base_camera_told, scene.intrinsics).estimate(frame)

    def _timed(self, name: str, call: Callable) -> Callable:
        def timed(*inputs: object) -> object:
            begun = time.perf_counter()
            answer = call(*inputs)
            self.seconds[name].append(time.perf_counter() - begun)
            return answer

        return timed


class TimedSession:
    def __init__(self, run: Callable) -> None:
        self.run = run


class SingleNet:
    """One ordinary network of timm, untrained (speed does not depend on weights), on the glance's window, RGB-D."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        network = timm.create_model(SINGLE_NET, pretrained=False, in_chans=4, num_classes=3).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.onnx"
            example = torch.zeros(1, 4, rig.input_px, rig.input_px)
            torch.onnx.export(network, (example,), path, input_names=["image"], dynamo=True, verbose=False)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 3
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, frame: Frame, scene: Scene) -> object:
        rgb, depth = frame.cut(self.rig.picture_window, self.rig.input_px)
        image = np.concatenate([rgb.astype(np.float32) / 255, depth[..., None]], axis=-1)
        return self.session.run(None, {"image": np.ascontiguousarray(image.transpose(2, 0, 1))[None]})


def blur(frame: Frame, scene: Scene) -> object:
    """A yardstick that has no network: a Gaussian blur of the whole colour image by OpenCV."""
    return cv2.GaussianBlur(frame.rgb, (9, 9), 2.0)


def draw(rig: Rig, count: int) -> list[tuple[Frame, Scene]]:
    """Native frames of as many scenes."""
    photographer, sampler, drawn = Photographer(rig), SceneSampler(rig, Randomization()), []
    for seed in tqdm(range(count), desc="drawing", unit="frame"):
        scene = sampler.sample(seed)
        drawn.append((Frame(*photographer.photograph_native(scene), 0.0), scene))
    photographer.close()
    return drawn


def quantiles_ms(seconds: list[float]) -> dict[str, float]:
    return {f"p{q}": round(1e3 * float(np.percentile(seconds, q)), 3) for q in (50, 99)}


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rig = Rig.load()
    looks = Looks(rig)
    sides: dict[str, Side] = {"estimate": looks, "single_net": SingleNet(rig), "blur": blur}
    drawn = draw(rig, FRAMES)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    medians: dict[str, list[float]] = {name: [] for name in sides}
    for number in tqdm(range(ROUNDS + 1), desc="rounds"):
        if number == 1:  # the first round warmed up
            for each in looks.seconds.values():
                each.clear()
        for name, side in sides.items():
            taken = []
            for frame, scene in drawn:
                begun = time.perf_counter()
                side(frame, scene)
                taken.append(time.perf_counter() - begun)
            if number:
                seconds[name] += taken
                medians[name].append(float(np.median(taken)))
    ours = np.array(medians["estimate"])
    p50 = quantiles_ms(seconds["estimate"])["p50"]
    result = {
        "ms": {name: quantiles_ms(each) for name, each in seconds.items()}
        | {f"estimate.{part}": quantiles_ms(each) for part, each in looks.seconds.items()},
        "best_round_p50_ms": round(1e3 * float(ours.min()), 3),
        "foveas_per_frame": round(len(looks.seconds["fovea"]) / len(looks.seconds["glance"]), 3),
        "ratio": {
            f"estimate_to_{name}": round(float(np.median(ours / np.array(medians[name]))), 3)
            for name in ("single_net", "blur")
        },
        "limit_p50_ms": LIMIT_P50_MS,
        "within_limit": p50 <= LIMIT_P50_MS,
        "single_net": f"timm:{SINGLE_NET}, RGB-D, {rig.input_px}x{rig.input_px}",
        "frames": FRAMES,
        "rounds": ROUNDS,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(OUT.read_text())


if __name__ == "__main__":
    main()
