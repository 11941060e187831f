"""What a project has around its code is whole and agrees with it: changelog, citation, workflow, containers."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_newest_version_of_the_changelog_is_the_project_s():
    versions = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d{2}-\d{2}$", CHANGELOG, re.MULTILINE)
    assert versions[0] == PROJECT["version"]
    assert versions == sorted(versions, key=lambda each: [int(part) for part in each.split(".")], reverse=True)


def test_the_changelog_has_the_sections_of_its_format():
    sections = set(re.findall(r"^### (\w+)", CHANGELOG, re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Migration"}
    assert "### Migration from 0.1" in CHANGELOG


def test_the_citation_is_of_this_version_and_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert f"## [{citation['version']}] - {citation['date-released']}" in CHANGELOG
    (paper,) = citation["references"]
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:1710.06542"}]


def test_the_workflow_runs_what_ci_runs_on_every_python():
    (job,) = WORKFLOW["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert runs == re.findall(r"make \w+", (ROOT / ".ci/run").read_text())
    low, high = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups())
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(low, high)]


def test_the_image_installs_the_libraries_that_make_would():
    wanted = set(re.findall(r"\.so[.\d]*:([\w.-]+)", MAKEFILE)) | {"libgl1-mesa-dri"}
    assert len(wanted) == 5
    assert wanted <= set(DOCKERFILE.split())


def test_the_image_is_of_a_python_that_the_project_takes():
    (minor,) = re.findall(r"^FROM python:3\.(\d+)-", DOCKERFILE, re.MULTILINE)
    assert f"3.{minor}" in WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]


def test_the_development_container_sets_up_by_a_target_of_make():
    text = (ROOT / ".devcontainer/devcontainer.json").read_text()
    container = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
    (target,) = re.fullmatch(r"make (\S+)", container["postCreateCommand"]).groups()
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("name", ["Dockerfile", ".devcontainer/devcontainer.json"])
def test_what_was_not_built_says_so(name):
    assert "no engine was at hand" in (ROOT / name).read_text()


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "README.md"])
def test_every_link_to_a_file_leads_somewhere(name):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", (ROOT / name).read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_targets_that_contributors_are_told_of_exist():
    told = set(re.findall(r"\bmake ([a-z-]+)\b", (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"setup", "test", "lint"} <= told
    assert told <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
