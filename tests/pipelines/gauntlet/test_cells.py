"""One method in one gap: the same whenever it is run, and kept under a digest of all it depends on."""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from control.arms.xarm.wire.sdk import wait_until
from control.learning.end_to_end import _agent as make_image_agent  # untrained: run() trains for hours
from control.learning.export import export_image_actor
from control.learning.params import EndToEndParams
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


@has_models
def test_a_cell_is_the_same_whenever_it_is_run(rig):
    cell = proportional(rig)
    # As text: an episode that never arrives holds no number there, and none of those equals another.
    assert repr(cell.run([7, 8])) == repr(cell.run([7, 8]))
    assert repr(cell.run([8])) == repr(cell.run([7, 8])[1:])


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
    assert repr(found) == repr(cell.run([3, 4]))
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
