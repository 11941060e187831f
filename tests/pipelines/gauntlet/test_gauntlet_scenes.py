"""What the gaps do to scenes, pictures and arms."""

import numpy as np
import pytest

from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams
from control.task.rendered import RenderedParams
from perception.estimator.estimate import PositionEstimate
from pipelines.gauntlet.gap_env import GapEnv
from pipelines.gauntlet.gaps import Gap
from pipelines.gauntlet.scenes import GapScenes, GapSource

HOME = np.array([0.4, 0.0, 0.228])
NOMINAL = Gap("Nominal", "nominal")
UNNOTICED = {"exact": True, "told_rig": True, "calibration_m": 0.0, "calibration_deg": 0.0}


def scenes_of(rig, gap):
    return GapScenes(RenderedParams(), gap, rig)


def test_the_camera_moves_as_the_gap_says_in_the_same_scene_and_nobody_is_told(rig):
    nominal, moved = scenes_of(rig, NOMINAL), scenes_of(rig, Gap("x", "camera", camera={**UNNOTICED, "offset_m": 0.03}))
    for seed in (1, 2):
        nominal.draw(seed)
        moved.draw(seed)
        off = moved.scene.t_base_camera[:3, 3] - rig.t_base_camera[:3, 3]
        assert np.linalg.norm(off) == pytest.approx(0.03, abs=1e-6)
        assert np.array_equal(moved.scene.t_base_camera_told, rig.t_base_camera)
        assert np.array_equal(moved.scene.appearance.colours, nominal.scene.appearance.colours)
        assert moved.scene.gripper_rad == nominal.scene.gripper_rad
    nominal.close()
    moved.close()


def test_the_focal_length_is_off_and_the_estimator_believes_the_rig(rig):
    scenes = scenes_of(rig, Gap("x", "camera", focal_fraction=0.02))
    factors = set()
    for seed in range(6):
        scenes.draw(seed)
        factors.add(round(scenes.scene.intrinsics.fx / rig.camera.fx, 6))
        assert scenes.intrinsics_told == rig.camera
    scenes.close()
    assert factors == {0.98, 1.02}


@pytest.mark.parametrize("calibrated", [False, True])
def test_holes_take_the_share_of_depth_and_lie_at_the_same_place_in_every_window(rig, calibrated):
    gap = Gap("x", "picture", depth_holes=0.3, depth_scale_fraction=0.02, depth_calibrated=calibrated)
    plain, torn = scenes_of(rig, NOMINAL), scenes_of(rig, gap)
    home = np.array([0.4, 0.0, 0.228])
    lost = []
    for scenes in (plain, torn):
        scenes.draw(3)
        photograph = scenes.camera(home)
        rgb, depth = photograph(rig.picture_window, 84)
        lost.append(float(np.mean(depth == 0)))
        again = photograph(rig.picture_window, 84)[1]
        assert np.array_equal(again == 0, depth == 0)
        assert rgb.any()
        scenes.close()
    assert lost[1] - lost[0] * 0.7 == pytest.approx(0.3, abs=0.06)


def test_the_bar_crosses_the_view_once(rig):
    scenes = scenes_of(rig, Gap("x", "picture", passing_bar=True))
    scenes.draw(4)
    home = np.array([0.4, 0.0, 0.228])
    places = []
    for _ in range(50):
        scenes.camera(home)
        places.append(scenes.scene.appearance.positions[-1][1])
    scenes.close()
    steps = np.diff(places)
    assert np.allclose(steps, steps[0])
    assert min(places) < 0 < max(places)


class Answers:
    """Counts its looks, and answers with their number."""

    def __init__(self):
        self.looks = 0

    def __call__(self, photograph, told, intrinsics):
        self.looks += 1
        return PositionEstimate(np.full(3, self.looks), np.ones(3))


@pytest.mark.parametrize("delay_s", [0.0, 0.12, 0.32])
@pytest.mark.parametrize("dropped", [0.0, 0.5])
def test_a_frame_is_looked_at_once_and_only_dropped_ones_are_seen_again(rig, delay_s, dropped):
    dynamics = DynamicsParams(camera_delay_s=(delay_s, delay_s), dropped_frames=(dropped, dropped))
    look, scenes = Answers(), scenes_of(rig, NOMINAL)
    env = GapEnv(EnvParams(horizon=12, dynamics=dynamics), NOMINAL, GapSource(scenes, look), rig)
    env.reset(seed=5)
    answers = [env.policy_observation.estimate.xyz[0]]
    for _ in range(12):
        env.step(np.array([0.2, 0.1, 0.1], np.float32))
        answers.append(env.policy_observation.estimate.xyz[0])
    scenes.close()
    assert len(set(answers)) == look.looks
    assert (look.looks == 13) if dropped == 0 else (2 <= look.looks <= 12)
