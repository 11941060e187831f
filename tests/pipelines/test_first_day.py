"""The page for the first day quotes the code: every stop has its row, every message and value on it is a real one."""

import re
from pathlib import Path

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.driver import _MOTION_BEGINS_S  # a value that the page quotes
from control.arms.xarm.report_proof import FRAME_TOLERANCE_M, MAX_TURN_RAD, SKEW_S
from control.arms.xarm.setup import ENCODERS_SINCE, MODE_SINCE
from datasets.arm.kinematics import Kinematics
from datasets.rig.rig import Rig
from perception.cameras.realsense.settings import CameraParams
from pipelines.runtime.stops import StopReason
from pipelines.setup.settings import RuntimeParams

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/first_day.md").read_text()
TABLE, REFUSALS = PAGE[PAGE.index("| printed") :].split("Refusals (exit code 2)")
REFUSALS = REFUSALS[: REFUSALS.index("## Assumed")]
SOURCES = [path for folder in ("control", "perception/cameras", "pipelines") for path in (ROOT / folder).rglob("*.py")]
CODE = re.sub(r'"\s+f?"', "", re.sub(r"\s+", " ", " ".join(path.read_text() for path in SOURCES)))


def fragments(text: str) -> set[str]:
    """The constant parts of the messages quoted, without numbers and names that a run fills in."""
    quoted = re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", text))
    parts = (part.strip(" :()%,") for each in quoted for part in re.split(r"\bN\b|\d+|\.\.\.|C\.\.\.|TYPE|:", each))
    return {part for part in parts if len(part) > 8 and " " in part}


def test_every_stop_has_its_row():
    for reason in StopReason:
        assert f"`{reason.value}" in TABLE, f"docs/first_day.md does not explain {reason.value!r}"


@pytest.mark.parametrize("fragment", sorted(fragments(TABLE) | fragments(REFUSALS)))
def test_every_message_is_one_of_the_codes(fragment):
    patterns = [re.escape(fragment), re.escape(fragment).replace("colour", r"\{name\}").replace("depth", r"\{.+?\}")]
    assert any(re.search(pattern, CODE) for pattern in patterns) or fragment.split(" ", 1)[1] in CODE, fragment


def test_the_values_are_those_of_the_parameter_files():
    limits, settings = RuntimeParams.load().limits, RuntimeParams.load()
    arm, camera, rig = ArmParams.load(), CameraParams.load(), Rig.load()
    mm = {"max_sigma_m", "max_jump_m", "max_disagreement_m", "max_drift_m"}
    said = [f"`{name}` {1e3 * getattr(limits, name):.0f} mm" for name in mm]
    said += [
        f"`max_frame_age_s` {limits.max_frame_age_s:g} s",
        f"`repeats_held` {limits.repeats_held}",
        f"`uncertain_held` {limits.uncertain_held}",
        f"average of {limits.drift_ticks} frames",
        f"{1e3 * limits.max_outside_m:.0f} mm (loop), {1e3 * arm.controller_margin_m:.0f} mm (watch)",
        f"{limits.overruns_in_row} ticks in a row",
        f"no tick for {1e3 * settings.watchdog_s:.0f} ms",
        f"{camera.max_rejected} such framesets",
        f"{camera.max_gap_s:g} s without a good one",
        f"silent for {camera.reopen_after_s:g} s",
        f"attempt N of {camera.reopen_attempts}",
        f"`assumed_latency_s` {camera.assumed_latency_s:g}",
        f"over {1e3 * arm.report_deadline_s:.0f} / 700 / {1e3 * arm.command_deadline_s:.0f} ms",
        f"for {1e3 * (arm.command_deadline_s + _MOTION_BEGINS_S):.0f} ms (`command_deadline_s` and 100 ms) over 5 mm",
        f"over {1e3 * FRAME_TOLERANCE_M:.0f} mm, and {1e3 * SKEW_S:.0f} ms of motion",
        f"over {np.degrees(MAX_TURN_RAD):.0f}, in one report",
        "v" + ".".join(map(str, ENCODERS_SINCE)),
        f"{arm.slow_speed_m_s:.2f} m/s (`slow_speed_m_s`)",
        f"mode 5 after {arm.velocity_duration_steps:g} steps",
        f"a report is {1e3 * arm.report_delay_s:.0f} ms old",
        f"at {arm.velocity_braking_m_s2:g} m/s² (`velocity_braking_m_s2`)",
        f"then {rig.max_speed_m_s:g} (the rig's limit)",
        "v" + ".".join(map(str, MODE_SINCE["online_line"])),
        ", ".join(f"{value:g}" for value in np.degrees(rig.home_joints_rad).round(2)) + " degrees",
    ]
    page = " ".join(PAGE.split())
    assert not [each for each in said if each not in page]
    home_mm = 1e3 * Kinematics().tcp(rig.home_joints_rad)
    assert "x {:.0f}, y {:.0f}, z {:.0f} mm".format(*np.abs(home_mm)) in page
