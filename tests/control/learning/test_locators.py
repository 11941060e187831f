"""Networks that find the position in a picture, and pictures shifted with their camera."""

import numpy as np
import pytest
import torch as th

from control.learning.locators import PictureLocator, points_of, shifted


def test_the_picture_shows_the_arm_where_it_is_said_to_be(elsewhere):
    """The point that depth and pose make of the TCP's pixel lies on the gripper."""
    off = []
    for seed in range(12):
        seen = elsewhere.reset(seed=seed)[0]
        image, camera = (th.as_tensor(seen[key][None]) for key in ("image", "camera"))
        points, valid = points_of(image, camera)
        there = points[0].flatten(1).T[valid.flatten() > 0]
        off.append(float((there - th.as_tensor(seen["seen_tcp"])).norm(dim=1).min()))
        # The truth, which no observation has.
        assert np.allclose(elsewhere._scenes.scene.tcp, elsewhere.seen_tcp, atol=1e-3), "though it is far from home"
    assert max(off) < 0.06, "between the fingers, as far as they open"


@pytest.mark.parametrize("head", ["flat", "keypoints", "votes"])
def test_a_picture_and_its_camera_shifted_tell_the_same_points(env, elsewhere, head):
    seen = [elsewhere.reset(seed=seed)[0] for seed in range(2)]
    image, camera = (th.as_tensor(np.stack([one[key] for one in seen])) for key in ("image", "camera"))
    moved, its_camera = shifted(image, camera, 5)
    there, valid = points_of(moved, its_camera)
    here, _ = points_of(image, camera)
    for k in range(2):
        dx, dy = (its_camera - camera)[k, 14:].int().tolist()
        inside = slice(10, 70), slice(10, 70)
        before = slice(10 - dy, 70 - dy), slice(10 - dx, 70 - dx)
        mask = valid[k, :, *inside].bool().expand(3, -1, -1)
        assert mask.float().mean() > 0.1
        th.testing.assert_close(there[k, :, *inside][mask], here[k, :, *before][mask])
    locator = PictureLocator(elsewhere.observation_space, head)
    assert locator.train()(image, camera).shape == (2, 3)
    one = locator.eval()(image, camera)
    assert th.equal(one, locator(image, camera)), "no shifts where nothing is learnt"
