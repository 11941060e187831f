"""A film shows every second tick that was kept, and where each goal ended side by side."""

import time

import numpy as np
import pytest
from PIL import Image

from datasets.rig.frame import Frame
from pipelines.demo.film import FILES, Film
from ticks import make_tick

SIZE = 480, 640


@pytest.fixture
def film(shipped_setup):
    """Of two goals with five ticks and one."""
    film = Film(shipped_setup, 2)
    for index, goal in enumerate((0, 0, 0, 0, 0, 1)):
        shade = np.full((*SIZE, 3), 40 * index, np.uint8)
        film(make_tick(goal_index=goal, step=index), Frame(shade, np.ones(SIZE, np.float32), time.monotonic()))
    return film


def test_the_animation_has_every_second_tick_at_the_pace_of_the_run(film, tmp_path, rig):
    gif, _ = film.save(tmp_path / "new")
    with Image.open(gif) as shown:
        assert shown.n_frames == 3
        assert shown.info["duration"] == pytest.approx(2e3 / rig.rate_hz)


def test_the_strip_shows_the_last_tick_of_each_goal(film, tmp_path):
    gif, strip = film.save(tmp_path)
    assert [path.name for path in (gif, strip)] == list(FILES)
    with Image.open(strip) as shown:
        picture = np.asarray(shown)
    half = picture.shape[1] // 2
    # Below the caption the shade is the frame's own, but for the marks.
    assert [int(np.median(part[60:])) for part in (picture[:, :half], picture[:, half:])] == [160, 200]


def test_a_frame_that_was_kept_is_not_drawn_into(film, tmp_path):
    film.save(tmp_path)
    for index, (_, frame) in enumerate(film.seen):
        assert np.all(frame.rgb == 40 * index)
