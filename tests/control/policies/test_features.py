"""The actor's features: each where it is said to be, and none of them knows the goal."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from control.policies.features import COMMAND, DELAY, ESTIMATE, REST, SIGMA, SIZE, SPREAD, FeatureEncoder
from control.policies.policy import Observation
from perception.estimator.estimate import PositionEstimate

points = arrays(np.float64, 3, elements=st.floats(-0.5, 0.5))
PARTS = (REST, ESTIMATE, SIGMA, SPREAD, COMMAND, DELAY)


def seen(xyz=(0.4, 0.0, 0.2), goal=(0.5, 0.1, 0.3), command=(0.0, 0.0, 0.0)):
    return Observation(
        PositionEstimate(np.array(xyz), np.array([0.001, 0.002, 0.003])), np.array(goal), np.array(command)
    )


def test_the_parts_fill_the_vector_without_gap_or_overlap():
    assert [index for part in PARTS for index in range(part.start, part.stop)] == list(range(SIZE))


@given(xyz=points, command=points)
def test_what_was_seen_and_sent_stands_in_its_place(xyz, command):
    found = FeatureEncoder(0.1).encode(seen(xyz, command=command))
    assert (found.shape, found.dtype) == ((SIZE,), np.float32)
    np.testing.assert_allclose(found[ESTIMATE], xyz, atol=1e-6)
    np.testing.assert_allclose(found[COMMAND], command, atol=1e-6)
    np.testing.assert_allclose(found[SIGMA], [0.001, 0.002, 0.003], atol=1e-6)
    assert np.all(found[SPREAD] > 0)
    assert found[DELAY] > 0


@given(one=points, other=points)
def test_no_feature_depends_on_the_goal(one, other):
    first, second = (FeatureEncoder(0.1).encode(seen(goal=goal)) for goal in (one, other))
    np.testing.assert_array_equal(first, second)


def test_a_new_episode_knows_nothing_of_the_one_before():
    encoder = FeatureEncoder(0.1)
    first = encoder.encode(seen())
    for step in range(5):
        encoder.encode(seen((0.3 + 0.02 * step, 0.1, 0.2), command=(0.02, 0.0, 0.0)))
    assert not np.array_equal(encoder.encode(seen()), first)
    encoder.reset()
    np.testing.assert_array_equal(encoder.encode(seen()), first)
