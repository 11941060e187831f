"""What the registration rests on: edges where they are, a background that is never read, honest deviations, spread."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.calibration.registration.fit import _jackknife  # 1000 times: a registration takes many seconds
from perception.calibration.registration.posture import apart


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_the_deviation_holds_what_whole_postures_and_links_err_by(seed):
    """One unknown, measured by every posture and link with errors of their own that all their pixels share."""
    rng = np.random.default_rng(seed)
    deviations, errors = [], []
    for _ in range(200):
        away = rng.normal(0, 1, (10, 1)) + rng.normal(0, 1, (1, 9)) + rng.normal(0, 0.3, (10, 9))
        hessians, prior = np.full((10, 9, 1, 1), 50.0), np.zeros(1)
        estimate = away.mean()
        deviations.append(_jackknife(hessians, 50.0 * (away - estimate)[..., None], prior)[0, 0])
        errors.append(estimate)
    assert 0.8 < np.sqrt(np.mean(deviations)) / np.std(errors) < 1.6


def test_postures_are_as_far_apart_as_the_nearest_of_those_that_differ_most(rig):
    home = np.asarray(rig.home_joints_rad)
    turned = [home + angle * np.eye(7)[0] for angle in (0.0, 0.01, 0.5, 1.0)]
    three, four = apart(turned, 3), apart(turned, 4)
    assert four < 0.01 < 0.1 < three
    assert apart([home] * 5, 5) == 0
    assert three == pytest.approx(apart(turned[::-1], 3))
