"""Tools: what their files say is what is mounted; what cannot be a tool is refused by its key."""

import re
from pathlib import Path

import mujoco
import numpy as np
import pytest

from control.clearance.shapes import LINKS, pieces_with
from datasets.arm import tools
from datasets.arm.kinematics import Kinematics, wearing
from datasets.arm.model import FLANGE, GRIPPER_JOINTS, TCP_SITE, arm_spec
from datasets.arm.tools import ToolParams
from datasets.common.errors import ConfigError
from datasets.rig.rig import Tool, Workspace

PAGE = Path(__file__).parents[3] / "docs/your_own_tool.md"
PLATE = "{x_m: [-0.1, 0.1], y_m: [-0.1, 0.1], z_m: [0, 0.1]}"
LEAST = "tcp_m: 0.1\nmass_kg: 0.3\ncentre_m: 0.05\n"
ANYWHERE = Workspace((-0.1, 0.7), (-0.5, 0.5), (0.03, 0.85))


@pytest.fixture
def described(tmp_path, monkeypatch):
    """Writes a tool's file, and gives its name."""
    monkeypatch.setattr(tools, "TOOLS_PATH", tmp_path)

    def write(text: str) -> str:
        (tmp_path / "own.yaml").write_text(text)
        return "own"

    return write


