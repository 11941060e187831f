"""Small moves are filmed: commands, frames and encoders of the same time; a fault of the camera is told."""

import re
import time

import numpy as np
import pytest

from control.arms.params import ArmParams
from datasets.common.errors import DataError, DeviceError
from datasets.rig.frame import Frame
from pipelines.calibrate import __main__ as calibrate
from pipelines.calibrate.delays import delays
from pipelines.capture import moves
from pipelines.capture.moves import MOVE_M, film_moves


class Arm:
    """Is where it is sent, at once."""

    def __init__(self):
        self.sent, self.commanded_at = [(0.0, np.zeros(3))], None

    def move(self, displacement_m):
        self.commanded_at = time.monotonic()
        self.sent.append((self.commanded_at, self.sent[-1][1] + displacement_m))
        return np.array(displacement_m)

    def tcp_at(self, time_s):
        assert time_s < time.monotonic(), "no report tells the future"
        return next(place for since_s, place in reversed(self.sent) if since_s <= time_s)


class Camera:
    def __init__(self, frames=10**9):
        self.left = frames

    def read(self):
        time.sleep(0.01)  # frames come at a rate
        self.left -= 1
        if self.left < 0:
            raise DeviceError("unplugged")
        return Frame(np.full((480, 640, 3), 90, np.uint8), np.ones((480, 640), np.float32), time.monotonic() - 0.1)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(moves, "REST_S", 0.08)
    monkeypatch.setattr(moves, "MORE_REST_S", 0.02)


def test_all_of_a_film_belongs_together():
    filmed = film_moves(Camera(), Arm(), 2)
    assert len(filmed.moves_m) == len(filmed.commands_s) == len(filmed.ends_s) == 12
    np.testing.assert_allclose(np.sum(filmed.moves_m, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(filmed.moves_m, axis=1), MOVE_M)
    assert np.all(np.diff(filmed.encoder_s) > 0)
    assert all(command < end for command, end in zip(filmed.commands_s, filmed.ends_s, strict=True))
    assert len(filmed.pictures) == len(filmed.stamps_s) == len(filmed.arrivals_s) > 20
    assert filmed.pictures[0].shape == moves.PICTURE_PX[::-1]


def test_moves_that_were_shortened_to_nearly_nothing_give_no_delays(monkeypatch):
    class Slow(Arm):
        def move(self, displacement_m):
            return super().move(np.asarray(displacement_m) / 10)

    filmed = film_moves(Camera(), Slow(), 1)
    with pytest.raises(DataError, match=r"shortened to 1\.2 mm, 3 mm are needed"):
        delays(filmed, 0.02, ArmParams.load())


def test_a_camera_that_fails_meanwhile_ends_it(monkeypatch):
    monkeypatch.setattr(moves, "PATIENCE_S", 0.1)
    with pytest.raises(DeviceError, match="unplugged"):
        film_moves(Camera(frames=5), Arm(), 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frames", "captures"], "leave out --frames"),
        (["--out", "c.yaml"], "leave out --frames and --out"),
        (["--rounds", "1"], "give 3 to 100"),
        (["--arm", "192.168.1.9"], "twin's camera"),
    ],
)
def test_what_does_not_go_with_latency_is_refused(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr(calibrate, "open_devices", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(SystemExit) as exit_:
        calibrate.main(["--latency", *arguments])
    assert exit_.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.realtime
def test_the_twin_s_delays_are_measured(patient_folder, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.chdir(patient_folder)
    twin = patient_folder / "params/twin.yaml"
    assert "latency_s: 0.1" in twin.read_text()
    twin.write_text(re.sub(r"latency_s: 0\.1\w*", "latency_s: 0.13", twin.read_text()))
    calibrate.main(["--latency", "--rounds", "4"])
    out = capsys.readouterr().out
    arrive, stamp, motion = (float(value) for value in re.findall(r"by (-?[\d.]+) \+-", out))
    assert arrive - stamp > 129  # a machine that is busy takes pictures later than they come
    assert abs(stamp) < 10
    assert abs(motion) < 15
    assert not (patient_folder / "params/site.yaml").exists()
