"""Recordings cut into labelled frames: what training then reads, and the command that does it."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.common.errors import DataError
from datasets.generation.splits import WindowJitter
from datasets.recorded_split import cut_recordings, main
from datasets.rig.frame import Frame
from datasets.rig.projection import invert, transform
from datasets.store.datamodule import FramesDataModule
from datasets.store.recording import FRAMES, STOPPED, Recording, RecordingWriter
from datasets.store.store import FrameStore, StoredFiles
from datasets.store.writer import SplitWriter

CENTRED = WindowJitter(sigma_m=0, tail_share=0)


def frame(step: int) -> Frame:
    rng = np.random.default_rng(step)
    rgb = np.kron(rng.integers(0, 255, (48, 64, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    return Frame(rgb, np.full((480, 640), 1 + step * 1e-3, np.float32), 100 + step / 10)


def record(folder, rig, steps: int, name: str = "run", stopped_at: int | None = None) -> Recording:
    """All but step 2 have labels."""
    with RecordingWriter(str(folder), name, rig, {STOPPED: ()}) as writer:
        for step in range(steps):
            labels = {"tcp": [0.4, 0.01 * step, 0.2], "joints": rig.home_joints_rad} if step != 2 else {}
            writer.append(frame(step), {**labels, STOPPED: step == stopped_at})
    return Recording(str(folder), name)


def stored(url, split: str) -> dict[str, np.ndarray]:
    store = FrameStore(str(url), split)
    return {name: store.read(name) for name in store.arrays}


def refused(capsys, *arguments: object) -> str:
    """What the command says when it refuses, in one line, with exit code 2."""
    with pytest.raises(SystemExit) as exit_:
        main([str(each) for each in arguments])
    assert exit_.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]  # before it progress, of what was done earlier


@pytest.fixture
def runs(tmp_path, rig):
    """The folders of two recorded runs, of 11 and 5 labelled frames."""
    for name, steps in (("first", 12), ("second", 7)):
        record(tmp_path / name, rig, steps, FRAMES, stopped_at=steps - 1 if name == "second" else None)
    return tmp_path / "first", tmp_path / "second"


def test_training_reads_a_recording_as_labelled_frames(tmp_path, rig):
    recording = record(tmp_path, rig, 12)
    for split in ("train", "val"):
        assert cut_recordings([recording], str(tmp_path), split, rig, CENTRED) == 11
    batch = next(iter(FramesDataModule("fovea", str(tmp_path), batch_size=11).val_dataloader()))
    assert batch["tcp"][:3, 1].tolist() == pytest.approx([0.0, 0.01, 0.03])
    window = rig.fovea_window(transform(invert(rig.t_base_camera), [0.4, 0.03, 0.2]), rig.camera)
    np.testing.assert_array_equal(batch["window"][2], window.as_array())
    np.testing.assert_array_equal(batch["rgb"][2], frame(3).cut(window, rig.input_px)[0])
    with pytest.raises(DataError, match="another rig"):
        cut_recordings([recording], str(tmp_path), "other", replace(rig, fovea_width_m=0.15))


def test_training_reads_the_intrinsics_that_were_recorded(tmp_path, rig):
    seen = replace(rig.camera, fx=600.0, cx=330.0)
    tcp = np.array([0.4, 0.05, 0.2])
    with RecordingWriter(str(tmp_path), "run", rig) as writer:
        writer.append(frame(0), {"tcp": tcp, "joints": rig.home_joints_rad, "intrinsics": seen.as_array()})
    cut_recordings([Recording(str(tmp_path), "run")], str(tmp_path), "val", rig, CENTRED)
    (batch,) = FramesDataModule("fovea", str(tmp_path), batch_size=1).val_dataloader()
    np.testing.assert_allclose(batch["intrinsics"], [seen.as_array()])
    window = rig.fovea_window(transform(invert(rig.t_base_camera), tcp), seen)
    np.testing.assert_array_equal(batch["window"], [window.as_array()])


def test_recording_without_labels_teaches_nothing(tmp_path, rig):
    with RecordingWriter(str(tmp_path), "run", rig) as writer:
        writer.append(frame(0), {})
    with pytest.raises(DataError, match="nothing to learn from"):
        cut_recordings([Recording(str(tmp_path), "run")], str(tmp_path), "train", rig)


def test_the_command_cuts_runs_one_after_the_other(runs, tmp_path, capsys):
    out = tmp_path / "recorded"
    main([*map(str, runs), "--out", str(out), "--split", "train"])
    assert capsys.readouterr().out == f"{out}/train: 16 frames of 2 recordings\n"
    rows = stored(out, "train")
    assert rows["scene_seed"].tolist() == [0, 1, *range(3, 12), 0, 1, 3, 4, 5]  # the stop came at step 6
    np.testing.assert_allclose(rows["tcp"][:, 1], 0.01 * rows["scene_seed"])
    assert FrameStore(str(out), "train").attributes["recordings"] == [f"{run}/{FRAMES}" for run in runs]
    assert not np.array_equal(rows["fovea/window"][0], rows["fovea/window"][11])  # each recording's misses its own


def test_a_killed_command_goes_on_to_the_same_bytes(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("datasets.recorded_split._SHARD_FRAMES", 4)  # several shards of few frames
    arguments = [*map(str, runs), "--split", "train", "--out"]
    main([*arguments, str(tmp_path / "whole")])
    write, wrote = SplitWriter.write, []

    def interrupted(writer, shard, columns):
        wrote.append(shard)
        if len(wrote) == 3:
            raise KeyboardInterrupt
        write(writer, shard, columns)

    monkeypatch.setattr(SplitWriter, "write", interrupted)
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, str(tmp_path / "part")])
    assert exit_.value.code == 130
    with pytest.raises(DataError, match="interrupted"):
        FrameStore(str(tmp_path / "part"), "train")
    main([*arguments, str(tmp_path / "part")])
    assert wrote == [0, 1, 2, 2, 3], "no shard is cut twice that was written"
    main([*arguments, str(tmp_path / "part")])
    assert wrote == [0, 1, 2, 2, 3], "nor is a finished split"
    whole, part = stored(tmp_path / "whole", "train"), stored(tmp_path / "part", "train")
    assert all(np.array_equal(whole[name], part[name]) for name in whole)
    assert StoredFiles(str(tmp_path / "whole")).sizes() == StoredFiles(str(tmp_path / "part")).sizes()


def test_the_command_writes_over_nothing(runs, tmp_path, capsys):
    first, second = runs
    out = tmp_path / "recorded"
    main([str(first), "--out", str(out), "--split", "train"])
    before = StoredFiles(str(tmp_path)).sizes()
    line = refused(capsys, second, "--out", out, "--split", "train")
    assert "frames, recordings differ); choose another --split or --out" in line
    line = refused(capsys, second, "--out", first, "--split", FRAMES)
    assert f"{first}/{FRAMES} is a recording; choose another name" in line
    assert StoredFiles(str(tmp_path)).sizes() == before


def test_the_command_refuses_what_is_no_recording(runs, tmp_path, capsys):
    out = tmp_path / "recorded"
    assert "no such folder" in refused(capsys, tmp_path / "none", "--out", out, "--split", "train")
    main([str(runs[0]), "--out", str(out), "--split", "train"])
    line = refused(capsys, out / "train", "--out", out, "--split", "val")
    assert "holds no native frames; name the folder of a recorded run" in line


@pytest.mark.parametrize("name", ["", ".", "train/glance", "../train"])
def test_the_command_refuses_a_split_that_is_no_plain_name(runs, tmp_path, capsys, name):
    before = StoredFiles(str(tmp_path)).sizes()
    assert "give a name of letters" in refused(capsys, runs[0], "--out", runs[0], "--split", name)
    assert StoredFiles(str(tmp_path)).sizes() == before
