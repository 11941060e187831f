"""What perception believes is drawn where it projects into the camera's image."""

import numpy as np

from datasets.rig.projection import invert, project, transform
from pipelines.observers.overlay import ESTIMATE, GOAL, draw_tick
from ticks import make_tick


def test_the_picture_shows_goal_and_estimate_where_they_project(rig):
    blank = np.zeros((480, 640, 3), np.uint8)
    tick = make_tick()
    picture = draw_tick(blank, tick, rig.t_base_camera, rig.camera)
    assert not blank.any()
    for point, colour in ((tick.goal, GOAL), (tick.estimate, ESTIMATE)):
        u, v = np.rint(project(transform(invert(rig.t_base_camera), point), rig.camera)).astype(int)
        assert np.linalg.norm(picture[v, u].astype(float) - colour) < 60
    only_goal = draw_tick(blank, make_tick(held=True), rig.t_base_camera, rig.camera)
    assert not (only_goal == ESTIMATE).all(axis=-1).any()
