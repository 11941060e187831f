"""The stricter limits stand, whoever set them; what was found is put back, without making the arm ready."""

import time
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.arms.fence import Fence
from control.arms.joint_band import BAND_MARGIN_RAD, needed_band
from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.settings import Settings, boundary_mm, ours, stricter
from control.arms.xarm.wire.sdk import wait_until
from datasets.arm.tools import ToolParams
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import STOPPED
from pipelines.twin.controller.firmware import Settings as TwinParams
from pipelines.twin.controller.protocol import Register
from pipelines.twin.controller.registers import SETTINGS

FRESH = TwinParams()
SITE = TwinParams(
    tcp_offset_mm_rad=(0, 0, 172.0, 0, 0, 0),
    load_kg_mm=(0.82, 0, 0, 48.0),
    collision_sensitivity=5,
    fence_on=True,
    fence_mm=(610, 240, 305, -310, 510, 95),
    reduced_on=True,
    reduced_tcp_mm_s=100.0,
    reduced_joint_rad_s=0.5,
)
LOOSE = replace(
    SITE, collision_sensitivity=1, fence_mm=(700, 0, 700, -700, 900, 0), reduced_tcp_mm_s=900.0, reduced_joint_rad_s=3.0
)
OURS = boundary_mm(Fence.from_rig(Rig.load()))
BAND = needed_band(Rig.load(), Fence.from_rig(Rig.load())).widened(BAND_MARGIN_RAD)


def limits(twin: ControllerTwin) -> tuple[object, ...]:
    s = twin.firmware.settings
    return s.collision_sensitivity, s.fence_on, s.fence_mm, s.reduced_on, s.reduced_tcp_mm_s, s.reduced_joint_rad_s


def same(one: Any, two: Any) -> bool:
    """Whether they agree as far as the wire's float32 goes."""
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == pytest.approx(two))


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("found", "params", "while_it_lasts"),
    [
        (FRESH, ArmParams(), (3, True, OURS, True, 250.0, 1.57)),
        (SITE, ArmParams(), (5, True, (610, 240, 305, -310, 510, 95), True, 100.0, 0.5)),
        (LOOSE, ArmParams(), (3, True, OURS, True, 250.0, 1.57)),
        (SITE, ArmParams(reduced_mode=False, collision_sensitivity=3), (5, True, SITE.fence_mm, True, 100.0, 0.5)),
        (
            replace(LOOSE, fence_mm=(615, 0, 700, -305, 900, 0)),
            ArmParams(),
            (3, True, (615, 230, 320, -305, 520, 80), True, 250.0, 1.57),
        ),
    ],
)
def test_the_stricter_limit_stands_while_it_lasts_and_what_was_found_after(
    twin: ControllerTwin, rig: Rig, found: TwinParams, params: ArmParams, while_it_lasts: tuple[object, ...]
) -> None:
    twin.firmware.settings = found
    with XArm(twin.host, rig, params) as arm:
        assert same(limits(twin), while_it_lasts)
        assert arm.fence.max_displacement_m * rig.rate_hz * 1000 <= float(while_it_lasts[4]) + 1e-6  # type: ignore[arg-type]
        events = " ".join(event for _, event in arm.events)
    stands = events.partition("stricter limits of the site stand: ")[2].partition("settings of the controller")[0]
    for name, is_stricter in {
        "TCP speed limit 250 mm/s -> 100 mm/s": found.reduced_tcp_mm_s < 250,
        "collision sensitivity 3 -> 5": found.collision_sensitivity > 3,
        "safety boundary's box": while_it_lasts[2] != OURS,
    }.items():
        assert (name in stands) == is_stricter
    assert same(astuple(twin.firmware.settings), astuple(found))
    assert twin.firmware.state == STOPPED
    events = " ".join(event for _, event in arm.events)
    assert ("settings are restored" in events) == ("changed for this run" in events)
    assert "could not be restored" not in events


