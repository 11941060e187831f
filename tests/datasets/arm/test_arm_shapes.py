"""Lofts are closed solids of the size that their numbers say."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datasets.arm.shapes import Loft, load_shapes, mirrored, save_shapes
from datasets.common.errors import DataError


def volume_m3(triangles):
    """By the divergence theorem; positive where faces turn outwards."""
    a, b, c = (triangles[0][triangles[1][:, i]] for i in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


@given(
    axis=st.sampled_from("xyz"),
    half=st.tuples(st.floats(5, 50), st.floats(5, 50)),
    corner=st.floats(0, 2),
    length=st.floats(10, 200),
    angle=st.floats(-180, 180),
)
def test_a_straight_loft_holds_what_its_section_and_length_say(axis, half, corner, length, angle):
    stations = [[3.0, 1.0, -2.0, *half, corner], [3.0 + length]]
    box_m3 = 4 * half[0] * half[1] * length * 1e-9
    volume = volume_m3(Loft(axis, stations, angle=angle, sides=64).triangles())
    assert np.pi / 4 * box_m3 * 0.99 <= volume <= box_m3 * 1.001
    if corner == 0:
        assert volume == pytest.approx(box_m3)


def test_a_round_loft_with_round_ends_is_a_capsule_within_the_polygons_error():
    loft = Loft("y", [[-60, 0, 0, 20], [60]], ends=[20, 20, 20, 20], sides=64)
    exact = np.pi * 0.02**2 * 0.08 + 4 / 3 * np.pi * 0.02**3
    assert volume_m3(loft.triangles()) == pytest.approx(exact, rel=0.05)
    assert np.ptp(loft.triangles()[0], axis=0) == pytest.approx([0.04, 0.12, 0.04], abs=1e-4)


def test_a_mirrored_solid_is_on_the_other_side_and_still_turned_outwards():
    solid = Loft("z", [[0, 30, 0, 5, 8, 0.5], [40]]).triangles()
    other = mirrored(solid, "x")
    assert volume_m3(other) == pytest.approx(volume_m3(solid))
    assert other[0][:, 0].max() == pytest.approx(-solid[0][:, 0].min())
    both = Loft("z", [[0, 30, 0, 5, 8, 0.5], [40]], mirror="x").triangles()
    assert volume_m3(both) == pytest.approx(2 * volume_m3(solid))


def test_every_link_is_made_of_closed_solids_of_few_numbers():
    shapes = load_shapes()
    assert {"link_base", "link6", "xarm_gripper_base_link", "left_finger"} <= set(shapes)
    for lofts in shapes.values():
        for loft in lofts:
            vertices, faces = loft.triangles()
            assert np.isfinite(vertices).all()
            assert volume_m3((vertices, faces)) > 0
            assert faces.max() == len(vertices) - 1
        assert sum(len(station) for loft in lofts for station in loft.stations) < 75


def test_shapes_come_back_from_the_file_they_are_saved_to(tmp_path):
    path = tmp_path / "shapes.yaml"
    path.write_text("# heading\n")
    save_shapes(load_shapes(), path)
    assert path.read_text().startswith("# heading\n")
    assert load_shapes(path) == load_shapes()


@pytest.mark.parametrize(
    ("loft", "message"),
    [
        ({"axis": "z", "stations": [[0, 0, 0, 5]]}, "two or more stations"),
        ({"axis": "z", "stations": [[0, 0, 0, 5], [-1]]}, "must ascend"),
        ({"axis": "z", "stations": [[0, 0, 0, 5], [1]], "sides": 5}, "multiple of 4"),
        ({"axis": "z", "stations": [[0, 0, 0, 5], [1]], "ends": [1, 1]}, "four lengths"),
        ({"axis": "z", "stations": [[0, 0, 0, 5], [1]], "radius": 3}, "radius"),
    ],
)
def test_a_file_that_makes_no_solid_is_refused_naming_the_link(tmp_path, loft, message):
    path = tmp_path / "shapes.yaml"
    path.write_text(yaml.safe_dump({"link9": [loft]}))
    with pytest.raises(DataError, match=f"link9.*{message}"):
        load_shapes(path)
