"""What is taken to be true of the hardware: named in the code, and how to verify it said in docs/first_day.md."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("control", "datasets", "perception", "pipelines")
FILES = sorted(
    (*(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")), *(ROOT / "params").rglob("*.yaml"))
)
MARK = re.compile(r"\*(assumed|documented): ([a-z0-9-]+)\*")
UNNAMED = re.compile(r"(?i)(?<!\*)\bassumed\b|\*assumed\b(?!: [a-z0-9-]+\*)|\*documented\b(?!: [a-z0-9-]+\*)")
TABLE = (ROOT / "docs/first_day.md").read_text().partition("## Assumed, and how to verify it")[2].split("\n## ")[0]
ROWS = [line for line in TABLE.splitlines() if line.startswith("|")][2:]
NAMED = [re.match(r"\| `([a-z0-9-]+)`(, \*documented\*[^:]*)?: .+ \| .+ \|$", row) for row in ROWS]


def marks(text: str) -> list[tuple[str, str]]:
    """Kind and name of each assumption that a file rests on, in its order."""
    return MARK.findall(text)


def unnamed(text: str) -> list[str]:
    """Lines that assume something without a name."""
    return [line.strip() for line in text.splitlines() if UNNAMED.search(line)]


IN_CODE = {mark for path in FILES for mark in marks(path.read_text())}
IN_TABLE = {("documented" if row[2] else "assumed", row[1]) for row in NAMED if row}


def test_every_row_has_a_name_of_its_own_and_a_way_to_verify_it() -> None:
    assert not [row for row, named in zip(ROWS, NAMED, strict=True) if not named]
    assert len(IN_TABLE) == len(ROWS) == len({name for _, name in IN_TABLE}) > 20


def test_nothing_is_assumed_without_a_name() -> None:
    found = {str(path.relative_to(ROOT)): lines for path in FILES if (lines := unnamed(path.read_text()))}
    assert not found


def test_every_assumption_of_the_code_has_its_row_and_every_row_its_code() -> None:
    assert IN_CODE == IN_TABLE


@pytest.mark.parametrize(
    ("text", "named", "without"),
    [
        ("within 5 mm (*assumed: chain*)", [("assumed", "chain")], False),
        ("clears errors (*documented: ready*)", [("documented", "ready")], False),
        ("within 5 mm (*assumed*)", [], True),
        ("within 5 mm (assumed)", [], True),
        ("*Assumed*: within 5 mm", [], True),
        ("within 5 mm (*assumed: the chain*)", [], True),
        ("assumed_latency_s: 0.12", [], False),
    ],
)
def test_a_mark_without_a_name_is_found(text: str, named: list[tuple[str, str]], without: bool) -> None:
    assert marks(text) == named
    assert bool(unnamed(text)) is without