@pytest.mark.realtime
def test_the_arm_goes_no_faster_than_the_site_allows_and_not_where_it_forbids(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = SITE
    with XArm(twin.host, rig) as arm:
        sent = arm.move(np.array([0.0, 0.025, 0.0]))
        assert np.linalg.norm(sent) == pytest.approx(0.01)
    free = XArm(twin.host, rig)
    twin.firmware.settings = FRESH
    with free:
        assert np.linalg.norm(free.move(np.array([0.0, 0.025, 0.0]))) == pytest.approx(0.025)


@pytest.mark.realtime
@pytest.mark.parametrize("side", range(6))
def test_a_fence_that_reaches_beyond_the_sites_boundary_is_refused(twin: ControllerTwin, rig: Rig, side: int) -> None:
    box = list(SITE.fence_mm)
    box[side] += 20 if side % 2 else -20
    twin.firmware.settings = found = replace(SITE, fence_mm=tuple(box))
    with pytest.raises(SafetyStop, match=r"the fence \(x 250\.\.600, y -300\.\.300, z 100\.\.500 mm\) reaches beyond"):
        XArm(twin.host, rig).connect()
    assert twin.firmware.settings == found
    assert not {11, 12, 19, *SETTINGS} & {request.register for _, request in twin.log}


@pytest.mark.realtime
def test_a_boundary_that_is_switched_off_binds_nobody_and_is_put_back_off(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = found = replace(SITE, fence_on=False, fence_mm=(300, 290, 10, -10, 310, 300))
    with XArm(twin.host, rig):
        assert twin.firmware.settings.fence_mm == OURS
        assert twin.firmware.settings.fence_on
    assert same(astuple(twin.firmware.settings), astuple(found))


@pytest.mark.realtime
def test_nothing_put_back_makes_the_arm_ready_and_a_stop_comes_before_and_after(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = replace(FRESH, collision_sensitivity=1)
    arm = XArm(twin.host, rig)
    arm.connect()
    twin.log.clear()
    arm.disconnect()
    states = [request.payload[0] for _, request in twin.log if request.register == Register.SET_STATE]
    registers = [request.register for _, request in twin.log]
    setters = {35, 36, 37, 47, 48, 50, 52, 58, 59, 77, 78}
    assert set(states) == {STOPPED}
    stops = [index for index, register in enumerate(registers) if register == Register.SET_STATE]
    put_back = [index for index, register in enumerate(registers) if register in setters]
    assert {registers[index] for index in put_back} == setters
    assert min(stops) < min(put_back)
    assert max(stops) > max(put_back)
    assert not {Register.MOTION_EN, Register.SET_MODE, Register.CLEAN_ERR} & set(registers)
    assert twin.firmware.state == STOPPED


@pytest.mark.realtime
def test_what_somebody_else_set_meanwhile_is_left_and_told(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = LOOSE
    arm = XArm(twin.host, rig)
    arm.connect()
    twin.firmware.limit(reduced_tcp_mm_s=50.0)
    time.sleep(0.5)  # two rich reports and more, of which the driver says nothing
    arm.disconnect()
    assert same(astuple(twin.firmware.settings), astuple(replace(LOOSE, reduced_tcp_mm_s=50.0)))
    assert any("that could not be restored: TCP speed limit 900 mm/s -> 50 mm/s" in event for _, event in arm.events)


@pytest.mark.realtime
@pytest.mark.parametrize("fault", ["silent", "drop_control", "mute_reports"])
def test_limits_are_not_loosened_of_an_arm_that_did_not_confirm_its_stop(
    twin: ControllerTwin, rig: Rig, fault: str
) -> None:
    arm = XArm(twin.host, rig)
    arm.connect()
    twin.inject(fault)
    assert wait_until(lambda: arm.fault is not None, 2.0)
    twin.log.clear()
    began = time.monotonic()
    arm.disconnect()
    assert time.monotonic() - began < 6
    assert not SETTINGS & {request.register for _, request in twin.log}
    assert twin.firmware.settings.fence_on
    (told,) = [event for _, event in arm.events if "that could not be restored" in event]
    assert "safety boundary off -> on" in told


@pytest.mark.realtime
def test_a_setting_that_is_refused_puts_back_what_was_set_before_it(
    twin: ControllerTwin, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin.firmware.settings = found = replace(SITE, load_kg_mm=(0.1, 0.0, 0.0, 0.0))
    arm = XArm(twin.host, rig)
    monkeypatch.setattr(
        "control.arms.xarm.driver.verify", lambda *given: (_ for _ in ()).throw(DeviceError("did not take over: x"))
    )
    with pytest.raises(DeviceError, match="did not take over"):
        arm.connect()
    assert same(astuple(twin.firmware.settings), astuple(found))
    assert twin.firmware.state == STOPPED


boxes = st.tuples(*[st.integers(-900, 900)] * 6).map(
    lambda v: (max(v[0:2]), min(v[0:2]), max(v[2:4]), min(v[2:4]), max(v[4:6]), min(v[4:6]))
)


@given(
    box=boxes,
    fenced=st.booleans(),
    reduced=st.booleans(),
    tcp=st.floats(0, 1000),
    joint=st.floats(0, 3),
    sens=st.integers(0, 5),
    limits=st.tuples(*[st.floats(-1.5, 3.0)] * 14),
)
def test_no_limit_is_ever_looser_than_the_sites_or_ours(rig, box, fenced, reduced, tcp, joint, sens, limits) -> None:
    fence, params = Fence.from_rig(rig), ArmParams()
    found = Settings((0.0,) * 6, 0.0, (0.0,) * 3, sens, fenced, box, tcp, joint, reduced, joint_range=limits)
    wished = ours(rig, fence, ToolParams.load("xarm_gripper"), params, found, BAND)
    inside = all(
        (a >= b, a <= b)[side % 2] for side, (a, b) in enumerate(zip(box, (600, 250, 300, -300, 500, 100), strict=True))
    )
    if fenced and not inside:
        with pytest.raises(SafetyStop, match="reaches beyond the boundary"):
            stricter(wished, found, fence)
        return
    low, high = (np.array(wished.joint_range)[side::2] for side in (0, 1))
    theirs = np.array(limits).reshape(7, 2)
    ranges = theirs[:, 0] < theirs[:, 1]  # what is none limits nothing
    if np.any(ranges & (np.maximum(low, theirs[:, 0]) >= np.minimum(high, theirs[:, 1]))):
        with pytest.raises(SafetyStop, match=r"J\d -?[\d.]+\.\.-?[\d.]+ deg, has nothing in common"):
            stricter(wished, found, fence)
        return
    wanted = stricter(wished, found, fence)
    kept = np.array(wanted.joint_range).reshape(7, 2)
    assert np.all(kept[:, 0] >= np.where(ranges, np.maximum(low, theirs[:, 0]), low))
    assert np.all(kept[:, 1] <= np.where(ranges, np.minimum(high, theirs[:, 1]), high))
    assert np.all(kept[:, 0] < kept[:, 1])
    assert wanted.fenced
    for side in range(6):
        sign = -1 if side % 2 else 1
        assert sign * wanted.boundary[side] <= sign * wished.boundary[side]
        assert not fenced or sign * wanted.boundary[side] <= sign * box[side]
    assert 0 < wanted.tcp_speed <= wished.tcp_speed
    assert tcp == 0 or wanted.tcp_speed <= tcp
    assert joint == 0 or wanted.joint_speed <= joint
    assert wanted.sensitivity >= max(sens, wished.sensitivity)
    assert wanted.reduced or not reduced
    assert wanted.reduced or not wished.reduced


def test_every_setting_is_compared_and_not_a_number_is_no_setting() -> None:
    found = Settings((0.0,) * 6, 0.0, (0.0,) * 3, 3, True, (1, 0) * 3, 100.0, 1.0, True)
    other = Settings(
        (0.1,) * 6, 1.0, (1.0,) * 3, 4, False, (2, 0) * 3, 99.0, 0.9, False, (-1.0, 1.0) * 7, True, (1,), True, True,
        (1.0,) * 6, (0.0, 1.0, 0.0), True,
    )  # fmt: skip
    assert len(found.differences(other)) == len(Settings.__dataclass_fields__)
    assert not found.differences(replace(found, tcp_speed=100.05))
    assert "TCP speed limit" in found.differences(replace(found, tcp_speed=float("nan")))
