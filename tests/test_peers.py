"""The peers' study: what a row says, and an environment of the peers' own that leaves the project's alone."""

import re
import subprocess
import sys
import sysconfig
from types import SimpleNamespace

import pytest

from control.task.env import EnvParams, ReachEnv
from control.task.rewards import RewardParams
from datasets.common.errors import DataError
from studies.peers import environment, her, row


@pytest.mark.parametrize(("more", "times_better"), [(True, 0.5), (False, 2.0)])
def test_above_one_this_project_is_the_better_one(more, times_better):
    made = row.row("what", "unit", ("own", 3.0), ("other", 6.0), more)
    assert made["times_better"] == times_better
    assert (made["ours"]["value"], made["theirs"]["value"]) == (3.0, 6.0)


def test_sides_take_turns_and_the_first_round_does_not_count():
    calls, first, second = [], iter([100, 1, 2, 3, 4, 5]), iter([100, 6, 7, 8, 9, 10])
    sides = (lambda: calls.append("a") or next(first), lambda: calls.append("b") or next(second))
    assert row.in_turns(*sides) == [3, 8]
    assert calls == ["a", "b"] * (row.ROUNDS + 1)


def test_every_package_of_the_peers_is_pinned():
    lines = [line for line in environment.REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 3
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)


@pytest.fixture
def installing(monkeypatch):
    """What pip is asked for, and what it answers, in place of it; environments are made without pip."""
    asked = SimpleNamespace(lines=[], code=0)

    def run(line):
        asked.lines.append([str(part) for part in line])
        return subprocess.CompletedProcess(line, asked.code)

    monkeypatch.setattr(environment, "subprocess", SimpleNamespace(run=run))
    create = environment.venv.create
    monkeypatch.setattr(
        environment, "venv", SimpleNamespace(create=lambda folder, with_pip, clear: create(folder, clear=clear))
    )
    return asked


def test_the_peers_packages_are_installed_once_and_nowhere_else(installing, tmp_path):
    python = environment.make_environment(tmp_path / "peers")
    assert python == tmp_path / "peers/bin/python"
    assert python != sys.executable
    environment.make_environment(tmp_path / "peers")
    (line,) = installing.lines
    assert line[0] == str(python)
    assert "--no-deps" in line
    (link,) = (tmp_path / "peers").glob("lib/python*/site-packages/project.pth")
    assert link.read_text().strip() == sysconfig.get_path("purelib")


def test_an_installation_that_failed_is_said_and_tried_again(installing, tmp_path):
    installing.code = 1
    with pytest.raises(DataError, match="cannot be installed"):
        environment.make_environment(tmp_path)
    installing.code = 0
    environment.make_environment(tmp_path)
    assert len(installing.lines) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("limit_m", "share", "steps"), [(5.0, 1.0, 150), (0.0, 0.0, 300)])
def test_learning_ends_when_all_episodes_succeed_or_the_steps_are_over(monkeypatch, limit_m, share, steps):
    monkeypatch.setattr(her, "INTERVAL", 150)
    monkeypatch.setattr(her, "EPISODES", 2)
    env, test = (ReachEnv(EnvParams(reward=RewardParams(kind="sparse"))) for _ in range(2))
    found = her.learn_her(env, test, limit_m, most_steps=300, seed=0)
    assert (found["share"], found["steps"]) == (share, steps)
    assert found["cpu_s"] > 0
