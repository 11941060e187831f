"""A controller's settings, read from its reports: as found, as wanted for a run, verified during it, restored after it.

The stricter of two limits holds, no matter who set it: a site's boundary and joint range are intersected with ours, and
the lower speed and the higher sensitivity are kept. A change of any other setting during a run is a fault, too.

The guards beside boundary, speeds and sensitivity, by the section of the user manual: self-collision check with the
tool's model on, collision rebound and approximate solutions off (6.4.3, advanced settings), joint range of the reduced
mode (6.3.2), mounting direction as this project needs it (6.1.3).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from control.arms.fence import Fence
from control.arms.joint_band import JointBand
from control.arms.params import ArmParams
from control.arms.xarm.wire.sdk import await_report, run_bounded
from datasets.arm.tools import ToolParams
from datasets.common.errors import SafetyStop
from datasets.rig.rig import Rig

Box = tuple[int, ...]
"""``x+ x- y+ y- z+ z-`` in whole mm, as the controller orders them."""

OWN_SHAPE = 20
"""Tool models above are a cylinder or a box that somebody measured (``XCONF.CollisionToolType.USE_PRIMITIVES``)."""
MOST_TILT_RAD = math.radians(1)
"""Largest angle, rad, between the base's z axis and gravity as the controller knows it from its mounting direction."""
_NO_RANGE = (-2 * math.pi, 2 * math.pi) * 7
_OF_REDUCED_MODE = frozenset({"tcp_speed", "joint_speed", "joint_range"})
"""Settings that take effect only when the reduced mode is next switched on (note of ``set_reduced_joint_range`` in the
SDK)."""
_RESTORE_S, _RESTORE_CALL_S, _READ_BACK_S = 1.0, 0.3, 0.7


@dataclass(frozen=True)
class Settings:
    """The settings of one controller, in its own units: mm, mm/s, rad, kg.

    Attributes:
        tool_offset: ``x y z roll pitch yaw`` of the TCP at the flange.
        mass: mass of the payload.
        centre: ``x y z`` of the payload's mass.
        sensitivity: sensitivity to collisions, 0 (off) to 5.
        fenced: whether the TCP is held in ``boundary``; the controller keeps ``boundary`` also while this is off.
        tcp_speed: limit of the reduced mode; so is ``joint_speed``.
        reduced: whether the reduced mode limits the speeds and holds the joints in their range.
        joint_range: lower and upper limit of each joint in reduced mode, ``(14,)``.
        self_collision: whether the controller looks for collisions of the arm with itself.
        tool_model: shape of the tool in that check: its number, and its dimensions where that is above ``OWN_SHAPE``.
        rebound: whether the arm moves back after a collision.
        approximate: whether paths leave the straight line near singularities.
        world_offset: offset of the base frame; this and the fields that follow are never set from here.
        gravity: direction of gravity, which shows how the arm is mounted.
        simulated: whether the controller is in simulation mode, in which only the reports move.
    """

    tool_offset: tuple[float, ...]
    mass: float
    centre: tuple[float, ...]
    sensitivity: int
    fenced: bool
    boundary: Box
    tcp_speed: float
    joint_speed: float
    reduced: bool
    joint_range: tuple[float, ...] = _NO_RANGE
    self_collision: bool = False
    tool_model: tuple[float, ...] = (0,)
    rebound: bool = False
    approximate: bool = False
    world_offset: tuple[float, ...] = (0.0,) * 6
    gravity: tuple[float, ...] = (0.0, 0.0, -1.0)
    simulated: bool = False

    @classmethod
    def read(cls, rich: Any) -> "Settings":
        """The settings in the newest rich report of an ``XArmAPI``; sends the controller no request."""
        mass, centre = rich.tcp_load
        self_collision, model, measures = rich.self_collision_params
        return cls(
            tuple(rich.tcp_offset),
            mass,
            tuple(centre),
            rich.collision_sensitivity,
            bool(rich.is_fence_mode),
            tuple(rich.reduced_tcp_boundary),
            rich.reduced_max_tcp_speed,
            rich.reduced_max_joint_speed,
            bool(rich.is_reduced_mode),
            tuple(limit for pair in rich.reduced_joint_limits for limit in pair),
            bool(self_collision),
            (model, *(measures if model > OWN_SHAPE else ())),
            bool(rich.is_collision_rebound),
            bool(rich.is_approx_motion),
            tuple(rich.world_offset),
            tuple(rich.gravity_direction),
            bool(rich.is_simulation_robot),
        )

    def differences(self, other: "Settings") -> dict[str, str]:
        """The settings in which another differs, by name in words, each as ``ITS VALUE HERE -> ITS VALUE THERE``."""
        pairs = ((field, getattr(self, field.key), getattr(other, field.key)) for field in _FIELDS)
        return {
            field.words: f"{field.show(one)} -> {field.show(two)}"
            for field, one, two in pairs
            if not _is_same(one, two, field.tolerance)
        }


