"""The list of mutants fits the code: each line stands once where it is named, and its tests exist."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MUTANTS = yaml.safe_load((ROOT / "tests/mutants/mutants.yaml").read_text())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["what"][:60])
def test_a_mutant_breaks_one_line_that_tests_are_named_for(mutant):
    text = (ROOT / mutant["file"]).read_text()
    assert text.count(mutant["line"]) == 1
    compile(text.replace(mutant["line"], mutant["broken"]), mutant["file"], "exec")
    assert mutant["tests"]
    assert all((ROOT / test).is_file() for test in mutant["tests"])
