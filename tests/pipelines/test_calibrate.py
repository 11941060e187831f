"""The camera's pose from what networks see and what the encoders say."""

import numpy as np
import pytest

from datasets.common.errors import ConfigError, DeviceError
from perception.calibration.calibration import Calibration
from perception.estimator.estimator import PositionEstimator
from pipelines.calibrate import __main__ as calibrate
from pipelines.calibrate.__main__ import difference, main
from pipelines.calibrate.networks import measured


def test_the_file_holds_what_was_measured(rig, tmp_path):
    calibration = measured(rig.t_base_camera, np.full((4, 3), 0.001), 20, "today")
    calibration.save(tmp_path / "new" / "camera.yaml")
    again = Calibration.load(tmp_path / "new" / "camera.yaml")
    np.testing.assert_allclose(again.pose, rig.t_base_camera, atol=1e-8)
    assert again.residual_mm == pytest.approx(1.732, abs=1e-3)
    assert difference(again.pose, rig.t_base_camera).startswith("0.0 mm")


@pytest.mark.parametrize(
    ("row", "word"),
    [((2.0, 0.0, 0.0, 0.0), "rotation"), ((1.0, 0.0, 0.0, 1450.0), "metres"), ((float("nan"),) * 4, "finite")],
)
def test_a_pose_that_cannot_be_is_refused(row, word):
    rows = [row, (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)]
    with pytest.raises(ConfigError, match=word):
        Calibration(tuple(rows), 10, 1.0, "edited")


def test_too_few_poses_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--poses", "3", "--out", str(tmp_path / "c.yaml")])
    assert exit_.value.code == 2
    assert "--poses 3" in capsys.readouterr().err
    assert not (tmp_path / "c.yaml").exists()


def test_a_lower_speed_limit_reaches_the_arm(rig, tmp_path, monkeypatch, capsys):
    def no_devices(names, setup, twin):
        limit = setup.fence.max_displacement_m * rig.rate_hz
        raise DeviceError(f"{setup.max_speed_m_s} m/s, fence {limit:.2f} m/s")

    monkeypatch.setattr(calibrate, "open_devices", no_devices)
    monkeypatch.setattr(PositionEstimator, "load", lambda folder, rig: None)
    for speed, words in (("0.03", "0.03 m/s, fence 0.03 m/s"), ("0", "speed")):
        with pytest.raises(SystemExit) as exit_:
            main(["--max-speed", speed, "--out", str(tmp_path / "c.yaml")])
        assert exit_.value.code == 2
        assert words in capsys.readouterr().err
