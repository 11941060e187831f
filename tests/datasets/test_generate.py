"""Generation: same seed same bytes, resume after any death, refusals in one line."""

import errno
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
import yaml

from control.arms.xarm.wire.sdk import wait_until
from datasets.arm.tools import TOOLS_PATH
from datasets.common.code_digest import ROOT
from datasets.common.errors import DataError
from datasets.common.workers import LocalProcesses, ThisProcess
from datasets.generate import main
from datasets.generation.run import Run
from datasets.generation.splits import FramesParams, SplitParams, SplitPlan
from datasets.scene.randomization import CameraRandomization
from datasets.store.store import FrameStore, schema
from datasets.store.writer import SplitWriter

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # worker processes cannot import a test file


class FakeDrawer:
    """Fills every array with numbers that follow from the scene seed."""

    def __init__(self, plan):
        self.plan = plan

    def draw(self, index):
        rng = np.random.default_rng(self.plan.scene_seed(index))
        columns = schema(self.plan.looks, self.plan.rig.input_px)
        row = {name: rng.integers(0, 200, column.shape).astype(column.dtype) for name, column in columns.items()}
        return row | {"scene_seed": np.array(self.plan.scene_seed(index), np.uint64)}

    def close(self):
        pass


class FullDisk(FakeDrawer):
    def draw(self, index):
        if index >= 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().draw(index)


class Fragile(FakeDrawer):
    """Kills its own process once, when it comes to frame 20."""

    def draw(self, index):
        flag = Path(os.environ["SIM2REAL_TEST_FLAG"])
        if index == 20 and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(index)


def params(frames: int = 30, seed: int = 5, looks=("glance", "fovea")) -> FramesParams:
    split = SplitParams(frames, seed, CameraRandomization(), looks=looks)
    return FramesParams({"train": split, "val": replace(split, frames=6, seed=6)}, shard_frames=8)


def plans(rig, **changes):
    return [SplitPlan.of(params(**changes), name, rig) for name in ("train", "val")]


def draw(url, rig, drawer=FakeDrawer, backend=None, existing="resume", fresh=False, **changes):
    with backend or ThisProcess() as running:
        return Run(str(url), plans(rig, **changes), existing, fresh, drawer).draw(running, quiet=True)


def digest(folder: Path) -> str:
    """Of all paths and contents under a folder."""
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, rig) -> Path:
    """A finished store, drawn once; who changes one takes a copy."""
    folder = tmp_path_factory.mktemp("finished") / "store"
    draw(folder, rig)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(finished) -> str:
    return digest(finished)


@pytest.fixture
def reference(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "reference"))


def test_same_bytes_for_any_number_of_workers(tmp_path, rig, uninterrupted):
    assert draw(tmp_path / "two", rig, backend=LocalProcesses(2)) == (36, 36)
    assert digest(tmp_path / "two") == uninterrupted


def test_another_seed_gives_other_frames(tmp_path, rig, uninterrupted):
    draw(tmp_path / "other", rig, seed=7)
    assert digest(tmp_path / "other") != uninterrupted


def test_finished_store_is_left_as_it_is(rig, uninterrupted, reference):
    assert draw(reference, rig) == (0, 36)
    assert digest(reference) == uninterrupted


def test_worker_killed_is_told_and_the_next_run_resumes(tmp_path, rig, uninterrupted, monkeypatch):
    monkeypatch.setenv("SIM2REAL_TEST_FLAG", str(tmp_path / "flag"))
    with pytest.raises(DataError, match=r"worker process died .* run the same again to go on"):
        draw(tmp_path / "out", rig, Fragile, LocalProcesses(2))
    with pytest.raises(DataError, match="interrupted"):
        FrameStore(str(tmp_path / "out"), "train")
    drawn, total = draw(tmp_path / "out", rig, Fragile)
    assert drawn <= total == 36
    assert digest(tmp_path / "out") == uninterrupted


@pytest.mark.parametrize("after", [0, 3, 17, 40, 75, 113, 121, 140])
def test_killed_between_any_two_writes_nothing_is_lost_or_doubled(tmp_path, rig, uninterrupted, after):
    """The process dies at its n-th file, leaving that file half written; the next run ends in the same bytes."""
    killer = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_generate as t
from datasets.rig.rig import Rig
from zarr.storage import _local  # where zarr writes each file
put, count = _local._put, 0
def dying(path, value, exclusive=False):
    global count
    count += 1
    if count > {after}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix("." + "d" * 32 + ".partial").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return put(path, value, exclusive)
