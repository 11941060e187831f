"""The live view, written to a file in place of the viewer."""

import json
import sys

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.clearance.arm_clearance import PLATE, ArmClearance
from control.clearance.distance import TABLE
from control.clearance.params import Obstacle
from datasets.common.errors import ConfigError, DeviceError
from datasets.rig.frame import Frame
from pipelines.observers import live
from pipelines.observers.live import LiveView, require_live, viewer_command
from pipelines.runtime.tick import Tick
from pipelines.setup.setup import make_fence


def make_tick(rig, step, held=False):
    tcp = np.array([0.42, 0.03 + 0.01 * step, 0.25])
    goal, sigma = np.array([0.45, 0.1, 0.3]), np.array([0.002, 0.003, 0.001])
    times = {name: 10.0 + step for name in ("time_s", "due_s", "taken_s", "estimated_s", "acted_s", "done_s")}
    places = {"goal": goal, "estimate": tcp, "tcp": tcp, "tcp_at_frame": tcp}
    places |= dict.fromkeys(("sigma", "command", "sent"), sigma)
    return Tick(goal_index=0, step=step, frame_time_s=9.9 + step, held=held, **times, **places)


POST = Obstacle("the post", (0.5, 0.3, 0.0), (0.6, 0.4, 0.9))


def make_view(rig, save=None, joints_at=lambda time_s: np.full(7, np.nan)):
    fence, clearance = make_fence(rig, ArmParams.load()), ArmClearance(rig, [POST], -0.01)
    return LiveView(fence, clearance, rig.t_base_camera, rig.camera, joints_at, save)


def test_the_site_is_shown_with_the_names_of_its_boxes_and_the_arm_where_it_is(rig, tmp_path, monkeypatch):
    rerun = pytest.importorskip("rerun")
    logged, log = [], rerun.log
    monkeypatch.setattr(rerun, "log", lambda path, *what, **how: (logged.append((path, what)), log(path, *what, **how)))
    home, known = np.array(rig.home_joints_rad), [True]

    def joints_at(time_s):
        if not known[0]:
            raise DeviceError("before the oldest report")
        return home + 0.1 * (time_s > 10)

    view = make_view(rig, str(tmp_path / "run.rrd"), joints_at)
    frame = Frame(np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32), 1.0)
    for step in range(2):
        view(make_tick(rig, step), frame)
    known[0] = False
    view(make_tick(rig, 2), frame)
    view.close()
    shown = dict(logged)
    for path, names in (("keep_out", ["the post", PLATE]), ("fence", ["fence = keep_within"]), ("table", [TABLE])):
        assert shown[f"space/{path}"][0].labels.as_arrow_array().to_pylist() == names
    hands = [what[0] for path, what in logged if path == "space/arm/link7" and isinstance(what[0], rerun.Transform3D)]
    places = [hand.translation.as_arrow_array().to_pylist()[0] for hand in hands]
    shapes = ArmClearance(rig).distance
    expected = [shapes.poses(joints)[1][-1] for joints in (home, home + 0.1)]
    np.testing.assert_allclose(places, expected, atol=1e-6)


def test_a_run_is_written_for_the_viewer(rig, tmp_path, monkeypatch):
    rerun = pytest.importorskip("rerun")
    shown, log = [], rerun.log
    monkeypatch.setattr(rerun, "log", lambda path, *what, **how: (shown.append((path, what)), log(path, *what, **how)))
    view = make_view(rig, str(tmp_path / "run.rrd"))
    picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    frame = Frame(picture, np.ones((480, 640), np.float32), 1.0)
    for step in range(3):
        view(make_tick(rig, step, held=step == 1), frame)
    view.close()
    assert (tmp_path / "run.rrd").stat().st_size > 100_000
    found = [what[0].colors.as_arrow_array().to_pylist() for path, what in shown if path == "space/estimate"]
    assert len(found) == 3
    assert found[0] == found[2] != found[1], "an estimate that the arm does not act on is shown as doubted"


def test_without_rerun_it_says_what_to_install(rig, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match="rerun-sdk"):
        make_view(rig)


def test_the_viewer_listens_on_this_computer_only_in_bounded_memory():
    command = viewer_command("rerun", 9999)
    assert command[command.index("--bind") + 1] == "127.0.0.1"
    for option in ("--memory-limit", "--server-memory-limit"):
        assert command[command.index(option) + 1] == "1GB"


VIEWER = """
import json, os, socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1]))):
    with open(sys.argv[1], "w") as file:
        json.dump(dict(os.environ), file)
    time.sleep(float(sys.argv[2]))  # its life
"""


@pytest.mark.parametrize(("lives_s", "opens"), [(4.0, True), (0.3, False), (-1.0, False)])
def test_a_viewer_that_stays_is_sent_to_and_one_that_does_not_is_done_without(
    rig, tmp_path, monkeypatch, caplog, lives_s, opens
):
    rerun = pytest.importorskip("rerun")
    file = tmp_path / "environment.json"

    def command(path, port):
        return [sys.executable, "-c", VIEWER, str(file), str(lives_s), *viewer_command(path, port)]

    connected = []
    monkeypatch.setattr(live, "viewer_command", command)
    monkeypatch.setattr(live, "viewer_path", lambda: "rerun")
    monkeypatch.setattr(rerun, "connect_grpc", connected.append)
    monkeypatch.setenv("DISPLAY", ":0")
    view = make_view(rig)
    view(make_tick(rig, 0), Frame(np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32), 1.0))
    view.close()
    assert bool(connected) is opens
    assert ("no live view" in caplog.text) is not opens
    environment = json.loads(file.read_text())
    assert environment["CI"] == "true", "the viewer would store how it is used"


@pytest.mark.parametrize(("path", "display", "words"), [(None, ":0", "not installed"), ("rerun", "", "no display")])
def test_a_view_that_cannot_open_is_refused_in_one_sentence(monkeypatch, path, display, words):
    pytest.importorskip("rerun")
    monkeypatch.setattr(live, "viewer_path", lambda: path)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match=words):
        require_live()
