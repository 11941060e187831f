"""The live view, written to a file in place of the viewer."""

import sys

import numpy as np
import pytest

from control.arms.params import ArmParams
from datasets.common.errors import ConfigError
from datasets.rig.frame import Frame
from pipelines.observers.live import LiveView
from pipelines.runtime.tick import Tick
from pipelines.setup.setup import make_fence


def make_tick(rig, step, held=False):
    tcp = np.array([0.42, 0.03 + 0.01 * step, 0.25])
    goal, sigma = np.array([0.45, 0.1, 0.3]), np.array([0.002, 0.003, 0.001])
    times = {name: 10.0 + step for name in ("time_s", "due_s", "taken_s", "estimated_s", "acted_s", "done_s")}
    places = {"goal": goal, "estimate": tcp, "tcp": tcp, "tcp_at_frame": tcp}
    places |= dict.fromkeys(("sigma", "command", "sent"), sigma)
    return Tick(goal_index=0, step=step, frame_time_s=9.9 + step, held=held, **times, **places)


def test_a_run_is_written_for_the_viewer(rig, tmp_path):
    pytest.importorskip("rerun")
    view = LiveView(make_fence(rig, ArmParams.load()), rig.t_base_camera, rig.camera, str(tmp_path / "run.rrd"))
    picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    frame = Frame(picture, np.ones((480, 640), np.float32), 1.0)
    for step in range(3):
        view(make_tick(rig, step, held=step == 1), frame)
    view.close()
    assert (tmp_path / "run.rrd").stat().st_size > 100_000


def test_without_rerun_it_says_what_to_install(rig, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match="rerun-sdk"):
        LiveView(make_fence(rig, ArmParams.load()), rig.t_base_camera, rig.camera)
