"""Where the arm was between two reports, and when that cannot be said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.arms.xarm.wire.pose_history import Pose, PoseHistory
from datasets.common.errors import DeviceError


@given(part=st.floats(0, 1))
def test_poses_between_two_reports_lie_on_the_line(part: float) -> None:
    history = PoseHistory()
    history.add(Pose(1.0, np.zeros(3), np.zeros(7)))
    history.add(Pose(2.0, np.ones(3), np.full(7, 2.0)))
    pose = history.at(1.0 + part)
    np.testing.assert_allclose(pose.xyz, part, atol=1e-9)
    np.testing.assert_allclose(pose.joints, 2 * part, atol=1e-9)


def test_moments_the_reports_do_not_cover_are_refused() -> None:
    history = PoseHistory(length=3, max_gap_s=0.2)
    with pytest.raises(DeviceError, match="connect it first"):
        _ = history.latest
    for time_s in (1.0, 2.0, 3.0, 4.0):
        history.add(Pose(time_s, np.full(3, time_s), np.zeros(7)))
    assert history.at(4.15).xyz[0] == 4.0
    with pytest.raises(DeviceError, match="300 ms older"):
        history.at(4.3)
    with pytest.raises(DeviceError, match="go back 2"):
        history.at(1.5)
    history.clear()
    with pytest.raises(DeviceError, match="connect it first"):
        history.at(4.0)


@given(times=st.lists(st.floats(0, 10), min_size=1, max_size=8, unique=True).map(sorted), part=st.floats(0, 1))
def test_an_arm_that_stood_still_was_always_where_it_is(times: list[float], part: float) -> None:
    history = PoseHistory()
    for time_s in times:
        history.add(Pose(time_s, np.full(3, time_s), np.full(7, time_s)))
    span_s = history.span_s
    history.stood_still()
    assert history.span_s == span_s
    np.testing.assert_allclose(history.at(times[0] + part * span_s).xyz, times[-1])
