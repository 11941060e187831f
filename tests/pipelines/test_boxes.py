"""Goals among boxes through the whole runtime on the twin: reached, or refused with a reason, and nothing touched."""

import re
from dataclasses import replace

import numpy as np
import pytest

import bench_boxes
from control.arms.site import SiteParams
from datasets.arm.model import menagerie_available
from pipelines.twin.settings import TwinParams


@pytest.mark.realtime
@pytest.mark.slow
@pytest.mark.skipif(menagerie_available() is not None, reason=str(menagerie_available()))
def test_goals_among_boxes_are_reached_or_refused_and_nothing_is_touched(knowing_setup):
    setup = replace(bench_boxes.patient(knowing_setup), site=SiteParams.load(bench_boxes.SITE))
    setup = replace(setup, settings=setup.settings.with_horizon(40))
    goals = [np.array(goal) for goal in ([0.45, 0.02, 0.3], [0.336, -0.205, 0.249])]
    found = bench_boxes.figures(setup, goals, TwinParams(calibration_m=0.0, calibration_deg=0.0))
    assert (found["reached"], len(found["refused"]), found["stopped"]) == (1, 1, [])
    assert re.search("gripper comes within 1[0-9] mm of shelf", found["refused"][0])
    assert found["least_mm"] >= found["margin_mm"]
    assert found["postures"] > 100
