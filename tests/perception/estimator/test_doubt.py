"""Which answers are doubted: those that contradict the arm's lengths, and what an estimator then says of its sigma."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ModelError
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.scene import Scene
from perception.estimator.doubt import EVIDENCE, Doubt, evidence_of
from perception.estimator.estimator import DESCRIPTION, GRAPHS, PARAFOVEA, PositionEstimator
from perception.evaluation.package import describe_sigma, pack
from perception.evaluation.predictions import SceneCamera
from perception.networks.locator import Locator, LookSettings
from perception.training.landmarks import landmarks

TCP_OFFSET_M = 0.172
KINEMATICS = Kinematics()
SIGMA_M = np.array([0.01, 0.02, 0.005])


def evidence_at(joints: np.ndarray, moved_m: np.ndarray) -> np.ndarray:
    """Of exact landmarks, and of an answer that lies ``moved_m`` ``(3,)`` m from the TCP."""
    tcp = KINEMATICS.tcp_pose(joints)[:3, 3]
    places = landmarks(torch.from_numpy(joints[None]), torch.from_numpy(tcp[None].copy()))[0].numpy()
    return evidence_of(tcp + moved_m, SIGMA_M, SIGMA_M / 2, *places, TCP_OFFSET_M)


@given(seed=st.integers(0, 10_000))
def test_no_joints_of_the_arm_contradict_its_lengths(seed: int) -> None:
    joints = np.random.default_rng(seed).uniform(*KINEMATICS.joint_limits.T)
    found = evidence_at(joints, np.zeros(3))
    assert found.shape == (EVIDENCE,)
    np.testing.assert_allclose(found[:2], np.log([0.02, 0.01]))
    np.testing.assert_allclose(found[2:], np.log(0.005), atol=1e-6)


@given(seed=st.integers(0, 10_000))
def test_an_answer_farther_along_the_axis_contradicts_them_more(seed: int) -> None:
    joints = np.random.default_rng(seed).uniform(*KINEMATICS.joint_limits.T)
    axis = KINEMATICS.tcp_pose(joints)[:3, 2]
    found = np.stack([evidence_at(joints, away_m * axis) for away_m in (0.0, 0.02, 0.05, 0.1)])
    assert np.all(np.diff(found[:, 2:4], axis=0) > 0)
    assert np.all(found[:, 4] == found[0, 4]), "which does not ask where the answer lies"


def test_more_evidence_against_an_answer_makes_it_less_probable() -> None:
    doubt = Doubt(np.array([5.0, 1.0, 1.0, 1.0, 1.0, 1.0]), 0.3, np.full(3, 0.2))
    rows = np.linspace(-8, 2, 20)[:, None] * np.ones(EVIDENCE)
    found = doubt.probability(rows)
    assert np.all(np.diff(found) > 0)
    assert found[0] < 1e-6 < 1 - 1e-6 < found[-1]
    assert np.isfinite(doubt.probability(np.full(EVIDENCE, 1e6)))
    again = Doubt.from_json(json.loads(json.dumps(doubt.to_json())))
    np.testing.assert_array_equal(again.probability(rows), found)


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An estimator of small, untrained networks that find landmarks."""
    torch.manual_seed(2)
    rig, folder = Rig.load(), tmp_path_factory.mktemp("finding")
    names = (*GRAPHS, PARAFOVEA)
    looks = {
        name: Locator(LookSettings.for_rig(name, "voting:8x1", "rgbd", rig, name in ("glance", PARAFOVEA)))  # type: ignore[arg-type]
        for name in names
    }
    pack(looks, rig, CameraEnvelope(), folder)
    return folder


def test_a_doubted_answer_is_the_same_answer_with_a_larger_sigma(
    finding: Path, scenes: list[Scene], photographer: Photographer
) -> None:
    scales = {name: np.ones(3) for name in (*GRAPHS, PARAFOVEA)}
    found = {}
    least = np.array([0.31, 0.32, 0.33])
    for name, bias in (("kept", -1e3), ("doubted", 1e3)):
        describe_sigma(finding, scales, Doubt(np.array([bias, *np.ones(EVIDENCE)]), 0.5, least))
        estimator = PositionEstimator.load(finding)
        camera = SceneCamera(photographer, scenes[0])
        found[name] = estimator.locate(camera, scenes[0].t_base_camera_told, scenes[0].intrinsics)
    kept, doubted = found["kept"], found["doubted"]
    np.testing.assert_array_equal(kept.fovea.xyz, doubted.fovea.xyz)
    np.testing.assert_array_equal(kept.evidence, doubted.evidence)
    np.testing.assert_array_equal(doubted.fovea.sigma, np.maximum(kept.fovea.sigma, least))
    assert np.all(kept.fovea.sigma < least), "or this shows nothing"
    describe_sigma(finding, scales)
    assert "doubt" not in json.loads((finding / DESCRIPTION).read_text())


def test_networks_without_landmarks_give_no_evidence_and_take_no_doubt(
    packed: Path, tmp_path: Path, scenes: list[Scene], photographer: Photographer
) -> None:
    camera = SceneCamera(photographer, scenes[0])
    found = PositionEstimator.load(packed).locate(camera, scenes[0].t_base_camera_told, scenes[0].intrinsics)
    assert np.all(np.isnan(found.evidence))
    folder = Path(shutil.copytree(packed, tmp_path / "model"))
    describe_sigma(folder, {name: np.ones(3) for name in GRAPHS}, Doubt(np.ones(1 + EVIDENCE), 0.5, np.ones(3)))
    with pytest.raises(ModelError, match="doubt weighs the landmarks of glance and parafovea, but the networks"):
        PositionEstimator.load(folder)


GOOD = {"weights": [1.0] * (1 + EVIDENCE), "limit": 0.3, "sigma_m": [0.1] * 3}


@pytest.mark.parametrize(
    "change",
    [
        {"weights": [1.0] * EVIDENCE},
        {"weights": [float("nan")] * (1 + EVIDENCE)},
        {"weights": "many"},
        {"limit": 0.0},
        {"limit": 1.0},
        {"limit": float("nan")},
        {"limit": None},
        {"sigma_m": [0.1, 0.1]},
        {"sigma_m": [0.1, 0.1, 0.0]},
        {"sigma_m": [0.1, 0.1, float("inf")]},
    ],
)
def test_a_damaged_doubt_is_refused(finding: Path, tmp_path: Path, change: dict) -> None:
    folder = Path(shutil.copytree(finding, tmp_path / "model"))
    description = json.loads((folder / DESCRIPTION).read_text())
    for doubt, works in ((GOOD, True), ({**GOOD, **change}, False), ({"limit": 0.3}, False), ("much", False)):
        (folder / DESCRIPTION).write_text(json.dumps({**description, "doubt": doubt}))
        if works:
            PositionEstimator.load(folder)
            continue
        with pytest.raises(ModelError, match=rf"{DESCRIPTION}: damaged description"):
            PositionEstimator.load(folder)
