"""The split unlike: measured with what it needs at hand, gone on with after a kill, and left alone without."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.workers import Workers
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.path_tracer.photographer import path_tracer_available
from datasets.scene.photographer import Photographer
from perception import unlike
from perception.estimator.estimator import MODEL_FOLDER
from perception.evaluation import predictions
from perception.evaluation.predictions import CHUNK, Predictions, predict
from perception.evaluation.split_figures import SPLIT_FIGURES

trained = pytest.mark.skipif(not MODEL_FOLDER.is_dir(), reason="no trained models here")


@pytest.fixture
def config(tmp_path):
    content = yaml.safe_load(Path("params/unlike.yaml").read_text())
    content |= {"results": str(tmp_path / "results"), "runs": str(tmp_path / "runs"), "workers": 1}
    path = tmp_path / "unlike.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@trained
@pytest.mark.skipif(path_tracer_available() is not None, reason=str(path_tracer_available()))
def test_some_frames_are_measured_as_the_other_splits_are(config, tmp_path, capsys):
    unlike.main(["--config", config, "--frames", "3", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "results/metrics.json").read_text())
    assert told["default"]["unlike"]["n"] == 3
    assert told["default"]["unlike"]["p95_mm"] < 30
    assert set(told) == set(SPLIT_FIGURES)


def test_without_mitsuba_the_results_stay_and_the_remedy_is_told(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(unlike, "path_tracer_available", lambda: "Mitsuba is not installed: install the extra")
    unlike.main(["--config", config])
    assert capsys.readouterr().out.startswith("n = 0: Mitsuba is not installed: install the extra; ")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("wrong", [{"arm": "own"}, {"looks": ["glance"]}, {"frames": 0}])
def test_a_split_that_the_path_tracer_cannot_draw_is_refused(config, wrong):
    content = yaml.safe_load(Path(config).read_text())
    content["split"] |= wrong
    Path(config).write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"set arm: menagerie, looks: \[\], frames: 1"):
        load_params(config, unlike.UnlikeParams)


@trained
def test_what_was_finished_is_not_predicted_again(rig, tmp_path, monkeypatch):
    plan = replace(SplitPlan.of(load_params("params/frames.yaml", FramesParams), "nominal", rig), frames=CHUNK + 2)
    with Workers(1).open() as pool:
        first = predict(MODEL_FOLDER, plan, pool, kept=tmp_path)
    (tmp_path / f"{CHUNK}_{CHUNK + 2}.npz").unlink()
    drawn = []

    class Watched(Photographer):
        def photograph(self, scene, *given):
            drawn.append(scene.seed)
            return super().photograph(scene, *given)

    monkeypatch.setattr(predictions, "Photographer", Watched)
    with Workers(1).open() as pool:
        again = predict(MODEL_FOLDER, plan, pool, kept=tmp_path)
    assert set(drawn) == {plan.scene_seed(CHUNK), plan.scene_seed(CHUNK + 1)}
    assert all(
        np.array_equal(getattr(first, name), getattr(again, name), equal_nan=True)
        for name in Predictions.__dataclass_fields__
    )
