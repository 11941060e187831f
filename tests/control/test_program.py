"""The digests of the program cover all that episodes and learning run through."""

import ast
from pathlib import Path

import pytest
import yaml

from control import program
from control.program import EPISODES, LEARNING, fingerprint
from datasets.program import DRAWING_FILES

ROOT = Path(program.__file__).parents[1]
TELLS = {"control.plots", "control.program"}
"""Modules that draw or name, and change no figure."""


def imported(module: str, seen: set[str]) -> set[str]:
    """The modules of control and perception that ``module`` needs, itself included."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    if module not in seen and path.is_file():
        seen.add(module)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(("control.", "perception.")):
                imported(node.module, seen)
    return seen


def covered(*lists):
    return {f"{package.__name__}.{name}" for one in lists for package, names in one.items() for name in names.split()}


def test_every_module_of_the_stages_is_covered():
    needed = imported("control.train", set()) - TELLS
    assert "perception.pose_check" in needed
    assert needed - {"control.arms.arm"} == covered(EPISODES, LEARNING)


@pytest.mark.parametrize("entry", ["control.evaluate", "control.policies", "control.rendered", "control.physics"])
def test_every_module_of_an_episode_is_covered(entry):
    assert imported(entry, set()) - TELLS - {"control.arms.arm"} <= covered(EPISODES)


def test_a_change_of_code_is_another_run_and_a_change_of_comments_is_not(tmp_path, monkeypatch):
    before = program.learning_program.__wrapped__()
    for name in LEARNING[program.control].split():
        (tmp_path / f"{name}.py").write_text((ROOT / "control" / f"{name}.py").read_text() + "\n# said\n")
    package = type(program.control)("control")
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setattr(program, "LEARNING", {package: LEARNING[program.control]} | _others())
    assert program.learning_program.__wrapped__() == before
    (tmp_path / "ddpg.py").write_text((tmp_path / "ddpg.py").read_text() + "\nCHANGED = 1\n")
    assert program.learning_program.__wrapped__() != before


def _others():
    return {package: names for package, names in LEARNING.items() if package is not program.control}


def test_files_and_values_both_name_a_run(tmp_path):
    file = tmp_path / "network"
    file.write_bytes(b"one")
    first = fingerprint([{"a": 1}], file)
    assert fingerprint([{"a": 2}], file) != first
    file.write_bytes(b"two")
    assert fingerprint([{"a": 1}], file) != first


@pytest.fixture(scope="module")
def deps():
    """What each stage of the pipeline depends on."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: set((stage.get("do") or stage)["deps"]) for name, stage in stages.items()}


@pytest.mark.parametrize("stage", ["control", "gauntlet"])
def test_the_pipelines_stages_depend_on_every_module_of_an_episode(stage, deps):
    assert {f"{name.replace('.', '/')}.py" for name in covered(EPISODES)} <= deps[stage]


@pytest.mark.parametrize(
    ("stage", "without"),
    [
        ("gallery", set()),
        ("frames", set()),
        # No frames are stored in these, and only the gauntlet draws the official arm.
        ("control", {"official_arm.py", "store.py"}),
        ("end_to_end", {"official_arm.py", "store.py"}),
        ("gauntlet", {"store.py"}),
    ],
)
def test_stages_that_draw_depend_on_all_that_shapes_a_picture(stage, without, deps):
    assert {f"datasets/{name}" for name in set(DRAWING_FILES) - without} <= deps[stage]


def test_a_look_s_training_depends_on_every_module_of_perception_that_it_runs_through(deps):
    needed = {f"{name.replace('.', '/')}.py" for name in imported("perception.train", set())}
    assert "perception/pose_check.py" in needed
    needed.remove("perception/table.py")  # of pose_check it takes where the base is, not the check
    assert {name for name in needed if not name.startswith("perception/backbones/")} <= deps["perception"]
    assert "perception/backbones" in deps["perception"]
