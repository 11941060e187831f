"""The depth sensor's model against a real one: the estimators by their laws, the real frames where they are named."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.depth_likeness import BAG, BASELINE_M, VARIABLE, autocorrelation, main, noise_px, sigma_by_range

FOCAL_PX = 390.0


def pair(sigma_px: float, blur_px: float = 0.0):
    """Two pictures of a slanted plane, 0.5 to 2 m away, with disparity noise of a known size and width."""
    rng = np.random.default_rng(0)
    disparity = FOCAL_PX * BASELINE_M / np.linspace(0.5, 2.0, 640)[None].repeat(480, 0)
    noise = rng.standard_normal((2, 480, 640))
    if blur_px:
        noise = np.stack([cv2.GaussianBlur(each, (0, 0), blur_px) for each in noise])
    return (FOCAL_PX * BASELINE_M / (disparity + sigma_px * noise / noise.std())).astype(np.float32)


def test_a_known_noise_is_measured_at_every_distance():
    found = sigma_by_range(*noise_px(*pair(0.08), FOCAL_PX))
    assert len(found) == 6
    assert list(found.values()) == pytest.approx([0.08] * 6, rel=0.03)


def test_a_known_correlation_is_measured():
    found = autocorrelation(noise_px(*pair(0.08, blur_px=2.0), FOCAL_PX)[0])
    assert [found["2 px"], found["4 px"]] == pytest.approx([np.exp(-4 / 16), np.exp(-16 / 16)], abs=0.05)


def test_pixels_without_a_reading_count_for_nothing():
    first, second = pair(0.08)
    first[:, :100] = 0
    noise, distance = noise_px(first, second, FOCAL_PX)
    assert np.isnan(noise[:, :100]).all()
    assert np.isnan(distance[:, :100]).all()


def test_without_real_frames_the_results_stay_as_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(VARIABLE, raising=False)
    main(["--out", str(tmp_path / "out")])
    assert "n = 0" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_folder_without_the_recording_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--frames", str(tmp_path), "--out", str(tmp_path / "out")])
    assert f"{BAG}: no such recording" in capsys.readouterr().err


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"n = 0: {VARIABLE} names no folder of real frames")
def test_the_model_describes_the_frames_that_it_was_fitted_to(tmp_path):
    main(["--frames", os.environ[VARIABLE], "--out", str(tmp_path)])
    found = json.loads(Path(tmp_path / "metrics.json").read_text())
    sigma, correlation = found["sigma_px"], found["autocorrelation"]
    assert sigma["model"].keys() == sigma["measured"].keys()
    for key, value in sigma["measured"].items():
        assert sigma["model"][key] == pytest.approx(value, rel=0.2), key
    for key, value in correlation["measured"].items():
        assert correlation["model"][key] == pytest.approx(value, abs=0.05), key
