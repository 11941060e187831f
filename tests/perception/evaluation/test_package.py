"""A look is loaded from a training's best checkpoint, or it is said what is wrong with it."""

from types import SimpleNamespace

import pytest

from datasets.common.errors import ModelError
from perception.evaluation.package import CHECKPOINT, load_look
from perception.training.regressor import Regressor


class Trained:
    """Stands in for a trained look."""

    settings = SimpleNamespace(look="glance")
    evaluated = False

    def eval(self):
        self.evaluated = True
        return self


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / CHECKPOINT).touch()
    monkeypatch.setattr(Regressor, "load_from_checkpoint", lambda path, **more: Trained())
    return tmp_path


@pytest.mark.parametrize("look", [None, "glance"])
def test_the_best_checkpoint_is_given_ready_to_answer(run, look):
    assert load_look(run, look).evaluated


def test_a_run_without_a_checkpoint_is_named_with_what_to_run(tmp_path):
    with pytest.raises(ModelError, match=r"best\.ckpt: no such checkpoint; run `python -m perception\.train fit"):
        load_look(tmp_path)


def test_a_checkpoint_of_another_look_is_refused(run):
    with pytest.raises(ModelError, match="was trained as the glance, not as the fovea"):
        load_look(run, "fovea")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(ModelError, match=r"not a checkpoint of this version .*; train again"):
        load_look(tmp_path)
