"""What dvc.yaml and studies/dvc.yaml say that a stage depends on is what its commands import."""

import ast
import itertools
import json
import re
from pathlib import Path

import pytest
import yaml

from control.ablation import VARIANTS
from datasets.common.code_digest import PACKAGES, ROOT, code_only, import_closure

NOTHING = code_only("")


def read_stages() -> dict[str, dict]:
    """Every stage by its name, ``foreach`` unfolded to its pattern."""
    files = [yaml.safe_load((ROOT / name).read_text()) for name in ("dvc.yaml", "studies/dvc.yaml")]
    return {name: stage.get("do", stage) for content in files for name, stage in content["stages"].items()}


STAGES = read_stages()
TRAINED_BY = ("perception.train", "control.train", "control.repeat", "control.ablation")


def commands(stage: dict) -> list[str]:
    """The modules that a stage runs."""
    lines = [stage["cmd"]] if isinstance(stage["cmd"], str) else stage["cmd"]
    return [re.match(r"python -m (\S+)", line)[1] for line in lines]


def code_deps(stage: dict) -> list[str]:
    return [dep for dep in stage["deps"] if dep.split("/")[0] in PACKAGES]


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


def needed(stage: dict) -> list[str]:
    """The files with code, and the data files, that the stage's commands reach."""
    modules = [
        f"{module}.__main__" if ROOT.joinpath(*module.split("."), "__main__.py").is_file() else module
        for module in commands(stage)
    ]
    closure = import_closure([*modules, *imported_by_studies(modules)])
    return [file for file in closure if not file.endswith(".py") or code_only((ROOT / file).read_text()) != NOTHING]


def imported_by_studies(modules: list[str]) -> list[str]:
    """What the modules beside a study's own import; studies belong to none of the four packages."""
    studies = [ROOT.joinpath(*module.split(".")).parent for module in modules if module.startswith("studies.")]
    trees = [ast.parse(path.read_text()) for folder in studies for path in folder.glob("*.py")]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return [f"{node.module}.{alias.name}" for node in imports for alias in node.names]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_all_the_code_it_runs_and_on_no_other(name):
    deps, files = code_deps(STAGES[name]), needed(STAGES[name])
    assert [file for file in files if not any(covers(dep, file) for dep in deps)] == [], "missing"
    assert [dep for dep in deps if not any(covers(dep, file) for file in files)] == [], "superfluous"
    assert [dep for dep in deps if any(covers(other, dep) for other in deps if other != dep)] == [], "told twice"
    assert [dep for dep in deps if not (ROOT / dep).exists()] == []


@pytest.mark.parametrize("name", [name for name in STAGES if name != "control_seeds"])  # which gathers what others drew
def test_a_stage_that_draws_the_arm_depends_on_the_tool_that_it_draws(name):
    stage = STAGES[name]
    if "datasets/scene/photographer.py" in needed(stage):
        params = [next(iter(each)) if isinstance(each, dict) else each for each in stage.get("params", [])]
        assert [file for file in params if file.startswith("params/tools/")]


@pytest.mark.parametrize(
    "file", ["control/arms/xarm/driver.py", "pipelines/observers/recorder.py", "pipelines/twin/twin.py"]
)
def test_an_edit_of_driver_observers_or_twin_repeats_what_runs_the_twin_alone(file):
    assert (ROOT / file).is_file()
    repeated = {name for name, stage in STAGES.items() if any(covers(dep, file) for dep in stage["deps"])}
    assert "rehearsal" in repeated
    assert repeated <= {"rehearsal", "rehearsal_cameras", "rehearsal_flange", "calibration", "peers"}


@pytest.mark.parametrize("name", [name for name in STAGES if set(commands(STAGES[name])) & {*TRAINED_BY}])
def test_no_training_waits_for_what_the_twin_did(name):
    assert not [dep for dep in STAGES[name]["deps"] if dep.startswith(("pipelines", "results/rehearsal"))]


def unfold(stage: dict) -> list[dict]:
    """The stages that ``foreach`` or ``matrix`` make of one."""
    matrix = stage.get("matrix", {})
    rows = itertools.product(*matrix.values())  # without a matrix: one, of nothing
    items = [{f"${{item.{key}}}": value for key, value in zip(matrix, row, strict=True)} for row in rows]
    if "foreach" in stage:
        each = stage["foreach"]  # of a list the items, of a mapping its keys as well
        items = [{"${key}": key, "${item}": each[key] if isinstance(each, dict) else key} for key in each]
    texts = []
    for item in items:
        text = json.dumps(stage.get("do", stage))
        for key, value in item.items():
            text = text.replace(key, str(value))
        texts.append(text)
    return [json.loads(text) for text in texts]


def test_a_plain_repro_leaves_the_studies_alone():
    default, studies = (
        [one for stage in yaml.safe_load((ROOT / name).read_text())["stages"].values() for one in unfold(stage)]
        for name in ("dvc.yaml", "studies/dvc.yaml")
    )
    listed = [out for one in studies for key in ("outs", "metrics") for out in one.get(key, [])]
    outs = [next(iter(out)) if isinstance(out, dict) else out for out in listed]
    assert "runs/perception/seeds/3/fovea" in outs
    assert not [out for out in outs if "$" in out]
    needs = [dep for one in default for dep in one["deps"]]
    assert [out for out in outs if any(covers(dep, out) or covers(out, dep) for dep in needs)] == []


def test_the_metrics_that_dvc_shows_are_the_summary_s():
    stages = [yaml.safe_load((ROOT / name).read_text())["stages"].items() for name in ("dvc.yaml", "studies/dvc.yaml")]
    assert {name for each in stages for name, stage in each if "metrics" in stage.get("do", stage)} == {"summary"}


def test_the_ablations_stages_are_its_variants():
    raw = yaml.safe_load((ROOT / "studies/dvc.yaml").read_text())
    assert raw["stages"]["ablation_seed"]["matrix"]["variant"] == list(VARIANTS)


def test_dvc_yaml_is_read_in_a_minute():
    assert len(Path(ROOT / "dvc.yaml").read_text().splitlines()) <= 250