class SettingsWatch:
    """Verifies at every call that the controller's settings are those of this run.

    A report may be only half read at one call, so a change must show in two calls to count.

    Args:
        rich: the ``XArmAPI`` whose rich reports hold the settings.
        wanted: the settings that were verified when connecting.
    """

    def __init__(self, rich: Any, wanted: Settings) -> None:
        self._rich, self._wanted = rich, wanted
        self._seen: dict[str, str] = {}

    def __call__(self) -> str | None:
        """Returns what somebody changed, in words; None if nothing was changed."""
        before, self._seen = self._seen, self._wanted.differences(Settings.read(self._rich))
        changed = [f"{name} {self._seen[name]}" for name in self._seen if name in before]
        if not changed:
            return None
        return (
            f"the controller's settings are no longer those of this run ({'; '.join(changed)}): somebody else set "
            "them, or it was restarted; look who, then start again"
        )


class _Field(NamedTuple):
    key: str
    words: str
    tolerance: float
    show: Callable[[Any], str]


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in np.round(values, 3)) + ")"


def show_box(box: Box) -> str:
    """A boundary in words, such as ``x 230..620, y -320..320, z 80..520 mm``."""
    sides = zip("xyz", box[1::2], box[::2], strict=True)
    return ", ".join(f"{axis} {low}..{high}" for axis, low, high in sides) + " mm"


def _show_range(limits: Sequence[float]) -> str:
    degrees = np.degrees(np.reshape(limits, (-1, 2)))
    return ", ".join(f"J{joint} {low:.1f}..{high:.1f}" for joint, (low, high) in enumerate(degrees, 1)) + " deg"


def _on_off(on: bool) -> str:
    return "on" if on else "off"


_FIELDS = (
    _Field("tool_offset", "tool offset", 1e-3, _numbers),
    _Field("mass", "payload", 0.01, lambda value: f"{value:g} kg"),
    _Field("centre", "payload's centre", 0.1, _numbers),
    _Field("sensitivity", "collision sensitivity", 0, str),
    _Field("fenced", "safety boundary", 0, _on_off),
    _Field("boundary", "safety boundary's box", 0, show_box),
    _Field("tcp_speed", "TCP speed limit", 0.1, lambda value: f"{value:g} mm/s"),
    _Field("joint_speed", "joint speed limit", 0.01, lambda value: f"{value:.2f} rad/s"),
    _Field("joint_range", "joint range of the reduced mode", 1e-3, _show_range),
    _Field("reduced", "reduced mode", 0, _on_off),
    _Field("self_collision", "self-collision check", 0, _on_off),
    _Field("tool_model", "tool model of the self-collision check", 1e-3, _numbers),
    _Field("rebound", "collision rebound", 0, _on_off),
    _Field("approximate", "approximate paths", 0, _on_off),
    _Field("world_offset", "base (world) offset", 1e-3, _numbers),
    _Field("gravity", "direction of gravity", 1e-3, _numbers),
    _Field("simulated", "simulation mode", 0, _on_off),
)


def _is_same(one: Any, two: Any, tolerance: float) -> bool:
    """Whether two values agree; NaN agrees only with NaN."""
    if isinstance(one, tuple) and isinstance(two, tuple):
        return len(one) == len(two) and all(_is_same(a, b, tolerance) for a, b in zip(one, two, strict=True))
    return bool(one == two or abs(one - two) <= tolerance or (math.isnan(one) and math.isnan(two)))