_local._put = dying
t.draw({str(tmp_path / "out")!r}, Rig.load())
"""
    died = subprocess.run([sys.executable, "-c", killer], capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    draw(tmp_path / "out", rig)
    assert digest(tmp_path / "out") == uninterrupted


def test_full_disk_is_one_line_and_leaves_the_store_unfinished(tmp_path, rig, uninterrupted):
    with pytest.raises(DataError, match="No space left on device; free space") as error:
        draw(tmp_path / "out", rig, FullDisk, LocalProcesses(2))
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="interrupted"):
        FrameStore(str(tmp_path / "out"), "train")
    draw(tmp_path / "out", rig)
    assert digest(tmp_path / "out") == uninterrupted


@pytest.mark.parametrize("fresh", [False, True])
def test_a_disk_too_small_is_told_before_anything_is_touched(
    tmp_path, rig, uninterrupted, reference, monkeypatch, fresh
):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10_000))
    with pytest.raises(DataError, match=r"take 0\.\d GB or more and 0\.0 GB are free"):
        draw(tmp_path / "new" / "out", rig)
    assert not (tmp_path / "new").exists()
    draw(reference, rig, fresh=fresh)  # what is there is enough, or makes room
    assert digest(reference) == uninterrupted


def test_full_disk_while_a_file_is_written(tmp_path, rig, monkeypatch):
    writer = SplitWriter.begin(
        str(tmp_path), "train", schema(("glance",), 84), {"frames": 2, "shard_frames": 2, "looks": ["glance"]}
    )

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("zarr.storage._local._put", refuse)  # where zarr writes each file
    with pytest.raises(DataError, match=r"writing shard 0 .* No space left on device"):
        writer.write(0, {"tcp": np.zeros((2, 3))})
    monkeypatch.undo()
    assert writer.pending() == [0]


def test_other_parameters_are_refused_and_nothing_is_touched(rig, uninterrupted, reference):
    with pytest.raises(DataError, match=r"other parameters \(seed\).*--existing redraw"):
        draw(reference, rig, seed=9)
    with pytest.raises(DataError, match=r"other parameters \(frames\)"):
        draw(reference, rig, frames=31)
    assert digest(reference) == uninterrupted
    assert draw(reference, rig) == (0, 36)
    assert digest(reference) == uninterrupted


def test_redraw_draws_finished_frames_anew_and_goes_on_with_interrupted_ones(rig, uninterrupted, reference):
    out = reference
    assert draw(out, rig, existing="redraw") == (36, 36)
    assert draw(out, rig, existing="redraw", seed=9) == (36, 36)
    with pytest.raises(DataError):
        draw(out, rig, FullDisk, existing="redraw")
    assert draw(out, rig, existing="redraw") == (28, 36)
    assert digest(out) == uninterrupted


def test_fresh_deletes_first(rig, uninterrupted, reference):
    assert draw(reference, rig, fresh=True) == (36, 36)
    assert digest(reference) == uninterrupted


def test_fresh_deletes_no_folder_that_is_not_a_store(tmp_path, rig):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "holiday.jpg").touch()
    with pytest.raises(DataError, match=r"holds files that this project did not write \(holiday.jpg\)"):
        draw(tmp_path, rig, fresh=True)
    assert (tmp_path / "train" / "holiday.jpg").exists()


def test_store_cut_short_is_drawn_again(rig, uninterrupted, reference, capsys):
    (reference / "train/tcp/c.1.0").unlink()
    draw(reference, rig)
    assert "cut short" in capsys.readouterr().out
    assert digest(reference) == uninterrupted


def test_frames_go_to_any_fsspec_url(rig):
    assert draw("memory://frames", rig) == (36, 36)
    assert draw("memory://frames", rig) == (0, 36)
    store = FrameStore("memory://frames", "val")
    assert store.read("scene_seed").tolist() == [plans(rig)[1].scene_seed(i) for i in range(6)]


def test_unknown_protocol_is_refused(rig):
    with pytest.raises(DataError, match="nowhere://x: frames cannot be stored there"):
        draw("nowhere://x", rig)


def test_another_program_may_not_go_on_with_an_interrupted_run(tmp_path, rig, monkeypatch):
    with pytest.raises(DataError):
        draw(tmp_path, rig, FullDisk)
    monkeypatch.setattr("datasets.generation.run.code_digest", lambda *modules: "another")
    with pytest.raises(DataError, match=r"other code.* --fresh"):
        draw(tmp_path, rig)
    assert draw(tmp_path, rig, existing="redraw") == (36, 36)


def test_a_tool_that_was_changed_may_not_go_on_with_an_interrupted_run(tmp_path, rig, monkeypatch):
    with pytest.raises(DataError):
        draw(tmp_path / "out", rig, FullDisk)
    tools = tmp_path / "params" / "tools"
    tools.mkdir(parents=True)
    text = (ROOT / TOOLS_PATH / "xarm_gripper.yaml").read_text()
    (tools / "xarm_gripper.yaml").write_text(re.sub(r"mass_kg: [\d.]+", "mass_kg: 0.5", text))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"another tool.* --fresh"):
        draw(tmp_path / "out", rig)


def test_a_split_of_another_program_is_not_kept_where_this_one_began_another_split(tmp_path, rig, monkeypatch):
    draw(tmp_path, rig)
    monkeypatch.setattr("datasets.generation.run.code_digest", lambda *modules: "another")
    val = plans(rig)[1]
    with pytest.raises(KeyboardInterrupt):
        Run(str(tmp_path), [val], "redraw", make_drawer=Interrupted).draw(ThisProcess(), quiet=True)
    assert draw(tmp_path, rig, existing="redraw") == (36, 36)


class Interrupted(FakeDrawer):
    def draw(self, index):
        raise KeyboardInterrupt


LONG = 200
"""Frames whose drawing is still under way when the first have been seen."""


@pytest.fixture(scope="module")
def long_digest(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("long")
    main(["--config", write_config(folder, LONG), "--out", str(folder / "whole"), "--workers", "1"])
    return digest(folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopping_the_command_leaves_it_resumable(tmp_path, long_digest, how):
    """Ctrl-C reaches the whole process group, as in a terminal; a kill the command alone, whose workers must follow."""
    config = write_config(tmp_path, LONG)
    command = [sys.executable, "-m", "datasets.generate", "--config", config, "--out", str(tmp_path / "out")]
    process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert wait_until(lambda: any(tmp_path.glob("out/train/written/c.*")) or process.poll() is not None, 200.0, 0.02)
    assert process.poll() is None
    if how == signal.SIGINT:
        os.killpg(process.pid, how)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 130, error
        assert "datasets.generate: interrupted" in error.splitlines(), error
    else:
        process.kill()
        process.communicate(timeout=60)  # its end of the pipe closes when the last worker has gone
    with pytest.raises(DataError, match="interrupted"):
        FrameStore(str(tmp_path / "out"), "train")
    main(["--config", config, "--out", str(tmp_path / "out"), "--workers", "1"])
    assert digest(tmp_path / "out") == long_digest


def test_official_arm_is_drawn_once_it_is_at_hand_and_kept_after(tmp_path, rig, monkeypatch, capsys):
    split = SplitParams(6, 4, CameraRandomization(), arm="menagerie")
    plan = SplitPlan.of(FramesParams({"menagerie": split}, shard_frames=250), "menagerie", rig)

    def frames(reason, **options):
        monkeypatch.setattr("datasets.generation.run.menagerie_available", lambda: reason)
        Run(str(tmp_path), [plan], make_drawer=FakeDrawer, **options).draw(ThisProcess(), quiet=True)
        return FrameStore(str(tmp_path), "menagerie").frames

    assert [frames("not here"), frames(None), frames("gone again")] == [0, 6, 6]
    assert frames("gone again", fresh=True) == 0


def write_config(folder: Path, frames: int = 12, **extra) -> str:
    content = {
        "shard_frames": 4,
        "splits": {"train": {"frames": frames, "seed": 3, "camera": {}}, "menagerie": MENAGERIE},
        **extra,
    }
    path = folder / "frames.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


MENAGERIE = {"frames": 3, "seed": 4, "arm": "menagerie", "looks": ["glance"], "camera": {}}


def test_command_draws_what_the_parameters_say(tmp_path, monkeypatch, capsys, rig):
    monkeypatch.setattr("datasets.generation.run.menagerie_available", lambda: "no meshes here")
    main(["--config", write_config(tmp_path), "--out", str(tmp_path / "out"), "--workers", "1"])
    assert "menagerie: not drawn, no meshes here" in capsys.readouterr().out
    missing = FrameStore(str(tmp_path / "out"), "menagerie")
    assert (missing.frames, missing.attributes["reason"]) == (0, "no meshes here")
    store = FrameStore(str(tmp_path / "out"), "train")
    assert (store.frames, store.looks, store.attributes["arm_model"]) == (12, ("glance", "fovea"), "own")
    store.require_rig(rig)
    assert store.read("glance/rgb").std() > 10
    share_read = (store.read("fovea/depth") > 0).mean()
    assert 0.5 < share_read <= 1


@pytest.mark.parametrize(
    ("arguments", "extra", "message"),
    [
        (["--splits", "trian"], {}, r"unknown split 'trian'; the parameter file has train, menagerie"),
        (["--workers", "0"], {}, r"--workers must be at least 1"),
        (["--address", "auto"], {}, r"--address .*--backend ray"),
        ([], {"shard_framse": 3}, r"shard_framse"),
        ([], {"shard_frames": 0}, r"shard_frames must lie in"),
        ([], {"splits": {}}, r"splits is empty"),
        ([], {"splits": {"train": {"frames": -1, "seed": 0, "camera": {}}}}, r"must not be negative"),
        ([], {"splits": {"train": {"frames": 1, "seed": 0, "camera": {}, "looks": ["peek"]}}}, r"peek"),
        ([], {"window_jitter": {"sigma_m": -1.0}}, r"window_jitter"),
    ],
)
def test_bad_input_is_one_line_exit_two_and_nothing_written(tmp_path, capsys, arguments, extra, message):
    config = write_config(tmp_path, **extra)
    with pytest.raises(SystemExit) as stop:
        main(["--config", config, "--out", str(tmp_path / "out"), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert not (tmp_path / "out").exists()


def test_place_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stop:
        main(["--config", write_config(tmp_path), "--out", str(tmp_path / "file" / "out"), "--workers", "1"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
