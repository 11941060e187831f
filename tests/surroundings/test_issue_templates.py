"""Whoever files an issue is asked for the doctor's page, by a command that exists."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_asks_for_the_doctor_s_page(path):
    template = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(template)
    asked = {field["id"]: field["attributes"] for field in template["body"]}
    assert "python -m pipelines.doctor" in asked["doctor"]["description"]
    for module in re.findall(r"python -m ([\w.]+\w)", path.read_text()):
        assert (ROOT / module.replace(".", "/") / "__main__.py").is_file()


def test_there_are_templates():
    assert {"bug", "hardware", "question"} <= {path.stem for path in TEMPLATES}
