"""The dry check of a whole set-up: it gives a verdict on every part, but moves nothing and changes no setting."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from control.arms.absent import AbsentArm
from control.arms.fence import check_tcp, known_tool
from control.arms.joint_band import BAND_MARGIN_RAD, needed_band
from control.arms.xarm.controller_errors import describe_warning
from control.arms.xarm.settings import Settings, ours, require_in_range, stricter
from control.arms.xarm.setup import check_controller
from control.arms.xarm.takeover import Holder, require_free, require_no_motion
from control.arms.xarm.wire.sdk import await_report, close_apis, open_api
from control.clearance.arm_clearance import ArmClearance
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import SafetyStop, Sim2RealError
from pipelines.setup.devices import NO_ARM, DeviceNames, Devices, open_devices
from pipelines.setup.setup import Setup
from pipelines.twin.settings import TwinParams

FRAMES = 20
_MM = 1e3


@dataclass(frozen=True)
class Verdict:
    """One checked item: its name, whether it is good, and the finding in words."""

    item: str
    good: bool
    found: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.good else 'FAIL'}  {self.item:<34} {self.found}"


def check(setup: Setup, names: DeviceNames, twin: TwinParams) -> Iterator[Verdict]:
    """Yield the verdicts one by one; items that depend on a failed one are left out."""
    yield from _on_paper(setup)
    listening = replace(names, shadow=True)
    try:
        with open_devices(listening, setup, twin) as devices:
            host = devices.twin.host if devices.twin is not None else names.arm
            yield Verdict("camera and arm", True, "connected, and listened to only")
            if names.arm != NO_ARM:
                yield _judge("controller", lambda: _controller(host, setup, names.reports_are_commands))
                yield _judge("the arm is free", lambda: _holder(host))
                yield _judge("limits of the site", lambda: _limits(host, setup))
                yield _judge("TCP inside the fence", lambda: _tcp(devices, setup))
            yield _judge("camera's intrinsics", lambda: _intrinsics(devices, setup))
            yield _envelope(devices, setup)
            yield from _frames(devices, setup)
    except Sim2RealError as error:
        yield Verdict("camera and arm", False, str(error))


def _on_paper(setup: Setup) -> Iterator[Verdict]:
    rig, fence = setup.rig, setup.fence
    low, high = (", ".join(f"{value:.2f}" for value in corner) for corner in (fence.low_m, fence.high_m))
    speed = fence.max_displacement_m * rig.rate_hz
    yield Verdict("fence", True, f"({low}) to ({high}) m, at most {speed:.2f} m/s")
    home = Kinematics(rig.tool.tcp_offset_m).tcp(rig.home_joints_rad)
    yield Verdict("home inside the fence", fence.contains(home), _point(home))
    clearance = setup.clearance_as_driven
    yield _judge("clearance of the arm at home", lambda: str(clearance.require_home()))
    yield _judge("clearance over the fence", lambda: _ways(setup, clearance))
    yield Verdict("estimator and policy", True, "trained for this rig")
    fits = setup.calibration.residual_mm < _MM * setup.settings.limits.max_drift_m
    yield Verdict("camera calibration", fits, str(setup.calibration))


def _ways(setup: Setup, clearance: ArmClearance) -> str:
    """The least clearance on straight ways from home to points all over the fence, and the number of refused ways."""
    low, high = setup.fence.low_m, setup.fence.high_m
    points = [low + np.array(part) * (high - low) for part in itertools.product((0.0, 0.5, 1.0), repeat=3)]
    clear, refusals = [], []
    for point in points:
        try:
            clear.append(clearance.way(setup.rig.home_joints_rad, point).clearance)
        except SafetyStop as error:
            refusals.append(str(error))
    if not clear:
        raise SafetyStop(f"no straight way from home to any of {len(points)} points of the fence: {refusals[0]}")
    least = min(clear, key=lambda each: each.distance_m)
    near = str(least) if least.pair[0] else f"nothing comes within {clearance.params.slow_from_m * _MM:.0f} mm"
    refused = f"; to {len(refusals)} more they are refused" if refusals else ""
    return f"{near} on straight ways from home to {len(clear)} points{refused}"


def _judge(item: str, look: Callable[[], str]) -> Verdict:
    try:
        return Verdict(item, True, look())
    except Sim2RealError as error:
        return Verdict(item, False, str(error))


@contextmanager
def _listened_to(host: str) -> Iterator[Any]:
    """Connect an ``XArmAPI``, and yield it after it has read a complete rich report."""
    api = open_api(host, "rich")
    try:
        await_report(api)
        yield api
    finally:
        close_apis(api)


def _controller(host: str, setup: Setup, reports_are_commands: bool) -> str:
    with _listened_to(host) as api:
        check_controller(api, setup.arm.mode, reports_are_commands=reports_are_commands)
        version, warning = ".".join(map(str, api.version_number)), api.warn_code
        told = f"no error, warning {describe_warning(warning)}" if warning else "no error or warning"
        return f"firmware {version}, {told}, not in simulation mode, mode {setup.arm.mode} available"


def _holder(host: str) -> str:
    with _listened_to(host) as api:
        holder = Holder.read(api)
        require_no_motion(holder)
        require_free(holder)
        return str(holder)


def _limits(host: str, setup: Setup) -> str:
    with _listened_to(host) as api:
        found = Settings.read(api)
        band = needed_band(setup.site_rig, setup.fence).widened(BAND_MARGIN_RAD)
        wished = ours(setup.site_rig, setup.fence, known_tool(setup.rig.tool), setup.arm, found, band)
        wanted = stricter(wished, found, setup.fence)
        require_in_range(wanted, setup.rig.home_joints_rad, "home")
        stricter_ones = wished.differences(wanted)
        told = "; ".join(f"{name} {change}" for name, change in stricter_ones.items())
        return f"stricter than ours, and stand: {told}" if told else "none stricter than ours"


def _tcp(devices: Devices, setup: Setup) -> str:
    tcp = devices.arm.tcp
    check_tcp(setup.fence, tcp)
    return _point(tcp)


def _intrinsics(devices: Devices, setup: Setup) -> str:
    found, rig = setup.true_intrinsics(devices.camera.intrinsics), setup.rig.camera
    change = np.array([found.fx / rig.fx - 1, found.fy / rig.fy - 1]) * 100
    used = "the camera's own" if setup.calibration.intrinsics is None else "those that it was calibrated with"
    return f"focal length {change[0]:+.1f} %, {change[1]:+.1f} % of the rig's; {used} are used"


def _envelope(devices: Devices, setup: Setup) -> Verdict:
    item, k = "camera in the estimator's envelope", devices.camera.intrinsics
    faults = setup.estimator.faults(setup.calibration.pose, k)
    remedy = "; move the camera, or train for it (README, 'Your own camera stands elsewhere')"
    return Verdict(item, not faults, "; ".join(faults) + remedy if faults else "inside: no training is needed")


def _frames(devices: Devices, setup: Setup) -> Iterator[Verdict]:
    """Yield verdicts on some frames: age, depth, time and sigma of estimates, and agreement with the encoders."""
    estimator = setup.bound_estimator(devices.camera.intrinsics)
    ages, readings, seconds, sigmas, misses = [], [], [], [], []
    for _ in range(FRAMES):
        frame = devices.camera.read()
        ages.append(time.monotonic() - frame.timestamp)
        readings.append(float(np.mean(frame.depth > 0)))
        began = time.monotonic()
        estimate = estimator.estimate(frame)
        seconds.append(time.monotonic() - began)
        sigmas.append(float(np.max(estimate.sigma)))
        misses.append(estimate.xyz - devices.arm.tcp_at(frame.timestamp))
    limits, period = setup.settings.limits, 1 / setup.rig.rate_hz
    yield _within("age of frames", max(ages), limits.max_frame_age_s)
    yield Verdict("pixels with depth", min(readings) > 0.3, f"{100 * min(readings):.0f} % at least")
    yield _within("time for an estimate", max(seconds), period / 2)
    yield _within("sigma of the estimate", max(sigmas), limits.max_sigma_m, "mm")
    if isinstance(devices.arm, AbsentArm):
        return
    worst = float(np.max(np.linalg.norm(misses, axis=1)))
    yield _within("estimate against encoders", worst, limits.max_disagreement_m, "mm")
    drift = float(np.linalg.norm(np.mean(misses, axis=0)))
    yield _within("their average (calibration)", drift, limits.max_drift_m, "mm")


def _within(item: str, value: float, limit: float, unit: str = "ms") -> Verdict:
    return Verdict(item, value <= limit, f"{value * _MM:.1f} {unit}, limit {limit * _MM:.0f} {unit}")


def _point(xyz: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in xyz) + ") m"


def require_all(verdicts: list[Verdict]) -> None:
    """Raise SafetyStop with the names of the failed items, if there are any."""
    failed = [verdict.item for verdict in verdicts if not verdict.good]
    if failed:
        raise SafetyStop(f"{len(failed)} of {len(verdicts)} checks failed: {', '.join(failed)}")
