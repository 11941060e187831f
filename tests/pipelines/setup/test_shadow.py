"""An arm that is only listened to, led about by hand."""

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.shadow import ShadowArm
from datasets.common.errors import SafetyStop
from pipelines.setup.setup import make_fence


@pytest.mark.parametrize("outside_m", [0.0, 0.004])
def test_a_hand_may_lead_it_a_little_out_of_the_fence(rig, monkeypatch, outside_m):
    fence = make_fence(rig, ArmParams.load())
    arm = ShadowArm("127.0.0.1", rig, fence, ArmParams.load())
    here = np.array([fence.high_m[0] + outside_m, 0.0, 0.3])
    assert arm.is_passive
    monkeypatch.setattr(ShadowArm, "tcp_at", lambda self, time_s: here)
    np.testing.assert_allclose(arm.move([0.01, 0.02, 0.0]), [0.0, 0.02, 0.0])
    np.testing.assert_allclose(arm.move([-0.01, 0.0, 0.0]), [-0.01, 0.0, 0.0])
    with pytest.raises(SafetyStop, match="not three finite numbers"):
        arm.move([np.nan, 0.0, 0.0])
