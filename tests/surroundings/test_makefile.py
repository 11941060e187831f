"""What the Makefile does before anything of ours runs, with a Python that only notes what it was asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
echo "$0 [$SHELL] $*" >> "{log}"
case "$*" in
*"import pip"*) exit {pip};;
*'find_spec("dvc")'*) exit {dvc};;
*"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python;;
esac
"""


@pytest.fixture
def project(tmp_path):
    """A folder with the Makefile, in a git repository, and a Python beside it that has everything."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    write_python(tmp_path / "python", tmp_path)
    return folder


def write_python(path, top, pip=True, dvc=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PYTHON.format(log=top / "log", pip=int(not pip), dvc=int(not dvc)))
    path.chmod(0o755)


def make(project, *arguments, **environment):
    """The result of ``make`` and what was asked of Python, a line each."""
    # The system's packages are another matter: whatever they are, none is installed here.
    line = ["make", f"PYTHON={project.parent / 'python'}", "-o", "system", *arguments]
    done = subprocess.run(line, cwd=project, capture_output=True, text=True, env={**os.environ, **environment})
    log = project.parent / "log"
    return done, log.read_text().splitlines() if log.exists() else []


def environment_of(project, made_in, pip=True, dvc=True):
    """A virtual environment in ``project`` that was made in the folder ``made_in``, with something of the user's."""
    write_python(project / ".venv/bin/python", project.parent, pip, dvc)
    (project / ".venv/pyvenv.cfg").write_text(f"version = 3.11\ncommand = /usr/bin/python3 -m venv {made_in}/.venv\n")
    (project / ".venv/.installed").touch()


def test_an_environment_that_fits_is_left_alone(project):
    environment_of(project, project)
    _, asked = make(project, "setup")
    assert not [line for line in asked if "-m venv" in line or "-m pip" in line]


@pytest.mark.parametrize(("elsewhere", "pip"), [(False, False), (True, True)])
def test_a_half_made_or_moved_environment_is_made_anew(project, elsewhere, pip):
    environment_of(project, "/old/name" if elsewhere else project, pip)
    done, asked = make(project, "setup")
    assert "incomplete or was created in another folder" in done.stdout
    assert any("-m venv --clear .venv" in line for line in asked)
    assert any("-m pip install" in line for line in asked)


def test_an_installation_that_lacks_something_is_gone_on_with(project):
    environment_of(project, project, dvc=False)
    _, asked = make(project, "setup")
    assert any("-m pip install" in line for line in asked)
    assert not any("-m venv" in line for line in asked)


def test_where_there_is_none_it_is_made_and_nothing_cleared(project):
    _, asked = make(project, "setup")
    (made,) = [line for line in asked if "-m venv" in line]
    assert "--clear" not in made


@pytest.mark.parametrize("pip", [True, False])
def test_an_environment_that_is_linked_to_is_never_cleared(project, pip):
    other = project.parent / "other"
    environment_of(other, other, pip)
    (project / ".venv").symlink_to(other / ".venv")
    done, asked = make(project, "setup")
    assert not [line for line in asked if "-m venv" in line]
    assert done.returncode == (0 if pip else 2)
    assert pip or "remove the link" in done.stderr


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/tcsh", ""])
@pytest.mark.parametrize("target", ["resume", "reproduce", "studies", "baselines", "reproduce-all"])
def test_stages_run_in_a_posix_shell_whatever_the_login_shell(project, target, shell):
    environment_of(project, project)
    done, asked = make(project, target, SHELL=shell)
    stages = [line for line in asked if "-m dvc repro" in line]
    assert done.returncode == 0, done.stderr
    assert stages
    assert all("[/bin/sh]" in line for line in stages)


def test_without_a_git_repository_nothing_is_set_up(project):
    shutil.rmtree(project / ".git")
    done, asked = make(project, "reproduce", GIT_CEILING_DIRECTORIES=str(project.parent))
    assert done.returncode == 2
    assert "make: DVC needs a git repository (fatal: not a git repository" in done.stderr
    assert not [line for line in asked if "-m pip" in line or "-m dvc" in line]


def test_clean_leaves_recordings_and_whatever_the_user_keeps(project):
    kept = [project / name for name in ("runs/real/20260101-120000/events.jsonl", "data/recorded/zarr.json")]
    made = [
        project / name for name in ("runs/perception/glance/best.ckpt", "data/frames/zarr.json", ".venv/bin/python")
    ]
    for path in kept + made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    done, _ = make(project, "clean")
    assert done.returncode == 0
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in made)


@pytest.mark.parametrize(("target", "installed"), [("setup", "-e .[dev]"), ("setup-runtime", "-e .")])
def test_each_setup_installs_its_own_set_once(project, target, installed):
    done, asked = make(project, target)
    assert done.returncode == 0, done.stderr
    (install,) = [line for line in asked if "-m pip install" in line]
    assert install.endswith(installed)
    _, again = make(project, target)
    assert again[len(asked) :]
    assert not [line for line in again[len(asked) :] if "-m pip" in line]


def test_the_whole_install_serves_where_the_small_one_would(project):
    _, asked = make(project, "setup")
    _, more = make(project, "setup-runtime")
    assert not [line for line in more[len(asked) :] if "-m pip" in line]


def test_after_the_small_install_the_whole_one_is_still_made(project):
    _, asked = make(project, "setup-runtime")
    _, more = make(project, "setup")
    assert any(line.endswith("-e .[dev]") for line in more[len(asked) :])
