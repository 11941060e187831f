"""How fast an arm may be that must brake within what room is left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.arms.xarm.braking import limit_change, remaining_velocity, speed_within

vectors = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array)


@given(room=st.floats(0, 0.5), now=st.floats(-0.25, 0.25), duration=st.floats(0.05, 0.5), braking=st.floats(0.5, 20.0))
def test_a_velocity_fits_into_the_room_with_slowing_down_and_braking(room, now, duration, braking) -> None:
    def way(speed: float) -> float:
        return speed * duration + (speed**2 + max(now - speed, 0) ** 2) / (2 * braking)

    speed = float(speed_within(np.array([room]), np.array([now]), duration, braking)[0])
    least = max(now - braking * duration, 0) / 2  # slower than that, slowing down takes the longer way
    if room >= way(least):
        assert way(speed) <= room + 1e-9
        assert way(speed + 1e-4) > room
    else:
        assert speed == pytest.approx(least)


@given(wished=vectors, now=vectors, change=st.floats(0.01, 2))
def test_a_limited_change_leads_straight_towards_the_wish(wished, now, change) -> None:
    velocity = limit_change(wished, now, change)
    assert np.linalg.norm(velocity - now) <= change + 1e-9
    gone, asked = np.linalg.norm(velocity - now), np.linalg.norm(wished - now)
    np.testing.assert_allclose(gone + np.linalg.norm(wished - velocity), asked, atol=1e-9)
    assert gone == pytest.approx(min(asked, change))


def test_what_is_left_of_a_velocity_brakes_to_rest() -> None:
    velocity = np.array([0.0, 0.3, 0.4])
    np.testing.assert_array_equal(remaining_velocity(velocity, -1.0, 2.0), velocity)
    np.testing.assert_allclose(remaining_velocity(velocity, 0.125, 2.0), velocity / 2)
    np.testing.assert_array_equal(remaining_velocity(velocity, 1.0, 2.0), np.zeros(3))
    np.testing.assert_array_equal(remaining_velocity(np.zeros(3), 1.0, 2.0), np.zeros(3))
