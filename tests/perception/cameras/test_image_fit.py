"""Images of other sizes, made ones of the rig's."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.common.errors import DeviceError
from datasets.rig.projection import Intrinsics
from perception.cameras.realsense.image_fit import ImageFit

RIG = Intrinsics(640, 480, 615.0, 615.0, 320.0, 240.0)
SIZES = [(640, 480), (848, 480), (960, 540), (1280, 720), (1280, 800), (1920, 1080)]


def reported(width: int, height: int, focal: float = 600.0, centre=None):
    ppx, ppy = centre or ((width - 1) / 2, (height - 1) / 2)
    return SimpleNamespace(width=width, height=height, fx=focal, fy=focal, ppx=ppx, ppy=ppy)


@settings(max_examples=60)
@given(
    size=st.sampled_from(SIZES), x=st.floats(-0.3, 0.3), y=st.floats(-0.3, 0.3), off=st.tuples(*[st.floats(-9, 9)] * 2)
)
def test_what_is_seen_in_a_direction_stays_in_it(size, x: float, y: float, off) -> None:
    width, height = size
    focal = 1.25 * height
    lens = reported(width, height, focal, (width / 2 + off[0], height / 2 + off[1]))
    image = np.zeros((height, width, 3), np.uint8)
    radius = height / 60
    at = lens.ppx + focal * x, lens.ppy + focal * y
    cv2.circle(image, [round(64 * value) for value in at], round(64 * radius), (255, 255, 255), -1, cv2.LINE_AA, 6)
    fit = ImageFit.of(lens, RIG)
    seen = fit.colour(image)[..., 0].astype(float)
    assert seen.shape == (480, 640)
    v, u = (float((axis * seen).sum() / seen.sum()) for axis in np.indices(seen.shape))
    where = fit.intrinsics
    assert (u - where.cx) / where.fx == pytest.approx(x, abs=0.1 / where.fx)
    assert (v - where.cy) / where.fy == pytest.approx(y, abs=0.1 / where.fy)


def test_images_of_the_rigs_size_keep_every_bit() -> None:
    rng = np.random.default_rng(0)
    rgb, counts = rng.integers(0, 256, (480, 640, 3), np.uint8), rng.integers(0, 9999, (480, 640), np.uint16)
    fit = ImageFit.of(reported(640, 480, 613.2, (319.9, 239.2)), RIG)
    np.testing.assert_array_equal(fit.colour(rgb), rgb)
    np.testing.assert_array_equal(fit.depth(counts), counts)
    np.testing.assert_allclose(fit.intrinsics.as_array(), [613.2, 613.2, 319.9, 239.2])


@pytest.mark.parametrize("size", SIZES)
def test_no_depth_is_made_up_between_two_readings(size) -> None:
    counts = np.where(np.arange(size[0])[None] % 97 < 48, 500, 1500).astype(np.uint16).repeat(size[1], axis=0)
    depth = ImageFit.of(reported(*size), RIG).depth(counts)
    assert depth.shape == (480, 640)
    assert set(np.unique(depth)) == {500, 1500}


@pytest.mark.parametrize("size", [(424, 240), (480, 270), (640, 360), (640, 640), (480, 640)])
def test_smaller_or_narrower_images_are_refused_with_the_sizes(size) -> None:
    with pytest.raises(DeviceError, match=rf"{size[0]}x{size[1]} px, the rig's 640x480 px.*848x480"):
        ImageFit.of(reported(*size), RIG)