def hand(model: mujoco.MjModel) -> np.ndarray:
    """Vertices ``(V, 3)`` m, in the flange's frame, of all that is drawn on it."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    flange, found = model.body(FLANGE).id, []
    for geom in np.flatnonzero(model.geom_bodyid >= flange):
        mesh = model.geom_dataid[geom]
        first = model.mesh_vertadr[mesh]
        vertices = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
        places = vertices @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
        found.append((places - data.xpos[flange]) @ data.xmat[flange].reshape(3, 3))
    return np.concatenate(found)


def test_the_grippers_file_mounts_what_the_arm_has_without_one() -> None:
    own, filed = (arm_spec("own", tool).compile() for tool in (None, ToolParams.load("xarm_gripper")))
    np.testing.assert_array_equal(own.mesh_vert, filed.mesh_vert)
    np.testing.assert_array_equal(own.site_pos, filed.site_pos)
    assert [own.joint(i).name for i in range(own.njnt)] == [filed.joint(i).name for i in range(filed.njnt)]


def test_on_the_bare_flange_there_is_nothing_and_the_tcp_is_its_face() -> None:
    model = arm_spec("own", ToolParams.load("flange")).compile()
    assert not {model.joint(index).name for index in range(model.njnt)} & set(GRIPPER_JOINTS)
    assert hand(model)[:, 2].max() < 1e-6
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(data.site(TCP_SITE).xpos, data.body(FLANGE).xpos)


def test_the_tool_of_the_page_is_drawn_and_kept_clear_as_measured(described) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    tool = ToolParams.load(described(text))
    vertices = hand(arm_spec("own", tool).compile())
    assert vertices[:, 2].max() == pytest.approx(0.095) == tool.tcp_m
    # The flange's frame keeps its directions: the valve stands out along x, and on no other side.
    beyond = vertices[(vertices[:, 2] > 0.02) & (vertices[:, 2] < 0.06)]
    assert beyond[:, 0].max() == pytest.approx(0.050)
    assert beyond[:, 0].min() > -0.02
    pieces = {piece.name: piece for piece in pieces_with(tool)}
    assert {"plate", "stem", "cup", "valve"} <= set(pieces)
    assert "gripper" not in pieces
    assert pieces["cup"].link == LINKS.index(FLANGE)
    assert tool.below_m == 0


def write_stl(path: Path, unit_m: float = 0.001) -> None:
    """A pyramid of 40 x 20 x 60 mm, in units of ``unit_m``."""
    corners = np.array([[0, 0, 0], [0.04, 0, 0], [0, 0.02, 0], [0, 0, 0.06]], dtype="<f4") / unit_m
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    triangles = np.zeros(len(faces), record)
    triangles["corners"] = corners[np.array(faces)]
    path.write_bytes(bytes(80) + np.uint32(len(faces)).tobytes() + triangles.tobytes())


@pytest.mark.parametrize("unit_m", [1.0, 0.001])
@pytest.mark.parametrize("said_m", [1.0, 0.001])
def test_an_stl_in_another_unit_than_it_is_said_to_be_is_refused(described, tmp_path, unit_m, said_m) -> None:
    write_stl(tmp_path / "own.stl", unit_m)
    name = described(LEAST + f"mesh: {{file: own.stl, unit_m: {said_m}}}")
    if said_m == unit_m:
        ToolParams.load(name)
    else:
        with pytest.raises(ConfigError, match=r"own is .* those of an STL times mesh\.unit_m"):
            ToolParams.load(name)


@pytest.mark.parametrize("content", [b"", b"solid own\nendsolid own\n", bytes(84)])
def test_what_is_no_binary_stl_is_refused_when_the_tool_is_read(described, tmp_path, content) -> None:
    (tmp_path / "own.stl").write_bytes(content)
    with pytest.raises(ConfigError, match="export it as a binary STL"):
        ToolParams.load(described(LEAST + "mesh: {file: own.stl}"))


def test_an_stl_is_drawn_where_its_numbers_say(described, tmp_path) -> None:
    write_stl(tmp_path / "own.stl")
    tool = ToolParams.load(described(LEAST + "mesh: {file: own.stl}"))
    ((_, (vertices, _)),) = tool.parts()
    np.testing.assert_allclose(vertices.max(axis=0), [0.04, 0.02, 0.06], atol=1e-6)
    np.testing.assert_allclose(vertices.min(axis=0), 0, atol=1e-6)
    with pytest.raises(ConfigError, match=r"other\.stl: no such file"):
        ToolParams.load(described(LEAST + "mesh: {file: other.stl}"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (LEAST.replace("0.3", ".nan"), "mass_kg must lie in"),
        (LEAST.replace("0.1", "-0.1"), "tcp_m must lie in"),
        (LEAST.replace("0.1", "100"), "tcp_m must lie in"),
        (LEAST + "boxes: {plate: {x_m: [0.1, -0.1], y_m: [-0.1, 0.1], z_m: [0, 0.1]}}", r"boxes\.plate\.x_m is empty"),
        (LEAST + "boxes: {plate: {x_m: [.nan, 0.1], y_m: [-0.1, 0.1], z_m: [0, 0.1]}}", r"boxes\.plate\.x_m is empty"),
        (LEAST + "cylinders: {rod: {radius_m: -0.01, z_m: [0, 0.1]}}", r"cylinders\.radius_m must lie in"),
        (LEAST + "cylinders: {rod: {radius_m: .nan, z_m: [0, 0.1]}}", r"cylinders\.radius_m must lie in"),
        (LEAST + "cylinders: {rod: {radius_m: 0.01, z_m: [0.1, .nan]}}", r"cylinders\.rod\.z_m is empty"),
        (LEAST + "opening_rad: [0.5, 0.1]", "opening_rad must lie in"),
        (LEAST + "colour: red", "colour"),
        (LEAST, "no part that reaches there"),
        (LEAST + "tcp_m: 0.2", "tcp_m given twice"),
        (LEAST + f"boxes: {{a: {PLATE}, a: {PLATE}}}", "a given twice"),
        (LEAST + f"boxes: {{a: {PLATE}}}\ncylinders: {{a: {{radius_m: 0.1, z_m: [0, 1]}}}}", "two parts are called a"),
        (LEAST + "cylinders: {rod: {radius_m: 0.01, z_m: [-0.1, -0.05]}}", "rod ends at z = -0.05 m, behind"),
        (LEAST + "cylinders: {rod: {radius_m: 0.01, z_m: [0, 1.2]}}", r"reaches 1\.2 m"),
        (LEAST + "cylinders: {rod: {radius_m: 0.0001, z_m: [0, 0.0002]}}", r"is 0\.0002\d* m long"),
        (LEAST + "box: {}", "unknown key box|box"),
        ("tcp_m: 0.1", "mass_kg|centre_m"),
    ],
)
def test_what_cannot_be_a_tool_names_its_key(described, text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"own\.yaml: .*({key})"):
        ToolParams.load(described(text))


def test_an_unknown_tool_and_another_tcp_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"'drill' is unknown; .* knows flange, xarm_gripper: .*drill\.yaml"):
        ToolParams.load("drill")
    with pytest.raises(ConfigError, match=r"tcp_offset_m is 0\.1, but the TCP of flange lies 0\.0 m .*correct the rig"):
        ToolParams.load(Tool("flange", 0.1))


def test_a_rig_that_wears_another_tool_has_its_tcp_at_the_same_home(rig) -> None:
    bare = wearing(rig, "flange")
    assert wearing(rig, rig.tool.name) is rig
    assert bare.tool == Tool("flange", 0.0)
    homes = [Kinematics(each.tool.tcp_offset_m).tcp_pose(each.home_joints_rad) for each in (rig, bare)]
    np.testing.assert_allclose(homes[0][:3, 3], homes[1][:3, 3], atol=1e-3)
    np.testing.assert_allclose(homes[0][:3, :3], homes[1][:3, :3], atol=0.01)
