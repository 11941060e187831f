"""The documentation site: built strictly, with every parameter, stage, model and message of the code on it."""

import ast
import html
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs/site_pages.py")
assert _spec is not None
assert _spec.loader is not None
site_pages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(site_pages)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site's folder."""
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, timeout=280, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def words(page):
    """A page's text without tags, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.read_text())).split())


@pytest.mark.slow
def test_the_site_is_built_strictly_with_its_formulas_and_pictures(site):
    assert (site / "concepts.html").read_text().count('display="block"') >= 6
    for page in site.glob("*.html"):
        assert "{{" not in page.read_text(), page.name
        for source in re.findall(r'<img[^>]* src="([^":]+)"', page.read_text()):
            assert (page.parent / source).is_file(), f"{page.name}: {source}"


@pytest.mark.slow
def test_public_classes_are_in_the_reference(site):
    reference = words(site / "api/control.html") + words(site / "api/perception.html")
    for name in ("ReachEnv", "PositionEstimator", "XArm", "FrameHerReplayBuffer"):
        assert f"{name}" in reference


@pytest.mark.slow
def test_a_page_asks_for_nothing_from_elsewhere(site):
    for page in site.glob("*.html"):
        fetched = re.findall(r'<(?:script|img|link rel="sty)[^>]*(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert fetched == [], page.name


def test_every_parameter_file_is_on_the_page_or_of_a_kind_that_is():
    same_kind = {
        "boxes",
        "end_to_end_rgb_camera",
        "end_to_end_rgbd",
        "trial",
        "twin_stalls",
        *("rig_flange", "frames_flange", "locate_flange", "perception_flange_glance", "perception_flange_fovea"),
        *(f"perception_baseline_{name}" for name in ("conv3_rgb", "conv3_rgbd", "timm")),
    }
    files = {path.stem for path in (ROOT / "params").glob("*.yaml")} - {"site"}
    assert files == {*site_pages.PARAMETERS} | same_kind


@pytest.mark.parametrize("name", [name for name, each in site_pages.PARAMETERS.items() if each])
def test_every_key_of_a_parameter_file_has_its_row(name):
    page = site_pages.parameters_page()
    part = page[page.index(f"## `params/{name}.yaml`") :]
    for key in yaml.safe_load((ROOT / f"params/{name}.yaml").read_text()):
        assert f"| `{key}` |" in part


def test_every_stage_is_on_the_page():
    page = site_pages.stages_page()
    for file in ("dvc.yaml", "studies/dvc.yaml"):
        for stage in yaml.safe_load((ROOT / file).read_text())["stages"]:
            assert f"| `{stage}` |" in page


def test_each_shipped_model_has_its_card():
    page, figures = (ROOT / "docs/models.md").read_text(), site_pages.model_figures()
    cards = set(re.findall(r"^## `models/(\w+)`", page, re.MULTILINE))
    assert cards == {each.name for each in (ROOT / "models").iterdir()}
    assert set(re.findall(r"\{\{ (.+?) \}\}", page)) == set(figures)


@pytest.mark.parametrize("package", site_pages.PACKAGES)
def test_every_message_that_is_raised_is_on_the_page(package):
    page, kinds = site_pages.messages_page(), "ConfigError|DataError|ModelError|DeviceError|SafetyStop|ReachError"
    raised = 0
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and re.match(rf"({kinds})\(", ast.unparse(node.exc) if node.exc else ""):
                message = node.exc.args[0] if node.exc.args else ast.Constant("")
                texts = [part.value for part in getattr(message, "values", [message]) if isinstance(part, ast.Constant)]
                longest = max((" ".join(text.split()) for text in texts if isinstance(text, str)), key=len, default="")
                assert longest.replace("`", "'") in page, f"{path}:{node.lineno}"
                raised += 1
    assert raised > 5
