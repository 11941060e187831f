"""The documentation site: built strictly, with every parameter, stage, model and message of the code on it."""

import ast
import functools
import html
import importlib.util
import json
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
def test_every_step_of_a_numbered_list_is_one_on_the_site(site):
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        page = (site / ("index.html" if path.name == "README.md" else f"{path.stem}.html")).read_text()
        lists = re.findall(r"<ol>(.*?)</ol>", page, re.DOTALL)
        steps = len(re.findall(r"^\d+\. ", text, re.MULTILINE))
        assert sum(each.count("<li>") for each in lists) == steps, path.name


@pytest.mark.slow
def test_headings_tables_and_what_the_code_says_are_drawn(site):
    for page in [*site.glob("*.html"), *site.glob("api/*.html")]:
        shown = re.sub(r"<(pre|code)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
        shown = html.unescape(re.sub(r"<[^>]+>", "", shown.partition("<article")[2]))
        for raw in (r"^\s*#{2,} ", r"^\|.*\|$", r"\.\. math::", r":(?:math|mod|class|func|meth|data):", r"\$[^$]+\$ "):
            assert not re.search(raw, shown, re.MULTILINE), f"{page.name}: {raw}"
    assert (site / "architecture.html").read_text().count('<svg class="graph"') == len(site_pages.PACKAGES)


def test_a_graph_has_every_box_above_what_it_points_to():
    drawn = site_pages.graph("flowchart TD\n    a\n    a --> b\n    b --> c\n    a --> c\n    alone\n")
    height = {name: int(y) for y, name in re.findall(r'<text x="\d+" y="(\d+)">(\w+)<', drawn)}
    assert height["a"] == height["alone"] < height["b"] < height["c"]
    assert drawn.count("marker-end") == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\n.. math:: x = 1\n\nb", 'display="block"'),
        ("a\n\n.. math::\n    x = 1", 'display="block"'),
        ("of :math:`p_i`", "<msub>"),
        ("see :class:`~a.b.C`", "see `a.b.C`"),
    ],
)
def test_a_docstring_s_formulas_and_names_become_markdown(text, shown):
    made = site_pages.docstring(text)
    assert shown in made
    assert "math::" not in made
    assert ":class:" not in made


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
        *(f"end_to_end_{variant}" for variant in ("rgb_camera", "rgbd", "flat")),
        "gauntlet_end_to_end",
        "trial",
        "twin_stalls",
        *("rig_flange", "frames_flange", "locate_flange", "site_flange"),
        *(f"perception_flange_{look}" for look in ("glance", "parafovea", "fovea")),
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


PAGE = site_pages.messages_page()


def raised(package):
    """Where each error of ours is raised in a package, with its arguments."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            call = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in family():
                yield f"{path.relative_to(ROOT)}:{call.lineno}", call.args


@functools.cache
def family():
    """The names of all errors of ours, by the sources."""
    trees = [ast.parse(path.read_text()) for package in site_pages.PACKAGES for path in (ROOT / package).rglob("*.py")]
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"Sim2RealError"}
    while more := {name for name, base in bases.items() if base & found} - found:
        found |= more
    return found


def longest(arguments):
    """The longest piece of a message that stands in the source, as the page shows it."""
    texts = [
        " ".join(part.value.split()).replace("`", "'")
        for argument in arguments
        for part in getattr(argument, "values", [argument])
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    return max(texts, key=len, default="")


def test_the_page_of_messages_knows_every_error_of_ours():
    assert {"Stop", "CalibrationError", "RecordingEnded"} <= family()
    assert family() <= {each.__name__ for each in site_pages._family(site_pages.Sim2RealError)}


@pytest.mark.parametrize("package", site_pages.PACKAGES)
def test_every_message_that_is_raised_is_on_the_page(package):
    found = {where: longest(arguments) for where, arguments in raised(package)}
    worded = {where: text for where, text in found.items() if len(text) > 3}
    assert len(worded) > 20
    assert [where for where, text in worded.items() if text not in PAGE] == []
    # The others pass on a text that was made elsewhere.
    assert len(found) - len(worded) < len(found) / 8, sorted(set(found) - set(worded))


@pytest.mark.parametrize(
    "told",
    [
        *(reason.value for reason in site_pages.StopReason),
        *(cause.value for cause in site_pages.Cause),
        "from pointing straight down",
        "from where the joints put it",
        "gives no fresh frame for",
    ],
)
def test_what_a_stop_or_a_refusal_says_in_words_is_on_the_page(told):
    assert told in PAGE
    assert f"{told} and more" not in PAGE


def test_the_page_of_peers_names_each_row_and_says_what_was_not_measured():
    from studies.peers.rows import ROWS

    page = (ROOT / "docs/peers.md").read_text()
    assert sorted(site_pages.PEERS_ROW.findall(page)) == sorted(ROWS)
    measured = json.loads((ROOT / "results/peers/metrics.json").read_text())["rows"]
    said = site_pages.peers_part(page).rpartition("\n\n")[2]
    assert set(re.findall(r"`(\w+)`", said)) == set(ROWS) - set(measured)