def ours(
    rig: Rig, fence: Fence, payload: ToolParams, params: ArmParams, found: Settings, joint_band: JointBand
) -> Settings:
    """The settings that this project needs at a site without limits of its own; the rest as found."""
    return replace(
        found,
        tool_offset=(0.0, 0.0, rig.tool.tcp_offset_m * 1000, 0.0, 0.0, 0.0),
        mass=payload.mass_kg,
        centre=(0.0, 0.0, payload.centre_m * 1000),
        sensitivity=params.collision_sensitivity,
        fenced=True,
        boundary=boundary_mm(fence),
        tcp_speed=fence.max_displacement_m * rig.rate_hz * 1000,
        joint_speed=params.max_joint_speed_rad_s,
        reduced=params.reduced_mode,
        joint_range=tuple(np.stack([joint_band.low_rad, joint_band.high_rad], axis=1).ravel().tolist()),
        self_collision=True,
        tool_model=(payload.collision_model,),
        rebound=False,
        approximate=False,
    )


def stricter(wished: Settings, found: Settings, fence: Fence) -> Settings:
    """The settings with the stricter value of each limit.

    The site's speed limits and joint range count even if its reduced mode is off: it is switched on, and none of their
    numbers is loosened. A tool's shape that the site has measured is kept: whether it is the stricter one is unknown.

    Raises:
        SafetyStop: the fence does not lie inside the boundary that is switched on, a joint's range and ours do not
            overlap, or the controller's settings say that the arm is not mounted upright.
    """
    _require_upright(found.gravity)
    box = wished.boundary
    if found.fenced:
        fence_mm = _whole_mm(fence, 0.0)
        box = _intersection(box, found.boundary)
        if _intersection(fence_mm, found.boundary) != fence_mm:
            raise SafetyStop(
                f"the fence ({show_box(fence_mm)}) reaches beyond the boundary that is set in the controller "
                f"({show_box(found.boundary)}); make keep_within in params/site.yaml fit into it, or have whoever "
                "set the boundary widen it in the vendor's studio"
            )
    return replace(
        wished,
        boundary=box,
        sensitivity=max(wished.sensitivity, found.sensitivity),
        tcp_speed=_lower(wished.tcp_speed, found.tcp_speed),
        joint_speed=_lower(wished.joint_speed, found.joint_speed),
        reduced=wished.reduced or found.reduced,
        joint_range=_common_range(wished.joint_range, found.joint_range),
        tool_model=found.tool_model if found.tool_model[0] > OWN_SHAPE else wished.tool_model,
    )


def _require_upright(gravity: Sequence[float]) -> None:
    down = -gravity[2] / float(np.linalg.norm(gravity)) if np.any(gravity) else math.nan
    if not down >= math.cos(MOST_TILT_RAD):
        raise SafetyStop(
            f"the controller takes gravity to point along {_numbers(gravity)} of the arm's base, not (0, 0, -1), as if "
            "it were not mounted upright: it would misjudge collisions; set the mounting in the vendor's studio"
        )


def _common_range(wished: Sequence[float], found: Sequence[float]) -> tuple[float, ...]:
    """The intersection of two joint ranges; one that is reported as empty is no limit (*assumed: no-limit*)."""
    ours, theirs = np.reshape(wished, (7, 2)), np.reshape(found, (7, 2))
    common = ours.copy()
    is_set = theirs[:, 0] < theirs[:, 1]
    common[is_set, 0] = np.maximum(ours, theirs)[is_set, 0]
    common[is_set, 1] = np.minimum(ours, theirs)[is_set, 1]
    for joint in np.flatnonzero(common[:, 0] >= common[:, 1]):
        (least, most), (low, high) = np.degrees(theirs[joint]), np.degrees(ours[joint])
        raise SafetyStop(
            f"the joint range that is set in the controller, J{joint + 1} {least:.1f}..{most:.1f} deg, has nothing in "
            f"common with what the fence needs, {low:.1f}..{high:.1f} deg; have whoever set it widen it in the "
            "vendor's studio"
        )
    return tuple(common.ravel().tolist())


def require_in_range(wanted: Settings, joints_rad: ArrayLike, what: str) -> None:
    """Raises SafetyStop if the joints ``(7,)`` rad, named ``what``, lie outside the joint range of a run's settings."""
    limits = np.reshape(wanted.joint_range, (7, 2))
    outside = JointBand(limits[:, 0], limits[:, 1]).outside(joints_rad)
    if wanted.reduced and outside is not None:
        raise SafetyStop(
            f"{what} lies outside the joint range of this run: {outside}; bring the arm to its home joints in the "
            "vendor's studio, or widen the range that is set there"
        )


