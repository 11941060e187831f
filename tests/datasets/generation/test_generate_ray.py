"""Generation on a real local Ray cluster of two workers."""

import os
import re
import signal
import sys
from pathlib import Path

import cloudpickle
import pytest

from datasets.common.errors import ConfigError, DataError
from datasets.common.workers import LocalProcesses, RayCluster, ThisProcess
from datasets.generate import main
from datasets.generation.labelled_frame import SceneDrawer
from datasets.generation.run import Run
from datasets.generation.splits import FramesParams, SplitParams, SplitPlan
from datasets.scene.randomization import CameraRandomization
from datasets.store.store import FrameStore

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test file


def fragile(flag: Path):
    """Makes drawers of which one kills its own process, once, when it comes to frame 20."""

    class Fragile(SceneDrawer):
        def draw(self, index):
            if index == 20 and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().draw(index)

    return Fragile


def draw(url, rig, backend, drawer=SceneDrawer):
    params = FramesParams({"train": SplitParams(40, 5, CameraRandomization())}, shard_frames=8)
    with backend as running:
        return Run(str(url), [SplitPlan.of(params, "train", rig)], make_drawer=drawer).draw(running, quiet=True)


def start_ray() -> RayCluster:
    """Two workers; starting Ray, which gives its own processes a time to come up, is tried twice."""
    try:
        return RayCluster(None, 2)
    except ConfigError:
        pytest.importorskip("ray").shutdown()
        return RayCluster(None, 2)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def reference(tmp_path_factory, rig) -> dict[str, bytes]:
    """The rendered frames of one process."""
    folder = tmp_path_factory.mktemp("reference")
    draw(folder, rig, ThisProcess())
    return contents(folder)


@pytest.mark.slow
def test_four_processes_draw_the_bytes_of_one(tmp_path, rig, reference):
    draw(tmp_path, rig, LocalProcesses(4))
    assert contents(tmp_path) == reference


@pytest.mark.slow
def test_after_a_worker_was_killed_on_ray_the_next_run_ends_with_the_same_bytes(tmp_path, rig, reference):
    pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    with pytest.raises(DataError, match="worker process died"):
        draw(tmp_path / "out", rig, start_ray(), fragile(tmp_path / "flag"))
    with pytest.raises(DataError, match="interrupted"):
        FrameStore(str(tmp_path / "out"), "train")
    draw(tmp_path / "out", rig, start_ray())
    assert contents(tmp_path / "out") == reference


def test_ray_cluster_that_is_not_there(capsys, tmp_path):
    pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path / "out"), "--backend", "ray", "--address", "127.0.0.1:1"])
    assert stop.value.code == 2
    assert re.search(r"no Ray cluster at 127.0.0.1:1: .*ray start --head", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_ray_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="extra 'ray'"):
        RayCluster(None, 2)
