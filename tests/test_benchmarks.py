"""The benchmarks run, on few frames, and name every part that they time."""

import json
import sys
from functools import partial

import pytest

import bench_estimator
import bench_frames
import bench_stops
from datasets.arm.official import menagerie_available
from perception.estimator import estimator
from perception.estimator.estimator import MODEL_FOLDER


@pytest.mark.skipif(not (MODEL_FOLDER / "estimator.json").is_file(), reason="no trained models yet")
def test_every_look_of_the_estimator_is_timed(tmp_path, monkeypatch, rig):
    monkeypatch.setattr(estimator, "fit_table", estimator.fit_table)  # the benchmark leaves it timed
    monkeypatch.setattr(bench_estimator, "OUT", tmp_path / "estimator.json")
    monkeypatch.setattr(bench_estimator, "FRAMES", 2)
    monkeypatch.setattr(bench_estimator, "ROUNDS", 1)
    bench_estimator.main()
    found = json.loads((tmp_path / "estimator.json").read_text())
    looks = bench_estimator.Looks(rig).estimator._sessions  # by its name for each look: the file that is shipped
    assert {f"estimate.{look}" for look in looks} <= set(found["ms"])
    assert {"estimate.cut", "estimate.pose_check", "single_net", "blur"} <= set(found["ms"])
    assert all(each["p50"] > 0 for each in found["ms"].values())


def test_drawing_is_timed_beside_a_plain_renderer(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_frames, "OUT", tmp_path / "frames.json")
    monkeypatch.setattr(bench_frames, "FRAMES", 2)
    monkeypatch.setattr(bench_frames, "ROUNDS", 1)
    monkeypatch.setattr(bench_frames, "scaling", partial(bench_frames.scaling, 0.2))
    bench_frames.main()
    found = json.loads((tmp_path / "frames.json").read_text())
    assert found["frames_per_s"]["glance"] > 0
    assert found["scaling_two_processes"] > 0
    beside = found["ratio_to_plain_renderer"]
    assert beside["n"] == 0 if menagerie_available() else beside["plain_renderer_official"] == 1


@pytest.mark.realtime
def test_stops_are_timed_from_fault_to_rest(tmp_path, monkeypatch):
    faults = "c22", "c23"
    chosen = [word for fault in faults for word in ("--fault", fault)]
    monkeypatch.setattr(sys, "argv", ["bench_stops.py", "--runs", "1", *chosen, "--out", str(tmp_path / "stops.json")])
    bench_stops.main()
    found = json.loads((tmp_path / "stops.json").read_text())["faults"]
    assert list(found) == list(faults)
    for fault in faults:
        assert found[fault]["this"]["stopped"] == 1
