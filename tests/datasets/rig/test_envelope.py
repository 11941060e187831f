"""The envelope of cameras: what is drawn from it lies in it, and what lies outside is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import ConfigError
from datasets.rig.envelope import CameraEnvelope, roll_deg
from datasets.rig.projection import Intrinsics, invert, look_at, project, transform
from datasets.rig.rig import Rig
from datasets.scene.randomization import CameraRandomization
from datasets.scene.scene import sample_camera

POINT = np.array([0.4, 0.0, 0.3])


@given(st.integers(0, 10_000))
def test_cameras_that_are_drawn_lie_in_the_envelope_and_see_the_tcp(seed):
    rig, rng, envelope = Rig.load(), np.random.default_rng(seed), CameraEnvelope()
    tcp = rng.uniform(rig.workspace.low, rig.workspace.high)
    _, told, k = sample_camera(rng, rig, CameraRandomization(envelope=envelope), tcp)
    assert envelope.faults(told, k, tcp) == []
    assert ((uv := project(transform(invert(told), tcp), k)) > 0).all()
    assert (uv < [k.width, k.height]).all()


@pytest.mark.parametrize(
    ("position", "focal", "named"),
    [
        ([1.0, 0.0, 0.3], 615, []),
        ([2.9, 0.0, 0.3], 615, ["distance 2.5 m, where 0.6 to 1.8 m are served"]),
        ([0.4, 1.2, 0.3], 615, ["angle to the side 90 deg, where -80 to 80 deg are served"]),
        ([0.7, 0.0, 1.2], 615, ["elevation"]),
        ([1.4, 0.0, 0.3], 300, ["focal length at 640x480 300 px"]),
        ([-0.6, 0.0, 0.3], 1000, ["angle to the side 180", "focal length"]),
    ],
)
def test_what_lies_outside_is_named_with_its_range(position, focal, named):
    k = Intrinsics(640, 480, focal, focal, 320, 240)
    faults = CameraEnvelope().faults(look_at(position, POINT), k, POINT)
    assert len(faults) == len(named)
    assert all(part in fault for part, fault in zip(named, faults, strict=True))


def test_a_wide_image_counts_by_its_height():
    pose = look_at([1.4, 0.0, 0.3], POINT)
    assert CameraEnvelope().faults(pose, Intrinsics(1280, 720, 1400, 1400, 640, 360), POINT) == []
    assert CameraEnvelope().faults(pose, Intrinsics(640, 480, 1400, 1400, 320, 240), POINT)


@given(st.floats(-40, 40))
def test_roll_is_the_turn_about_the_optical_axis(angle):
    pose, turn = look_at([1.4, 0.3, 0.5], POINT), np.radians(angle)
    pose[:3, :3] @= np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    assert abs(roll_deg(pose)) == pytest.approx(abs(angle), abs=2)


def test_an_empty_range_is_refused():
    with pytest.raises(ConfigError, match=r"envelope\.distance_m"):
        CameraEnvelope(distance_m=(1.8, 0.6))


def test_an_envelope_without_a_camera_that_sees_the_tcp_is_refused():
    below = CameraRandomization(envelope=CameraEnvelope(elevation_deg=(-80.0, -70.0), distance_m=(1.5, 1.8)))
    with pytest.raises(ConfigError, match="none sees the TCP"):
        sample_camera(np.random.default_rng(0), Rig.load(), below, POINT)
