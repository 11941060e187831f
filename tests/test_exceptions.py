"""Every exception from linter and type checker has its reason beside it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("datasets", "perception", "control", "pipelines")


@pytest.mark.parametrize(
    "path",
    sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_a_type_ignore_or_noqa_says_why(path):
    name = path.relative_to(ROOT).as_posix()
    marks = re.findall(r"# (?:noqa|type: ignore)\b[^()#\n]*(.*)", path.read_text())
    assert all(reason.strip() for reason in marks), f"{name}: write the reason in the same line"
