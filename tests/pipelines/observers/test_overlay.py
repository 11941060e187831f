"""What perception believes is drawn where it projects into the camera's image."""

import numpy as np
import pytest

from datasets.rig.projection import invert, project, transform
from pipelines.observers.overlay import DOUBTED, ESTIMATE, GOAL, draw_tick
from ticks import make_tick


def test_the_picture_shows_goal_and_estimate_where_they_project(rig):
    blank = np.zeros((480, 640, 3), np.uint8)
    tick = make_tick()
    picture = draw_tick(blank, tick, rig.t_base_camera, rig.camera)
    assert not blank.any()
    for point, colour in ((tick.goal, GOAL), (tick.estimate, ESTIMATE)):
        u, v = np.rint(project(transform(invert(rig.t_base_camera), point), rig.camera)).astype(int)
        assert np.linalg.norm(picture[v, u].astype(float) - colour) < 60


def colours(tick, rig):
    picture = draw_tick(np.zeros((480, 640, 3), np.uint8), tick, rig.t_base_camera, rig.camera)
    return {colour for colour in (GOAL, ESTIMATE, DOUBTED) if (picture == colour).all(axis=-1).any()}


def test_an_estimate_that_was_not_acted_on_is_shown_as_doubted(rig):
    unknown = np.full(3, np.nan)
    assert colours(make_tick(), rig) == {GOAL, ESTIMATE}
    assert colours(make_tick(held=True), rig) == {GOAL, DOUBTED}
    assert colours(make_tick(held=True, estimate=unknown, sigma=unknown), rig) == {GOAL}


@pytest.mark.parametrize("sigma_m", [1e-6, 0.3, 1e6])
@pytest.mark.parametrize("tcp", [(0.42, 0.03, 0.25), (3.0, 0.0, 0.6), (1.45, 0.0, 0.6), (1e9, 1e9, -1e9)])
def test_no_answer_of_a_network_breaks_the_picture(rig, tcp, sigma_m):
    colours(make_tick(held=True, estimate=np.array(tcp), sigma=np.full(3, sigma_m)), rig)
