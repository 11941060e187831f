"""What counts as a new pair of images."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.cameras.realsense.pair_watch import PairWatch, Stamp

SHAPE = 48, 64


def images(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8),
        rng.integers(500, 2000, SHAPE).astype(np.uint16),
    )


def watch(**changes: float) -> PairWatch:
    settings = {"max_skew_s": 0.02, "min_depth_fraction": 0.01} | changes
    made = PairWatch(**settings)
    made.accept((Stamp(7, 700.0), Stamp(3, 695.0)), images(0))
    return made


def test_the_first_pair_is_new_whatever_its_numbers() -> None:
    fresh = PairWatch(0.02, 0.01)
    assert fresh.reject_stamps(Stamp(0, 0.0), Stamp(0, 0.0), one_clock=True) is None
    assert fresh.reject_images(*images(0)) is None


def test_the_streams_count_on_their_own() -> None:
    assert watch().reject_stamps(Stamp(8, 733.0), Stamp(4, 728.0), one_clock=True) is None


@given(
    colour=st.tuples(st.integers(0, 20), st.floats(600, 800)), depth=st.tuples(st.integers(0, 20), st.floats(600, 800))
)
def test_accepted_only_if_both_streams_moved_on(colour: tuple[int, float], depth: tuple[int, float]) -> None:
    new = Stamp(*colour), Stamp(*depth)
    verdict = watch(max_skew_s=10.0).reject_stamps(*new, one_clock=True)
    moved_on = colour[0] != 7 and colour[1] > 700.0 and depth[0] != 3 and depth[1] > 695.0
    assert (verdict is None) == moved_on


def test_counters_that_start_again_are_new_when_time_went_on() -> None:
    assert watch().reject_stamps(Stamp(1, 733.0), Stamp(1, 728.0), one_clock=True) is None


@pytest.mark.parametrize(
    ("colour", "depth", "sentence"),
    [
        (Stamp(7, 700.0), Stamp(4, 728.0), "colour stream repeats frame 7 beside depth"),
        (Stamp(8, 733.0), Stamp(3, 695.0), "depth stream repeats frame 3 beside colour"),
        (Stamp(8, 733.0), Stamp(4, 800.0), "taken 67 ms apart .at most 20 ms"),
        (Stamp(8, 433.0), Stamp(4, 428.0), "the clock of the colour stream went back by 267 ms"),
        (Stamp(8, 733.0), Stamp(4, 694.0), "the clock of the depth stream went back by 1 ms"),
    ],
)
def test_each_refusal_names_the_stream(colour: Stamp, depth: Stamp, sentence: str) -> None:
    why = watch().reject_stamps(colour, depth, one_clock=True)
    assert why is not None
    assert re.search(sentence, why)


def test_times_on_two_clocks_are_not_compared() -> None:
    assert watch().reject_stamps(Stamp(8, 733.0), Stamp(4, 9e9), one_clock=False) is None


def test_an_image_sent_twice_is_frozen_whichever_stream() -> None:
    (colour, depth), (new_colour, new_depth) = images(0), images(1)
    assert "colour image is frozen" in str(watch().reject_images(colour.copy(), new_depth))
    assert "depth image is frozen" in str(watch().reject_images(new_colour, depth.copy()))
    assert watch().reject_images(new_colour, new_depth) is None


@given(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))
def test_one_changed_pixel_anywhere_is_a_new_image(row: int, column: int) -> None:
    colour, depth = (image.copy() for image in images(0))
    colour[row, column, 1] ^= 1
    depth[row, column] ^= 1
    assert watch().reject_images(colour, depth) is None


def test_depth_without_readings_is_refused_and_the_check_can_be_switched_off() -> None:
    colour, depth = images(1)
    depth[:] = 0
    assert "only 0.0% of the pixels have a depth" in str(watch().reject_images(colour, depth))
    assert watch(min_depth_fraction=0.0).reject_images(colour, depth) is None
