"""The gauntlet through its command line and its parts, in cells of a few short episodes."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from control.arms.xarm.wire.sdk import wait_until
from control.learning.end_to_end import EndToEndParams
from control.learning.end_to_end import _agent as make_image_agent  # untrained: run() trains for hours
from control.learning.export import export_image_actor
from control.learning.pretrained import ControlParams
from control.task.env import EnvParams
from control.task.episodes import Episode
from control.task.image_env import ImageReachEnv
from control.task.rendered import RenderedParams
from datasets.common.config import load_params
from datasets.common.errors import ConfigError, DataError
from datasets.common.workers import Workers
from pipelines.gauntlet import __main__ as gauntlet
from pipelines.gauntlet.cells import Cache, Cell, Method
from pipelines.gauntlet.gaps import Gap, MotionChange
from pipelines.gauntlet.plan import GauntletParams, Plan
from pipelines.gauntlet.scenes import GapScenes
from pipelines.report import __main__ as report

PARAMS = Path("params/gauntlet.yaml")
NOMINAL = Gap("Nominal", "nominal")
UNNOTICED = {"exact": True, "told_rig": True, "calibration_m": 0.0, "calibration_deg": 0.0}
SHORT = EnvParams(horizon=3)
has_models = pytest.mark.skipif(
    not all(Path(f"models/{name}").is_dir() for name in ("estimator", "policy")), reason="no trained models here"
)


@pytest.fixture
def params():
    return load_params(PARAMS, GauntletParams)


def proportional(rig, gap=NOMINAL, env=SHORT, name="p"):
    return Cell(name, "g", Method("proportional", "P", gain=0.2), gap, env, RenderedParams(), rig)


# The gaps


def test_every_gap_of_the_parameter_file_fits_what_it_changes(params):
    env = load_params(params.control, ControlParams).env
    for gap in (params.gaps | params.camera_map.gaps()).values():
        gap.check(env)


def test_the_issue_s_gaps_are_all_there(params):
    wanted = (
        "nominal camera_10mm camera_30mm camera_50mm camera_1deg camera_3deg camera_5deg focal_2percent light "
        "colour_texture clutter official_arm depth_noise_x2 depth_holes occluder latency_0ms latency_100ms "
        "latency_200ms latency_300ms action_noise physics payload dropped_frames backlash_3mm curved_arm slow_arm "
        "goal_5cm_per_s start_at_speed"
    )
    assert set(wanted.split()) <= set(params.gaps)


def test_the_payload_differs_from_the_joints_without_it_by_its_mass_alone(params):
    env = load_params(params.control, ControlParams).env
    bare, loaded = (params.gaps[name].env_params(env) for name in ("physics", "payload"))
    assert bare.dynamics.payload_kg == (0.0, 0.0)
    assert loaded.dynamics.payload_kg[0] >= 1.0
    assert replace(loaded, dynamics=replace(loaded.dynamics, payload_kg=(0.0, 0.0))) == bare


def test_a_gap_that_changes_what_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="look has no key 'colour'"):
        Gap("x", "picture", look={"colour": 1}).check(EnvParams())
    with pytest.raises(ConfigError, match="camera_delay_s"):
        Gap("x", "dynamics", dynamics={"camera_delay_s": [3.0, 1.0]}).check(EnvParams())
    with pytest.raises(ConfigError, match="depth_holes"):
        Gap("x", "picture", depth_holes=1.0)


# Cells


@has_models
def test_a_cell_is_the_same_whenever_it_is_run(rig):
    cell = proportional(rig)
    assert cell.run([7, 8]) == cell.run([7, 8])
    assert cell.run([8]) == cell.run([7, 8])[1:]


def test_the_digest_changes_with_what_matters_and_not_with_names(rig):
    cell = proportional(rig)
    digest = cell.digest()
    assert replace(cell, gap=replace(NOMINAL, title="other", group="picture"), method_name="q").digest() == digest
    others = [
        replace(cell, gap=replace(NOMINAL, depth_holes=0.1)),
        replace(cell, method=replace(cell.method, gain=0.3)),
        replace(cell, env=EnvParams(horizon=4)),
        replace(cell, rooms=replace(cell.rooms, split="shifted")),
    ]
    assert len({digest, *(one.digest() for one in others)}) == 5


@pytest.fixture(scope="module")
def image_model(tmp_path_factory, rig):
    """An end-to-end actor that was never trained."""
    params = load_params("params/end_to_end_rgb.yaml", EndToEndParams)
    env = ImageReachEnv(SHORT, "params/frames.yaml", "nominal", rig=rig)
    agent = make_image_agent(params, env, replace(params.agent, hidden=16, buffer_size=10), 0, None)
    env.close()
    folder = tmp_path_factory.mktemp("image_model")
    export_image_actor(agent, folder, rig, params.picture, params.sigma_m)
    return folder


@has_models
def test_goal_arm_and_scene_are_those_of_the_seed_for_every_method(rig, image_model, monkeypatch):
    seen = []
    camera = GapScenes.camera

    def watched(scenes, tcp):
        photograph = camera(scenes, tcp)
        seen.append(photograph(rig.picture_window, rig.input_px)[0].tobytes())
        return photograph

    monkeypatch.setattr(GapScenes, "camera", watched)
    # Controllers that hardly move end where they began: equal distances mean equal goals, equal pictures equal scenes.
    still = [Method("proportional", "x", gain=1e-9), Method("proportional_fused", "x", gain=1e-9)]
    found, pictures = [], []
    for method in (*still, Method("actor", "x", "models/policy"), Method("end_to_end", "x", str(image_model))):
        seen.clear()
        found.append([one.final_m for one in replace(proportional(rig), method=method).run([11, 12])])
        pictures.append(list(seen))
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert pictures[0] == pictures[1]
    looks = len(pictures[0]) // 2
    for other in pictures[2:]:  # these move: their first pictures show home
        assert [other[0], other[looks]] == [pictures[0][0], pictures[0][looks]]


def test_an_end_to_end_actor_moves_by_what_it_sees(rig, image_model):
    cell = replace(proportional(rig), method=Method("end_to_end", "E", str(image_model)))
    found = cell.run([3, 4])
    assert found == cell.run([3, 4])
    elsewhere = replace(cell, gap=Gap("x", "camera", camera={**UNNOTICED, "offset_m": 0.05})).run([3, 4])
    assert [one.final_m for one in elsewhere] != [one.final_m for one in found]


def test_pictures_do_not_matter_to_the_true_state(rig):
    cell = replace(proportional(rig), method=Method("true_state", "T", "models/policy"))
    assert replace(cell, gap=replace(NOMINAL, depth_holes=0.3)).digest() == cell.digest()
    late = Gap("x", "dynamics", dynamics={"camera_delay_s": [0.3, 0.3]})
    moving = replace(NOMINAL, motion=MotionChange(goal_speed_m_s=0.05))
    assert len({cell.digest(), replace(cell, gap=late).digest(), replace(cell, gap=moving).digest()}) == 3


def test_the_cache_gives_back_what_was_put_in_and_wants_every_seed(tmp_path):
    cache, episodes = Cache(tmp_path), [Episode(1, 0.002, 0.7, -3.0), Episode(2, 0.2, np.nan, -9.0)]
    assert cache.read("d", [1]) is None
    cache.write("d", episodes)
    assert cache.read("d", [1]) == episodes[:1]
    assert cache.read("d", [1, 2, 3]) is None
    again = cache.read("d", [2])
    assert again is not None
    assert np.isnan(again[0].arrival_s)
    assert [path.name for path in tmp_path.iterdir()] == ["d.json"]
    (tmp_path / "d.json").write_text("[[1")
    with pytest.raises(DataError, match="delete it"):
        cache.read("d", [1])


def test_a_killed_worker_loses_no_finished_cell(tmp_path, params):
    @dataclass(frozen=True)
    class Scripted:
        """Says that it runs; the cell ``d`` kills its process the first time."""

        gap_name: str
        method_name: str = "m"

        def digest(self):
            return self.gap_name

        def run(self, seeds):
            runs = tmp_path / f"{self.gap_name}.runs"
            again = runs.exists()
            with runs.open("a") as log:
                log.write("x")
            if self.gap_name == "d" and not again:
                wait_until(lambda: any((tmp_path / "kept").glob("*.json")), 30.0)  # something to lose
                os.kill(os.getpid(), signal.SIGKILL)
            return [Episode(seed, 0.001, 0.5, -1.0) for seed in seeds]

    plan = Plan({("m", name): Scripted(name) for name in "abcdefgh"}, {})
    params = replace(params, episodes=2, runs=str(tmp_path / "kept"))
    with pytest.raises(DataError, match=r"worker process died.*run the same again"):
        gauntlet.run(params, plan, Workers(2))
    finished = {path.stem for path in (tmp_path / "kept").glob("*.json")}
    assert finished
    assert "d" not in finished
    found, _ = gauntlet.run(params, plan, Workers(2))
    assert [len(found["m"][name]) for name in "abcdefgh"] == [2] * 8
    assert {(tmp_path / f"{name}.runs").read_text() for name in finished} == {"x"}


@pytest.mark.parametrize(("kind", "model"), [("proportional", "models/policy"), ("actor", None)])
def test_a_method_has_a_model_exactly_when_it_needs_one(kind, model):
    with pytest.raises(ConfigError, match="model"):
        Method(kind, "x", model)


# The command


@pytest.fixture
def small(tmp_path, params):
    """A gauntlet of two gaps and three methods, one of them not trained, in a folder of its own."""
    control = yaml.safe_load(Path("params/control.yaml").read_text())
    control["env"]["horizon"] = 4
    control["evaluation"]["interval"] = 1000
    (tmp_path / "control.yaml").write_text(yaml.safe_dump(control))
    gains = {"baselines": {"proportional": {"gain": 0.2}, "proportional_fused": {"gain": 0.7}}}
    (tmp_path / "gains.json").write_text(json.dumps(gains))
    whole = yaml.safe_load(PARAMS.read_text())
    whole["methods"] = {name: whole["methods"][name] for name in ("end_to_end_rgb", "default", "proportional")}
    whole["methods"]["end_to_end_rgb"]["model"] = str(tmp_path / "none")
    whole["gaps"] = {name: whole["gaps"][name] for name in ("nominal", "camera_30mm")}
    whole["camera_map"] = {"offsets_mm": [30], "rotations_deg": [3], "methods": ["default"]}
    whole |= {
        "episodes": 2,
        "workers": 1,
        "control": str(tmp_path / "control.yaml"),
        "gains": str(tmp_path / "gains.json"),
        "results": str(tmp_path / "results"),
        "runs": str(tmp_path / "runs"),
    }
    (tmp_path / "gauntlet.yaml").write_text(yaml.safe_dump(whole))
    return tmp_path


class Sources(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for key, value in attributes if key in ("src", "href")]


@has_models
@pytest.mark.slow
def test_a_whole_gauntlet_leaves_its_files_and_the_second_time_runs_nothing(small, capsys, monkeypatch):
    gauntlet.main(["--config", str(small / "gauntlet.yaml")])
    said = capsys.readouterr().out
    assert "skipped" in said
    assert f"`python -m pipelines.report --page --gauntlet {small / 'results'}` tells it" in said
    text = (small / "results/metrics.json").read_text()
    metrics = json.loads(text)
    assert metrics["default"]["camera_30mm"]["n"] == 2
    assert metrics["default"]["camera_30mm_3deg"]["n"] == 2
    assert "camera_30mm_3deg" not in metrics["proportional"]
    assert metrics["end_to_end_rgb"]["nominal"]["n"] == 0
    assert "no such model" in metrics["end_to_end_rgb"]["nominal"]["reason"]
    assert set(metrics["comparison"]["default_minus_proportional"]["arrival_s"]) == {"nominal", "camera_30mm"}
    with (small / "results/episodes.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * (2 + 2 + 1)
    assert {row["seed"] for row in rows if row["method"] == "default"} == {
        row["seed"] for row in rows if row["method"] == "proportional"
    }
    report.main(["--page", "--gauntlet", str(small / "results")])
    page = (small / "results/report.html").read_text()
    sources = Sources()
    sources.feed(page)
    assert sources.found
    assert all(source.startswith("data:image/png;base64,") for source in sources.found)
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?https?:", page)

    monkeypatch.setattr(Cell, "run", lambda *_: pytest.fail("a finished cell was run again"))
    gauntlet.main(["--config", str(small / "gauntlet.yaml")])
    assert (small / "results/metrics.json").read_text() == text


@has_models
@pytest.mark.slow
@pytest.mark.parametrize("where", [[], ["--backend", "ray"]], ids=["local", "ray"])
def test_two_workers_give_the_bytes_of_one_and_a_selection_is_kept_apart(small, where):
    pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    config = ["--config", str(small / "gauntlet.yaml"), "--methods", "proportional"]
    gauntlet.main(config)
    assert not (small / "results").exists()
    one = (small / "runs/selection/metrics.json").read_text()
    for file in (small / "runs").glob("*.json"):
        file.unlink()
    gauntlet.main([*config, "--workers", "2", *where, "--output", str(small / "two")])
    assert (small / "two/metrics.json").read_text() == one
    assert (small / "two/episodes.csv").read_bytes() == (small / "runs/selection/episodes.csv").read_bytes()


@has_models
@pytest.mark.slow
def test_an_interrupted_gauntlet_ends_quietly_and_keeps_its_cells(small):
    whole = yaml.safe_load((small / "gauntlet.yaml").read_text())
    (small / "gauntlet.yaml").write_text(yaml.safe_dump(whole | {"episodes": 20, "workers": 2}))
    command = [sys.executable, "-m", "pipelines.gauntlet", "--config", str(small / "gauntlet.yaml")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    wait_until(lambda: any((small / "runs").glob("*.json")) or process.poll() is not None, 120.0, 0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert list((small / "runs").glob("*.json"))
    assert not (small / "results").exists()


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        ({"episode": 3}, [], "episode"),
        ({"episodes": 0}, [], "episodes must be at least 1"),
        ({}, ["--cells", "camera_31mm"], "camera_31mm"),
        ({}, ["--methods", "ddpg"], "ddpg"),
        ({}, ["--methods", "end_to_end_rgb"], "nothing to run"),
        ({}, ["--episodes", "0"], "episodes must be at least 1"),
        ({"gains": "none.json"}, [], "none.json"),
        ({"control": "none.yaml"}, [], "none.yaml"),
        ({"methods": {}}, [], "methods is empty"),
        ({"gaps": {"nominal": {"group": "nominal", "title": "N", "dynamics": {"lags": [0, 1]}}}}, [], "lags"),
        ({"methods": {"default": {"kind": "actor", "title": "D", "model": "nowhere"}}}, [], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(small, capsys, change, arguments, words):
    whole = yaml.safe_load((small / "gauntlet.yaml").read_text()) | {"camera_map": {}} | change
    (small / "gauntlet.yaml").write_text(yaml.safe_dump(whole))
    with pytest.raises(SystemExit) as stop:
        gauntlet.main(["--config", str(small / "gauntlet.yaml"), *arguments])
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("pipelines.gauntlet: error:")
    assert words in last
    assert not (small / "results").exists()
    assert not (small / "runs" / "selection").exists()