def _lower(wished: float, found: float) -> float:
    """The lower of two limits; a controller without a limit reports 0 (*assumed: no-limit*)."""
    return min(wished, found) if found > 0 else wished


def _intersection(one: Box, two: Box) -> Box:
    return tuple((min, max)[side % 2](a, b) for side, (a, b) in enumerate(zip(one, two, strict=True)))


def boundary_mm(fence: Fence) -> Box:
    """The controller's box: the fence and its margin, rounded outwards."""
    return _whole_mm(fence, fence.margin_m)


def _whole_mm(fence: Fence, margin_m: float) -> Box:
    low = [math.floor(value * 1000 + 1e-6) for value in fence.low_m - margin_m]
    high = [math.ceil(value * 1000 - 1e-6) for value in fence.high_m + margin_m]
    return tuple(value for pair in zip(high, low, strict=True) for value in pair)


def guard_setters(api: Any, settings: Settings) -> dict[str, Callable[[], Any]]:
    """Calls that set the guards besides boundary, speeds and sensitivity, by their names in :class:`Settings`.

    The joint range bypasses the SDK's own setter, which silently clips it to limits of its own.
    """
    return {
        "joint_range": lambda: api.core.set_reduced_jrange(list(settings.joint_range)),
        "tool_model": lambda: api.set_collision_tool_model(int(settings.tool_model[0])),
        "self_collision": lambda: api.set_self_collision_detection(settings.self_collision),
        "rebound": lambda: api.set_collision_rebound(settings.rebound),
        "approximate": lambda: api.set_allow_approx_motion(settings.approximate),
    }


def restore(api: Any, found: Settings, wanted: Settings) -> dict[str, str]:
    """Restore the settings of a stopped arm by calls that do not make it ready; returns what stays different, in words.

    A stopped controller accepts all of them (*assumed: set-while-stopped*). A setting that is no longer as the run
    set it was changed by somebody else and is left alone. The SDK's own setter of the sensitivity makes the arm ready,
    and that of the payload requires a ready arm, so both settings bypass these setters.
    Takes at most about ``_RESTORE_S`` plus ``_READ_BACK_S``; never raises.
    """
    calls: dict[str, Callable[[], Any]] = {
        "tool_offset": lambda: api.core.set_tcp_offset(list(found.tool_offset)),
        "mass": lambda: api.core.set_tcp_load(found.mass, list(found.centre)),
        "centre": lambda: api.core.set_tcp_load(found.mass, list(found.centre)),
        "sensitivity": lambda: api.core.set_collis_sens(found.sensitivity),
        "tcp_speed": lambda: api.set_reduced_max_tcp_speed(found.tcp_speed),
        "joint_speed": lambda: api.set_reduced_max_joint_speed(found.joint_speed),
        "reduced": lambda: api.set_reduced_mode(found.reduced),
        "boundary": lambda: api.set_reduced_tcp_boundary(list(found.boundary)),
        "fenced": lambda: api.set_fence_mode(found.fenced),
        **guard_setters(api, found),
    }
    until = time.monotonic() + _RESTORE_S
    try:
        now, put_back = Settings.read(api), set[str]()
        for field in _FIELDS:
            mine, theirs = getattr(wanted, field.key), getattr(found, field.key)
            is_again = field.key == "reduced" and found.reduced and bool(put_back & _OF_REDUCED_MODE)
            if (_is_same(mine, theirs, field.tolerance) and not is_again) or time.monotonic() > until:
                continue
            # A report older than the run's own setting still holds the value that was found.
            if any(_is_same(getattr(now, field.key), known, field.tolerance) for known in (mine, theirs)):
                run_bounded(calls[field.key], _RESTORE_CALL_S, f"put back the {field.words}")
                put_back.add(field.key)
        await_report(api, _READ_BACK_S)
        return found.differences(Settings.read(api))
    except Exception as error:  # disconnecting must go on whatever happens here
        return {"settings": f"whether they were put back is not known ({error})"}
