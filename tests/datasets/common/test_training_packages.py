"""A command that trains says in one sentence which packages it misses."""

import pytest

from datasets.common import training_packages
from datasets.common.training_packages import PACKAGES, require_training


@pytest.fixture
def installed(monkeypatch):
    """Makes only these packages be found."""
    return lambda names: monkeypatch.setattr(
        training_packages, "find_spec", lambda name: object() if name in names else None
    )


def test_where_all_are_installed_nothing_is_said(installed, capsys):
    installed(PACKAGES)
    require_training("python -m control.train")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("missing", [PACKAGES[:1], PACKAGES[2:4], PACKAGES])
def test_those_that_are_missing_are_named_in_one_line(installed, capsys, missing):
    installed(set(PACKAGES) - set(missing))
    with pytest.raises(SystemExit) as ended:
        require_training("python -m control.train")
    told = capsys.readouterr()
    assert (ended.value.code, told.out, told.err.count("\n")) == (2, "", 1)
    names, verb = ", ".join(missing), "is" if len(missing) == 1 else "are"
    assert told.err.startswith("python -m control.train: error: this trains or measures networks, and ")
    assert f"and {names} {verb} not installed; run `make setup`" in told.err
