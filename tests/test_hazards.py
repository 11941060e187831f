"""The hazard table: every row says what proves its measure and what remains, and every fault of the twin has a row."""

import ast
import re
from pathlib import Path

import pytest

from pipelines.twin.faults import FAULT_NAMES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/hazards.md").read_text()
ASSUMPTIONS = set(re.findall(r"^\| `([a-z0-9-]+)`", (ROOT / "docs/first_day.md").read_text(), re.MULTILINE))
HEADER = "| hazard | cause (fault) | measure | proven by | what remains | clause |"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("|") and line != HEADER and not set(line) <= set("|-")
]
NODES = sorted({node for row in ROWS for node in re.findall(r"`([^`]+)`", row[3])})
CLAUSE = re.compile(r"-|(R[12]|TS) \d+(\.\d+)*(, annex [A-Z])?(; (R[12]|TS) \d+(\.\d+)*(, annex [A-Z])?)*")


def test_every_row_is_whole() -> None:
    assert len(ROWS) > 20
    assert not [row for row in ROWS if len(row) != 6 or not all(row) or not CLAUSE.fullmatch(row[5])]


def test_every_row_is_proven() -> None:
    assert not [row[0] for row in ROWS if not re.fullmatch(r"`[^`]+`(<br>`[^`]+`)*", row[3])]


@pytest.mark.parametrize("node", NODES)
def test_what_a_row_names_is_a_test(node: str) -> None:
    path, _, name = node.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text())
    assert name.startswith("test_")
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_fault_of_the_twin_is_a_cause_and_nothing_else_is() -> None:
    causes = {name for row in ROWS for name in re.findall(r"`([a-z0-9_]+)`", row[1])}
    assert causes == set(FAULT_NAMES)


def test_what_a_row_rests_on_is_a_named_assumption() -> None:
    rests_on = {name for row in ROWS for name in re.findall(r"`([a-z0-9-]+)`", row[4].partition("rests on")[2])}
    assert rests_on
    assert rests_on <= ASSUMPTIONS
