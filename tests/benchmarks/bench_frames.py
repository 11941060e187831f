"""How fast frames are drawn, side by side in one run: ``python tests/benchmarks/bench_frames.py``.

Writes ``results/benchmarks/frames.json``. Ratios are medians over interleaved rounds: a machine whose speed
drifts does so for both sides.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo reads it when it is imported

import loky
import mujoco
import numpy as np
from tqdm import tqdm

from datasets.arm.model import arm_spec
from datasets.arm.official import menagerie_available
from datasets.gallery import window_at_tcp
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import CameraRandomization, Randomization
from datasets.scene.scene import SceneSampler

OUT = Path("results/benchmarks/frames.json")
ROUNDS, FRAMES = 7, 150


class Drawing:
    """One way of drawing frames, timed round by round."""

    def __init__(self, rig: Rig, arm: str = "own") -> None:
        self.rig = rig
        self.sampler = SceneSampler(rig, Randomization(arm=arm, camera=CameraRandomization(0.05, 3.0, 0.015)))
        self.photographer = Photographer(rig, arm)

    def glance(self, seed: int) -> None:
        self.photographer.photograph(self.sampler.sample(seed), self.rig.picture_window, self.rig.input_px)

    def fovea(self, seed: int) -> None:
        scene = self.sampler.sample(seed)
        self.photographer.photograph(scene, window_at_tcp(scene, self.rig), self.rig.input_px)

    def both(self, seed: int) -> None:
        scene = self.sampler.sample(seed)
        self.photographer.photograph(scene, self.rig.picture_window, self.rig.input_px)
        self.photographer.photograph(scene, window_at_tcp(scene, self.rig), self.rig.input_px)


class PlainRenderer:
    """MuJoCo's own Renderer as its documentation uses it: the official model, colour, then depth."""

    def __init__(self, rig: Rig) -> None:
        spec = arm_spec("menagerie", decimate=False)
        spec.worldbody.add_camera(name="rig", pos=rig.camera_position_m, fovy=42.6, xyaxes=[0, 1, 0, -0.316, 0, 0.949])
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.renderer = mujoco.Renderer(self.model, rig.input_px, rig.input_px)

    def glance(self, seed: int) -> None:
        self.data.qpos[:7] = np.random.default_rng(seed).uniform(-1, 1, 7)
        mujoco.mj_forward(self.model, self.data)
        self.renderer.disable_depth_rendering()
        self.renderer.update_scene(self.data, "rig")
        self.renderer.render()
        self.renderer.enable_depth_rendering()
        self.renderer.render()


def frames_per_second(draw: Callable[[int], None], first_seed: int) -> float:
    """Rate of one round."""
    begun = time.perf_counter()
    for seed in range(first_seed, first_seed + FRAMES):
        draw(seed)
    return FRAMES / (time.perf_counter() - begun)


def _worker(seconds: float) -> int:
    drawing = Drawing(Rig.load())
    drawing.both(0)
    begun, drawn = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        drawing.both(drawn)
        drawn += 1
    return drawn


def scaling(seconds: float = 4.0) -> float:
    """Rate of two processes over the rate of one, the best-matched of interleaved rounds' median."""
    ratios = []
    with loky.ProcessPoolExecutor(2) as pool:
        list(pool.map(_worker, [0.5, 0.5]))
        for _ in range(3):
            one = pool.submit(_worker, seconds).result()
            ratios.append(sum(pool.map(_worker, [seconds, seconds])) / one)
    return float(np.median(ratios))


def main() -> None:
    rig = Rig.load()
    own = Drawing(rig)
    sides = {"glance": own.glance, "fovea": own.fovea}
    reason = menagerie_available()
    if reason is None:
        sides |= {
            "official_glance": Drawing(rig, "menagerie").glance,
            "plain_renderer_official": PlainRenderer(rig).glance,
        }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in tqdm(range(ROUNDS + 1), desc="rounds"):
        for name, draw in sides.items():
            rate = frames_per_second(draw, 1000 * number)
            if number:  # the first round warms up
                rates[name].append(rate)
    result: dict = {"frames_per_s": {name: round(float(np.median(values)), 1) for name, values in rates.items()}}
    if reason is None:
        plain = np.array(rates["plain_renderer_official"])
        result["ratio_to_plain_renderer"] = {
            name: round(float(np.median(np.array(values) / plain)), 2) for name, values in rates.items()
        }
    else:
        result["ratio_to_plain_renderer"] = {"n": 0, "reason": reason}
    result |= {"scaling_two_processes": round(scaling(), 2), "rounds": ROUNDS, "frames_per_round": FRAMES}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(OUT.read_text())


if __name__ == "__main__":
    main()
