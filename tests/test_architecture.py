"""The architecture page is true: its map, the paths that it names, no circle between folders, no torch on the robot."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("architecture_map", ROOT / "docs/map.py")
assert _spec is not None
assert _spec.loader is not None
architecture_map = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(architecture_map)

PACKAGES = sorted(
    ".".join(path.relative_to(ROOT).parent.parts)
    for floor in architecture_map.FLOORS
    for path in (ROOT / floor).rglob("__init__.py")
)
MOST_SIDE_BY_SIDE = 12
LONGEST_TEST_NAME = 80
PATHS = re.findall(
    r"`((?:datasets|perception|control|pipelines|params|tests)/[\w/.]*\w)/?`", architecture_map.PAGE.read_text()
)


def test_the_map_on_the_page_is_that_of_the_code():
    assert architecture_map.page_part() in architecture_map.PAGE.read_text(), "run: python docs/map.py"


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_every_path_on_the_page_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_folders_import_each_other_in_no_circle(package):
    graph = architecture_map.arrows(package)
    while graph:
        ends = {name for name, others in graph.items() if not others & graph.keys()}
        assert ends, f"a circle among {sorted(graph)}"
        graph = {name: others for name, others in graph.items() if name not in ends}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_crowded(package):
    beside = [
        path
        for path in (ROOT / package.replace(".", "/")).iterdir()
        if (path.suffix == ".py" and path.name not in ("__init__.py", "__main__.py"))
        or (path / "__init__.py").is_file()
    ]
    assert len(beside) <= MOST_SIDE_BY_SIDE


def test_names_of_tests_are_short_enough_to_be_read():
    texts = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    names = [name for text in texts for name in re.findall(r"^ *def (test_\w+)", text, re.MULTILINE)]
    assert len(names) > 1000
    assert [name for name in names if len(name) > LONGEST_TEST_NAME] == []


def test_what_the_robot_s_computer_runs_imports_no_torch():
    code = (
        "import sys, pipelines.setup.assemble, pipelines.setup.check, pipelines.run_real; "
        "import pipelines.calibrate.__main__; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0


def test_what_trains_no_picture_network_waits_for_no_torchvision():
    code = (
        "import sys, control.learning.pretrained, control.learning.end_to_end; "
        "sys.exit('torchvision' in sys.modules or 'torch' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0
