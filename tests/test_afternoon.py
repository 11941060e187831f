"""Each page *in an afternoon* does what it says: its code is run as it stands there, on a copy of what it edits."""

import re
import sys
import textwrap
import threading
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml

from control.task import env as reach_env
from control.task.env import EnvParams, ReachEnv
from datasets.common.config import load_params
from datasets.common.errors import DeviceError
from datasets.rig.projection import look_at
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import LookRandomization, Randomization
from datasets.scene.scene import SceneSampler
from perception.estimator.estimator import PositionEstimator
from perception.networks import locator, regression
from perception.networks.export import export_look
from perception.networks.preprocess import Pixels, grid_coordinates
from pipelines.gauntlet.plan import GauntletParams

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("your_own_*.md"))


def blocks(page, language):
    """The code of a page in one language, indented as it will stand in its file."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", (ROOT / "docs" / page).read_text(), re.M | re.S)
    return ["".join(line.removeprefix(indent) for line in code.splitlines(True)) for indent, code in found]


def edited(module, *edits):
    """A module of the repository, run anew from its source with text put after, or in the place of, other text."""
    source = Path(module.__file__).read_text()
    for old, new in edits:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    made = types.ModuleType(f"edited_{module.__name__.rpartition('.')[2]}")
    sys.modules[made.__name__] = made  # dataclasses look up the module of their annotations
    exec(compile(source, module.__file__, "exec"), made.__dict__)
    return made


def test_every_page_is_on_the_site_and_names_this_file():
    for page in PAGES:
        assert page in (ROOT / "mkdocs.yml").read_text()
        if "test_afternoon" not in (text := (ROOT / "docs" / page).read_text()):
            assert re.search(r"`tests/[\w/]+\.py`", text), f"{page} names no test"


class Driver:
    """Calls back with pictures of one scene, as a camera's driver does, until it is stopped or dies."""

    def __init__(self, pictures):
        self.pictures, self.calls, self.over = pictures, 0, threading.Event()

    def start(self, receive):
        self.over.clear()
        self.thread = threading.Thread(target=self._run, args=(receive,))
        self.thread.start()

    def _run(self, receive):
        while not self.over.wait(0.02):
            receive(*self.pictures)

    def stop(self):
        self.calls += 1
        self.over.set()
        self.thread.join()


def test_the_camera_of_the_page_delivers_frames_that_the_estimator_understands(rig):
    (code,) = blocks("your_own_camera.md", "python")
    names = {}
    exec(code, names)
    scene = SceneSampler(rig, Randomization(look=LookRandomization(occluder=0.0))).sample(5)
    photographer = Photographer(rig)
    driver = Driver(photographer.photograph_native(scene))
    photographer.close()
    camera = names["CallbackCamera"](driver, scene.intrinsics)
    with camera:
        frame = camera.read_latest(max_age_s=1.0)
        assert camera.read().timestamp > frame.timestamp
        estimator = PositionEstimator.load(rig=rig).bound(scene.t_base_camera, camera.intrinsics)
        assert np.linalg.norm(estimator.estimate(frame).xyz - scene.tcp) < 0.02
        driver.over.set()
        driver.thread.join()
        time.sleep(0.1)  # for which the frame grows old
        with pytest.raises(DeviceError):
            camera.read_latest(max_age_s=0.05)
    camera.disconnect()
    assert driver.calls == 1
    assert not camera.is_connected


def test_the_backbone_of_the_page_is_built_by_name_learns_and_is_exported(rig, monkeypatch, tmp_path):
    features, named = blocks("your_own_backbone.md", "python")
    networks = sys.modules["perception.networks"]
    exec(features, vars(regression), made := {})
    before = '    if kind == "timm" and detail:\n'
    package = edited(networks, (before, named + before))
    package.pooled = made["pooled"]
    monkeypatch.setattr(locator, "build_backbone", package.build_backbone)
    torch.manual_seed(0)
    net = locator.Locator(locator.LookSettings.for_rig("glance", "pooled", "rgbd", rig))
    window = torch.tensor([[80.0, 0.0, 480.0, 480.0]]).repeat(4, 1)
    columns, rows = grid_coordinates(window, rig.input_px)
    rgb = torch.randint(0, 255, (4, 84, 84, 3), dtype=torch.uint8)
    intrinsics = torch.tensor(rig.camera.as_array(), dtype=torch.float32).repeat(4, 1)
    pose = torch.tensor(look_at(rig.camera_position_m, rig.camera_look_at_m), dtype=torch.float32).repeat(4, 1, 1)
    pixels = Pixels(rgb, 1 + torch.rand(4, 84, 84), columns, rows, intrinsics)
    view = net.view(pixels, pose, torch.zeros(4, 3))
    wanted, losses = torch.randn(4, 1, 3) * 0.1, []
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(40):
        loss = (net.answer(view).xyz - wanted).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    file = tmp_path / "pooled.onnx"
    export_look(net, file)
    assert [output.name for output in onnxruntime.InferenceSession(file).get_outputs()] == ["xyz", "sigma"]


def test_the_reward_of_the_page_counts_in_the_last_centimetre(monkeypatch, tmp_path):
    field, term = blocks("your_own_reward.md", "python")
    rewards = sys.modules["control.task.rewards"]
    last = "    effort_weight: Annotated[float, Within(0)] = 0.0\n"
    module = edited(
        rewards,
        (last, last + field),
        ("    return -params.distance_weight * distance\n", term),
    )
    path = tmp_path / "reward.yaml"
    path.write_text("precision_weight: 0.5\n")
    params = load_params(path, module.RewardParams)
    for name in ("reward_terms", "goal_term"):
        monkeypatch.setattr(reach_env, name, getattr(module, name))
    env = ReachEnv(replace(EnvParams(), reward=params))
    _, info = env.reset(seed=0)
    _, reward, _, _, info = env.step(np.zeros(3))
    distance = info["distance_m"]
    assert reward == pytest.approx(0.5 * np.exp(-distance / 0.01) - 10 * distance, abs=1e-4)
    near, far = np.array([0.0, 0.0, 0.001]), np.array([0.0, 0.0, 0.1])
    assert module.goal_term(near, np.zeros(3), params) > 0 > module.goal_term(far, np.zeros(3), params)
    assert module.goal_term(far, np.zeros(3), module.RewardParams()) == rewards.goal_term(
        far, np.zeros(3), rewards.RewardParams()
    )


def test_it_is_dark_in_the_gap_of_the_page(rig, tmp_path):
    (line,) = blocks("your_own_gap.md", "yaml")
    text = (ROOT / "params/gauntlet.yaml").read_text()
    before = "  light: {group: picture"
    path = tmp_path / "gauntlet.yaml"
    path.write_text(text.replace(before, textwrap.indent(textwrap.dedent(line), "  ") + before, 1))
    assert set(yaml.safe_load(path.read_text())["gaps"]) - set(yaml.safe_load(text)["gaps"]) == {"dusk"}
    gap = load_params(path, GauntletParams).gaps["dusk"]
    photographer = Photographer(rig)
    nominal = Randomization(look=LookRandomization(occluder=0.0))
    brightness = {
        name: np.mean(
            [
                photographer.photograph(SceneSampler(rig, ranges).sample(seed), rig.picture_window, 84)[0].mean()
                for seed in range(4)
            ]
        )
        for name, ranges in (("nominal", nominal), ("dusk", gap.randomization(nominal)))
    }
    photographer.close()
    assert brightness["dusk"] < 0.6 * brightness["nominal"]
