"""A run without an arm: nothing it keeps or prints claims to know where one is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from control.arms.absent import AbsentArm
from control.arms.params import ArmParams
from datasets.common.errors import DataError
from datasets.recorded_split import cut_recordings
from datasets.rig.frame import Frame
from datasets.store.recording import Recording
from perception.calibration.calibration import Calibration
from pipelines.observers.console import result_table
from pipelines.observers.recorder import FRAMES, RunRecorder
from pipelines.setup.assemble import make_runtime
from pipelines.setup.devices import Devices
from pipelines.setup.setup import Setup, make_fence

pytestmark = pytest.mark.realtime

GOAL = np.array([0.45, 0.08, 0.30])


@pytest.fixture
def run_without_arm(world, tmp_path):
    """The result and the recording of a goal looked at without an arm."""
    size = (world.rig.camera.height, world.rig.camera.width)
    picture = np.zeros((*size, 3), np.uint8), np.ones(size, np.float32)
    fresh = world.camera.read_latest
    world.camera.read_latest = lambda max_age_s: Frame(*picture, fresh(max_age_s).timestamp)
    fence = make_fence(world.rig, ArmParams.load())
    settings = replace(world.settings.with_horizon(12), settle_s=0.0)
    calibration = Calibration.of_rig(world.rig)
    setup = Setup(world.rig, settings, ArmParams.load(), None, world.estimator, world.policy, fence, calibration)
    arm = AbsentArm(world.rig, fence)
    with RunRecorder(tmp_path, world.rig, arm, {}) as recorder:
        devices = Devices(world.camera, arm, None)
        result = make_runtime(setup, devices, world.policy, (recorder,)).reach(GOAL)
        recorder.finished(result)
    assert result.stop is None
    assert result.steps == 12  # more than drift is averaged over
    return result, recorder


def test_its_frames_carry_no_labels_to_learn_from(world, run_without_arm, tmp_path):
    _, recorder = run_without_arm
    stored = Recording(str(recorder.path), FRAMES)
    for name in ("tcp", "joints", "tcp_now"):
        assert np.isnan(stored.read(name)).all(), name
    assert np.isfinite(stored.read("estimate")).all()
    with pytest.raises(DataError, match="nothing to learn from"):
        cut_recordings([stored], str(tmp_path), "train", world.rig)


def test_its_policy_hears_that_nothing_was_sent(world, run_without_arm):
    result, _ = run_without_arm
    assert any(np.any(tick.sent) for tick in result.ticks)
    assert not np.any([observation.last_command for observation in world.policy.seen])


def test_no_residual_by_encoders_is_told(run_without_arm):
    result, recorder = run_without_arm
    assert "by the encoders" not in result_table([result], 1)
    events = [json.loads(line) for line in recorder.log.path.read_text().splitlines()]
    assert [event["residual_mm"] for event in events if event["event"] == "goal ended"] == [None]
