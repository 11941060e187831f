"""The official arm, where it is at hand: same kinematics as the own, and looks alike from the rig's camera."""

import mujoco
import numpy as np
import pytest

from datasets.arm.model import ARM_JOINTS, GRIPPER_JOINTS, TCP_SITE, arm_spec, colour_groups, menagerie_available
from datasets.common.errors import DataError

at_hand = pytest.mark.skipif(menagerie_available() is not None, reason=str(menagerie_available()))


@pytest.fixture(scope="module")
def official() -> mujoco.MjModel:
    return arm_spec("menagerie").compile()


@at_hand
def test_own_and_official_kinematics_agree_at_random_joints(official):
    own = arm_spec("own").compile()
    random = np.random.default_rng(0)
    names = [*ARM_JOINTS, *GRIPPER_JOINTS]
    places = [TCP_SITE, *(f"{side}_{part}" for side in ("left", "right") for part in ("finger", "inner_knuckle"))]
    for _ in range(50):
        poses = []
        angles = [random.uniform(*own.joint(name).range) for name in names]
        for model in (own, official):
            data = mujoco.MjData(model)
            for name, angle in zip(names, angles, strict=True):
                data.joint(name).qpos[0] = angle
            mujoco.mj_kinematics(model, data)
            parts = [data.site(place) if place == TCP_SITE else data.body(place) for place in places]
            poses.append([(part.xpos.copy(), part.xmat.reshape(3, 3).copy()) for part in parts])
        for (own_xyz, own_turn), (xyz, turn) in zip(*poses, strict=True):
            assert np.linalg.norm(own_xyz - xyz) < 1e-4
            assert np.linalg.norm(own_turn - turn) < 1e-4


@at_hand
def test_official_arm_has_the_same_groups_weight_and_base(official):
    own = arm_spec("own").compile()
    groups = colour_groups(official)
    assert set(groups) == set(colour_groups(own))
    assert sorted(np.concatenate(list(groups.values()))) == list(range(official.ngeom))
    assert official.body_mass.sum() == pytest.approx(own.body_mass.sum(), rel=1e-4)
    assert official.body("link_base").pos == pytest.approx([0, 0, 0])
    assert official.nmeshface < 12_000


@at_hand
@pytest.mark.slow
def test_own_arm_looks_like_the_official_one(likeness):
    alike = likeness(arm_spec("own"), arm_spec("menagerie", decimate=False), 200, seed=3)
    assert alike["view_iou_median"] >= 0.98
    assert alike["view_iou_p5"] >= 0.97
    assert alike["window_iou_median"] >= 0.97
    assert alike["window_depth_median_mm"] < 0.6


@at_hand
@pytest.mark.slow
def test_decimation_keeps_the_look(likeness):
    alike = likeness(arm_spec("menagerie"), arm_spec("menagerie", decimate=False), 100, seed=4)
    assert alike["view_iou_p5"] >= 0.98
    assert alike["window_iou_median"] >= 0.98


def test_a_root_that_holds_no_model_is_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))
    with pytest.raises(DataError, match=r"holds no ufactory_xarm7/xarm7.xml.*set MENAGERIE_ROOT"):
        arm_spec("menagerie")


def test_an_empty_cache_is_a_reason_and_nothing_is_downloaded(monkeypatch, tmp_path):
    monkeypatch.delenv("MENAGERIE_ROOT", raising=False)
    monkeypatch.setenv("MENAGERIE_CACHE_DIR", str(tmp_path / "cache"))
    assert "not in the cache" in str(menagerie_available())
    with pytest.raises(DataError, match="mujoco-menagerie path ufactory_xarm7"):
        arm_spec("menagerie")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<mujoco><worldbody/></mujoco>", "not the official xArm7"),
        ("<mujoco", "not a MuJoCo model"),
        (
            "<mujoco><asset><mesh file='link1.stl'/></asset><worldbody><body name='link_base'/></worldbody></mujoco>",
            "link1.stl is missing",
        ),
    ],
)
def test_a_damaged_model_is_refused_in_one_sentence(xml, message, monkeypatch, tmp_path):
    (tmp_path / "ufactory_xarm7").mkdir()
    (tmp_path / "ufactory_xarm7" / "xarm7.xml").write_text(xml)
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))
    with pytest.raises(DataError, match=message):
        arm_spec("menagerie")
