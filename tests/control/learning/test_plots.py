"""The stage's pictures are drawn for any number of agents, and show what they are given."""

import pytest
from PIL import Image

from control.learning.plots import draw_curves, draw_distances

CURVE = [{"step": 0, "median_mm": 80.0}, {"step": 1000, "median_mm": 9.0}]
DISTANCES = [0.002, 0.004, 0.03]


@pytest.mark.parametrize("draw", [draw_curves, draw_distances])
def test_a_picture_is_left_that_changes_with_what_it_shows(draw, tmp_path):
    values = CURVE if draw is draw_curves else DISTANCES
    for name, shown in (
        ("one", {"ddpg": values}),
        ("two", {"ddpg": values, "other": values[:1]}),
        ("fewer", {"ddpg": values[:1]}),
    ):
        draw(shown, tmp_path / f"{name}.png")
    pictures = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(pictures) == 3
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width > picture.height > 300
