"""The site file: what is wrong in it names itself, and nothing in it is taken for something else."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from control.arms.site import SITE_EXAMPLE_PATH, HeldParams, LatencyParams, SiteParams, write_measured
from datasets.common.errors import ConfigError
from datasets.rig.rig import Box, Rig, Tool
from perception.calibration.calibration import Calibration

POST = "{x_m: [0.7, 0.8], y_m: [0.3, 0.4], z_m: [0.0, 1.2]}"


def written(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text)
    return path


def test_the_example_is_a_site_of_which_nothing_special_is_known() -> None:
    assert SiteParams.load(SITE_EXAMPLE_PATH) == SiteParams()


def test_every_example_in_the_comments_of_the_example_opens(tmp_path) -> None:
    said = SITE_EXAMPLE_PATH.read_text()
    boxes = [line.lstrip("# ") for line in said.splitlines() if line.startswith("#   ")]
    within, held = ("{" + re.search(rf"{{({key}.*?)}}", said)[1] + "}" for key in (r"x_m: \[0.30", "radius_m: 0.006"))
    text = "\n".join([f"keep_within: {within}", f"held: {held}", "keep_out:", *(f"  {box}" for box in boxes)])
    site = SiteParams.load(written(tmp_path, text))
    assert list(site.keep_out) == ["camera_post", "monitor"]
    assert site.held == HeldParams(0.006, 0.05, 0.08)
    assert site.keep_within == Box((0.30, 0.55), (-0.20, 0.20), (0.12, 0.45))


def test_boxes_that_are_all_commented_out_are_none(tmp_path) -> None:
    assert SiteParams.load(written(tmp_path, "keep_out:\n  # post: later")) == SiteParams()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"keep_ot: {{post: {POST}}}", "keep_ot"),
        ("keep_ot: {}", "unknown key keep_ot"),
        ("held: {radius: {}}", r"unknown key held\.radius"),
        (f"keep_out: {{post: {POST.replace('}', ', yaw: {}}')}}}", r"unknown key keep_out\.post\.yaw"),
        (f"keep_out: {{post: {POST.replace('[0.3, 0.4]', '[0.4, 0.3]')}}}", r"keep_out\.post\.y_m is empty"),
        (f"keep_out: {{post: {POST.replace('0.4]', '.nan]')}}}", r"keep_out\.post\.y_m is empty"),
        (f"keep_out: {{post: {POST.replace('1.2', '1200')}}}", r"keep_out\.post\.z_m .* metres, not millimetres"),
        (f"keep_out: {{post: {POST.replace('1.2', '.inf')}}}", r"keep_out\.post\.z_m .* metres, not millimetres"),
        (f"keep_out: {{post: {POST.replace(', z_m: [0.0, 1.2]', '')}}}", "keep_out.*z_m"),
        (f"keep_out: {{post: {POST.replace('z_m', 'z_mm')}}}", "keep_out.*z_m"),
        ("keep_out: [0.1, 0.2]", "keep_out"),
        (f"keep_within: {POST.replace('0.7', '0.9')}", r"keep_within\.x_m is empty"),
        ("tool: screwdriver", r"'screwdriver' is unknown; this project knows flange, xarm_gripper"),
        ("table_z_m: -10", r"table_z_m must lie in -0\.3\.\.0\.3 m, got -10"),
        ("held: {radius_m: 6, above_m: 0.0, below_m: 80}", r"held\.radius_m must lie in 0\.\.0\.3 m"),
        ("held: {radius_m: 0.0, above_m: 0.0, below_m: 0.08}", "held: give radius_m"),
    ],
)
def test_what_is_wrong_names_itself(tmp_path, text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"site\.yaml: .*{key}"):
        SiteParams.load(written(tmp_path, text))


def test_the_tcp_keeps_to_a_free_box_inside_of_what_the_models_know(rig) -> None:
    assert SiteParams().rig(rig) == rig
    box = Box((0.3, 0.5), (-0.2, 0.1), (0.12, 0.45))
    narrower = SiteParams(keep_within=box).rig(rig)
    np.testing.assert_array_equal([narrower.workspace.low, narrower.workspace.high], [box.low, box.high])
    assert replace(narrower, workspace=rig.workspace) == rig
    with pytest.raises(ConfigError, match=r"keep_within .* is not inside the workspace"):
        SiteParams(keep_within=replace(box, z_m=(0.02, 0.45))).rig(rig)


def test_the_sites_tool_takes_the_place_of_the_rigs_and_none_leaves_it(rig) -> None:
    bare = SiteParams(tool="flange").rig(rig)
    assert (bare.tool, bare.workspace) == (Tool("flange", 0.0), rig.workspace)
    assert SiteParams().rig(bare) == bare
    assert SiteParams(tool="xarm_gripper").rig(rig) is rig


def test_a_site_file_in_the_working_folder_is_read_by_no_test_that_does_not_ask(tmp_path, monkeypatch, request) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params").mkdir()
    written(tmp_path / "params", f"keep_out: {{post: {POST}}}")
    assert SiteParams.load() == SiteParams()
    request.getfixturevalue("site_file")
    assert list(SiteParams.load().keep_out) == ["post"]


def test_a_measured_camera_is_written_and_all_else_stays(tmp_path, rig: Rig) -> None:
    path = written(tmp_path, f"# ours\nkeep_out:\n  post: {POST}  # the camera's\ntable_z_m: -0.01")
    first, second = (Calibration.of_pose(rig.t_base_camera, words, poses=10) for words in ("today", "tomorrow"))
    assert write_measured(path, first) == tmp_path / "site.1.yaml"
    path.write_text(path.read_text() + "\n# below\ntool: xarm_gripper\n")
    write_measured(path, second)
    found, text = SiteParams.load(path), path.read_text()
    assert found.camera is not None
    assert found.camera.measured == "tomorrow"
    np.testing.assert_allclose(found.camera.pose, rig.t_base_camera, atol=1e-8)
    assert (list(found.keep_out), found.table_z_m) == (["post"], -0.01)
    assert text.startswith("# ours\n")
    assert len(re.findall("^camera:", text, re.MULTILINE)) == 1
    assert all(kept in text for kept in ("# the camera's", "\n\n# below\ntool: xarm_gripper\n"))
    assert "today" not in text


def test_a_site_file_is_begun_with_its_camera(tmp_path, rig: Rig) -> None:
    path = tmp_path / "new" / "site.yaml"
    assert write_measured(path, Calibration.of_pose(rig.t_base_camera, "today")) is None
    assert SiteParams.load(path).camera is not None


def test_a_camera_is_written_into_a_copy_of_the_example(tmp_path, rig: Rig) -> None:
    path = written(tmp_path, SITE_EXAMPLE_PATH.read_text())
    write_measured(path, Calibration.of_pose(rig.t_base_camera, "today"))
    assert replace(SiteParams.load(path), camera=None) == SiteParams()
    lines = path.read_text().splitlines()
    assert [line for line in SITE_EXAMPLE_PATH.read_text().splitlines() if line.startswith("#")] == [
        line for line in lines if line.startswith("#")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{table_z_m: 0.0}",
        "{}",
        "  table_z_m: 0.0\n  tool: xarm_gripper",
        "table_z_m: 0.0\n...",
        "keep_within: {\n  x_m: [0.3, 0.5], y_m: [-0.2, 0.1],\n  z_m: [0.12, 0.45]\n}",
        "latency:\n  camera_s: [0.1, 0.2]\n# ours\n  stamp_s: [0.0, 0.01]\n  command_s: [0.0, 0.1]\n  measured: then",
        '"latency": null',
        "table_z_m: 0.0  # no newline at the end",
    ],
)
def test_what_is_measured_is_written_and_all_else_stays_or_nothing_changes(tmp_path, text: str) -> None:
    path = written(tmp_path, text)
    before, bytes_before = SiteParams.load(path), path.read_bytes()
    latency = LatencyParams((0.11, 0.12), (0.0, 0.002), (0.01, 0.02), "now")
    refused = False
    try:
        write_measured(path, latency)
    except ConfigError:
        refused = True
    if refused:
        assert path.read_bytes() == bytes_before
        assert [each.name for each in tmp_path.iterdir()] == [path.name]
    else:
        assert SiteParams.load(path) == replace(before, latency=latency)


@pytest.mark.parametrize("text", ["screws: 4\n", "keep_out: [1]\n", "a letter\n"])
def test_a_camera_is_written_into_nothing_but_a_site_file(tmp_path, rig: Rig, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError):
        write_measured(path, Calibration.of_pose(rig.t_base_camera, "today"))
    assert path.read_text() == text


def test_a_measured_latency_lies_beside_the_camera(tmp_path, rig: Rig) -> None:
    path = tmp_path / "site.yaml"
    latency = LatencyParams((0.098, 0.103), (-0.001, 0.002), (0.02, 0.03), "today")
    write_measured(path, Calibration.of_pose(rig.t_base_camera, "today"))
    write_measured(path, latency)
    write_measured(path, latency)
    found = SiteParams.load(path)
    assert found.latency == latency
    assert found.camera is not None
    with pytest.raises(ConfigError, match="camera_s must lie in"):
        replace(latency, camera_s=(0.2, 0.1))
