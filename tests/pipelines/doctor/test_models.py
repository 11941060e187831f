"""The networks of a run are told apart by a digest, and one that cannot be used says why."""

import shutil
from pathlib import Path

import pytest

from pipelines.doctor import models
from pipelines.doctor.finding import Broken, State

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model" / "part").mkdir(parents=True)
    (tmp_path / "model" / "a.onnx").write_bytes(b"one")
    (tmp_path / "model" / "part" / "b.json").write_bytes(b"two")
    return tmp_path / "model"


def test_the_digest_is_that_of_the_content_wherever_it_lies(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert models.digest(folder) == models.digest(tmp_path / "copy")
    assert len(models.digest(folder)) == 12


@pytest.mark.parametrize("change", ["another byte", "another name", "another file", "a file less", "bytes moved over"])
def test_whatever_changes_in_the_folder_changes_the_digest(folder, change):
    before, file = models.digest(folder), folder / "a.onnx"
    if change == "another byte":
        file.write_bytes(b"onf")
    elif change == "another name":
        file.rename(folder / "c.onnx")
    elif change == "another file":
        (folder / "empty").touch()
    elif change == "a file less":
        file.unlink()
    else:
        file.write_bytes(b"onetwo")
        (folder / "part" / "b.json").write_bytes(b"")
    assert models.digest(folder) != before


def test_each_model_that_cannot_be_used_is_a_fault_with_its_remedy(monkeypatch):
    told = {"estimator": [True, "opens"], "policy": [False, "no such policy file"]}
    monkeypatch.setattr(models, "look_apart", lambda *given: told)
    estimator, policy = models.look()
    assert (estimator.item, estimator.state, estimator.remedy) == ("estimator", State.OK, "")
    assert (policy.item, policy.state, policy.found) == ("policy", State.FAULT, "no such policy file")
    assert "git checkout -- models" in policy.remedy


def test_a_process_that_ends_badly_is_one_fault(monkeypatch):
    def crash(*given):
        raise Broken("crashed (SIGSEGV)")

    monkeypatch.setattr(models, "look_apart", crash)
    (found,) = models.look()
    assert found.state is State.FAULT
    assert "SIGSEGV" in found.found
    assert found.remedy


@pytest.mark.skipif(not (ROOT / "models/policy/policy.json").is_file(), reason="no trained models yet")
def test_models_of_another_rig_are_a_fault(tmp_path, monkeypatch):
    for part in ("params", "models"):
        shutil.copytree(ROOT / part, tmp_path / part)
    rig = tmp_path / "params/rig.yaml"
    rig.write_text(rig.read_text().replace("fovea_width_m: 0.1728", "fovea_width_m: 0.15"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = {each.item: each for each in models.look()}
    assert found["estimator"].state is State.FAULT
    assert "trained for another rig: fovea_width_m" in found["estimator"].found
