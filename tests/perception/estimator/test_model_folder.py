"""Folders of trained models: whatever is missing or damaged in one is named, with what to do about it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import ModelError
from perception.estimator.model_folder import read_description, require_same_rig

FILES = ("about.json", "a.onnx", "b.onnx")
values = st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2), st.none())


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        (tmp_path / name).write_text("{}")
    return tmp_path


def read(folder, parse=lambda description: description["scale"]):
    return read_description(folder, FILES, "locator", "train it again", parse)


def test_the_description_is_given_as_it_was_written(folder):
    (folder / FILES[0]).write_text(
        json.dumps({"scale": [1, 2, 3], "tool": "schäkel"}, ensure_ascii=False), encoding="utf-8"
    )
    assert read(folder, lambda description: description) == {"scale": [1, 2, 3], "tool": "schäkel"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_is_named_with_the_remedy(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: no such locator file; train it again"):
        read(folder)


@pytest.mark.parametrize("text", ["{", "[1]", '{"other": 1}', "null", ""])
def test_a_damaged_description_is_named_whatever_is_wrong_with_it(folder, text):
    (folder / FILES[0]).write_text(text)
    with pytest.raises(ModelError, match=r"about\.json: damaged description of a locator .*; train it again"):
        read(folder)


def test_bytes_that_are_no_text_are_damage_too(folder):
    (folder / FILES[0]).write_bytes(b'{"scale": "\xff\xfe"}')
    with pytest.raises(ModelError, match="damaged description"):
        read(folder)


def test_an_error_that_is_not_the_file_s_is_passed_on(folder):
    (folder / FILES[0]).write_text('{"scale": 1}')
    with pytest.raises(ZeroDivisionError):
        read(folder, lambda description: 1 // 0)


@given(trained=st.dictionaries(st.sampled_from("abcd"), values), here=st.dictionaries(st.sampled_from("abcd"), values))
def test_a_rig_is_the_same_exactly_where_all_its_values_are(trained, here):
    other = [key for key, value in here.items() if trained.get(key) != value]
    if not other:
        require_same_rig("model", trained, here, "retrain")
        return
    told = re.escape(f"another rig: {other[0]} was {trained.get(other[0])} and is {here[other[0]]} now; retrain")
    with pytest.raises(ModelError, match=told):
        require_same_rig("model", trained, here, "retrain")
