"""The estimator over a split: one GL context at a time in a process, and none left."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.common.config import load_params
from datasets.common.workers import Workers
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.scene.photographer import Photographer
from perception.estimator.estimator import MODEL_FOLDER
from perception.evaluation import photographers, predictions


@pytest.mark.skipif(not Path(MODEL_FOLDER).is_dir(), reason="no trained models here")
def test_each_split_opens_one_gl_context_and_frees_it_before_the_next(rig, monkeypatch):
    log = []

    class Watched(Photographer):
        def __init__(self, *given):
            log.append("open")
            super().__init__(*given)

        def close(self):
            log.append("close")
            super().close()

    monkeypatch.setattr(photographers, "Photographer", Watched)
    frames = load_params("params/frames.yaml", FramesParams)
    count = predictions.CHUNK + 2
    with Workers(1).open() as pool:
        for name in ("nominal", "occluded"):
            plan = replace(SplitPlan.of(frames, name, rig), frames=count)
            found = predictions.predict(MODEL_FOLDER, plan, pool)
            assert found.tcp.shape == (count, 3)
            assert len(np.unique(found.tcp, axis=0)) == count
    assert log == ["open", "close"] * 2
