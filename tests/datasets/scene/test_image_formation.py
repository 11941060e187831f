"""What a colour camera makes of the drawn colours: each step by its law."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import ConfigError
from datasets.rig.projection import Intrinsics, Window, window_intrinsics
from datasets.scene.image_formation import IDENTITY, ImageFormation, formed, sample_image_formation
from datasets.scene.randomization import ImageRandomization

NATIVE = Intrinsics(640, 480, 615, 615, 320, 240)
WHOLE = window_intrinsics(NATIVE, Window(79.5, -0.5, 480, 480), 84)
GREY = np.full((84, 84, 3), 100, np.uint8)


def of(how: ImageFormation, rgb=GREY, window=WHOLE, seed=0):
    return formed(rgb, window, NATIVE, how, np.random.default_rng(seed))


def test_the_identity_gives_back_the_picture_itself():
    assert of(IDENTITY) is GREY


@given(st.integers(0, 1000))
def test_a_seed_decides_every_byte(seed):
    how = sample_image_formation(np.random.default_rng(seed), ImageRandomization())
    np.testing.assert_array_equal(of(how), of(how))
    assert of(how).dtype == np.uint8
    assert of(how).shape == GREY.shape


def test_exposure_is_a_factor_and_saturates():
    assert (of(ImageFormation(gain=1.5)) == 150).all()
    assert (of(ImageFormation(gain=3.0)) == 255).all()


def test_white_balance_acts_on_its_own_channel():
    assert of(ImageFormation(balance=(1.2, 1.0, 0.8)))[0, 0].tolist() == [120, 100, 80]


def test_vignetting_is_the_same_in_two_windows_of_one_image():
    how = ImageFormation(vignetting=0.3)
    corner = window_intrinsics(NATIVE, Window(-0.5, -0.5, 84, 84), 84)
    whole = formed(np.full((480, 640, 3), 100, np.uint8), NATIVE, NATIVE, how, np.random.default_rng(0))
    np.testing.assert_array_equal(of(how, window=corner), whole[:84, :84])
    assert whole[0, 0, 0] == pytest.approx(70, abs=1)
    assert whole[240, 320, 0] == 100


def test_noise_grows_with_the_root_of_the_light():
    spread = [of(ImageFormation(noise=0.03), np.full_like(GREY, level)).std() for level in (40, 160)]
    assert spread[1] / spread[0] == pytest.approx(2, rel=0.15)


def test_blur_takes_contrast_and_sharpening_gives_it():
    edge = np.where(np.arange(84)[None, :, None] < 42, 60, 180).astype(np.uint8).repeat(84, 0).repeat(3, 2)
    native = replace(WHOLE, fx=NATIVE.fx, fy=NATIVE.fy)
    slopes = [
        np.abs(np.diff(of(how, edge, native)[40, :, 0].astype(int))).max()
        for how in (ImageFormation(blur_px=1.0), ImageFormation(gain=1.0001), ImageFormation(sharpening=0.5))
    ]
    assert slopes[0] < slopes[1] < slopes[2]


def test_halved_chroma_keeps_brightness():
    rgb = np.random.default_rng(0).integers(60, 200, (84, 84, 3), dtype=np.uint8)
    native = replace(WHOLE, fx=NATIVE.fx, fy=NATIVE.fy)
    found = of(ImageFormation(chroma_halved=True), rgb, native)
    weights = [0.299, 0.587, 0.114]
    assert np.abs((found @ weights) - (rgb @ weights)).mean() < 2
    assert found.astype(int).std() < rgb.astype(int).std()


def test_an_empty_range_is_refused():
    with pytest.raises(ConfigError, match=r"image\.gain"):
        ImageRandomization(gain=(2.0, 1.0))
