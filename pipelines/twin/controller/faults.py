"""The faults of an xArm controller, by name.

==================  =====================================================================================
``c31`` ... ``c21``  the controller's error of that number, in mid-move: it brakes, mode 0, state 4
``estop``           the emergency button is pressed: error 1, motors off
``mode0``           the mode falls to 0 while the state stays ready
``warning``         the controller warns of its Modbus queue (W15) and goes on
``ignored``         every command is acknowledged and none carried out, without a word
``no_solution``     as ``ignored``, and the controller warns that a command has no solution (W14)
``pause``           somebody presses pause in the vendor's studio: state 3
``stall``           no reply on the motion connection for 190 ms; reports go on
``slow``            every reply is 50 ms late, from now on
``latency``         every reply and every report is 50 ms late, from now on
``jitter``          every reply and every report is late by 0 to 40 ms, each by another time, from now on
``silent``          nothing is answered and nothing reported any more; the arm goes on to its last target
``silent_motion``   as ``silent``, on the motion connection only, reports go on
``drop_control``    all control connections break
``drop_motion``     the motion connection breaks
``drop_reports``    the report streams break and cannot be opened again
``mute_reports``    the report streams stay open and say nothing
``nan_reports``     every reported joint and pose is not a number, from now on
``frozen_pose``     every report repeats the joints and the pose of now, whatever the arm does
``tilted``          somebody turns the tool by 46 degrees from pointing down, and holds it there
``elbow_wanders``   the elbow swings to one side and on, while the tool stays where it should
``wrist_turns``     the last joint turns on and on
``branch_flips``    the shoulder goes over to the inverse kinematics' other branch: joint 1 and joint 3 by half a turn
                    against each other, joint 2 to the other side
``manual``          somebody switches to manual mode: mode 2, a hand may lead the arm
``boundary_off``    another client switches the safety boundary off
``boundary_wider``  another client moves a face of the safety boundary outwards by 300 mm
``reduced_off``     another client switches the reduced mode off
``faster``          another client raises the speed limits of the reduced mode to 1 m/s and 180 deg/s
``sensitivity``     another client lowers the collision sensitivity to 1, of a firmware that resets nothing
``tool_offset``     another client sets the tool's offset to 0, of a firmware that resets nothing
``payload``         another client sets the payload to 0, of a firmware that resets nothing
``joint_range``     another client widens the joint range of the reduced mode to the arm's own limits
``self_collision``  another client switches the self-collision check off
``tool_model``      another client sets the tool of the self-collision check to none
``rebound``         another client switches the collision rebound on
``approximate``     another client lets paths near singularities be approximate
``gravity``         another client says that the arm hangs from the ceiling
``world_offset``    another client shifts the base frame by 5 mm
``simulation``      another client switches simulation mode on
``ack_without_stop``  a stop is acknowledged and not carried out, from now on
``ack_without_setting``  every setting is acknowledged and none taken, from now on
==================  =====================================================================================
"""

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from datasets.common.errors import ConfigError
from pipelines.twin.controller.connections import Client, Connections
from pipelines.twin.controller.firmware import JOINT_LIMITS_RAD, MANUAL, Firmware
from pipelines.twin.controller.motion import Stray
from pipelines.twin.controller.reports import Snapshot

STALL_S = 0.19
"""Duration of a stall, s, as others measured on a real xArm7, about every 10 s."""
SLOW_S = 0.05
JITTER_S = 0.04
"""Largest delay of jitter, s: others measured intervals of 7 to 29 ms on a real xArm7 where 10 were asked for."""
WARNING, NO_SOLUTION = 15, 14
TILT_RAD = 0.8
STRAY_SPEED_RAD_S = 1.5
"""Speed of a stray joint: a little less than the reduced mode allows (``max_joint_speed_rad_s`` in
``params/arm.yaml``)."""
STRAYS = ("elbow_wanders", "wrist_turns", "branch_flips")
SET_BY_OTHERS: dict[str, dict[str, object]] = {
    "boundary_off": {"fence_on": False},
    "reduced_off": {"reduced_on": False},
    "faster": {"reduced_tcp_mm_s": 1000.0, "reduced_joint_rad_s": math.pi},
    "sensitivity": {"collision_sensitivity": 1},
    "tool_offset": {"tcp_offset_mm_rad": (0.0,) * 6},
    "payload": {"load_kg_mm": (0.0,) * 4},
    "joint_range": {"joint_range_rad": JOINT_LIMITS_RAD},
    "self_collision": {"self_collision_on": False},
    "tool_model": {"collision_tool": 0},
    "rebound": {"rebound_on": True},
    "approximate": {"approximate_on": True},
    "gravity": {"gravity": (0.0, 0.0, 1.0)},
    "world_offset": {"world_offset_mm_rad": (5.0, 0.0, 0.0, 0.0, 0.0, 0.0)},
    "simulation": {"simulated": True},
}
"""For each fault, the settings that another client changes while the arm runs, with a firmware that resets nothing."""

CONTROLLER_FAULTS = (
    *("c21", "c22", "c23", "c24", "c31", "c35", "estop", "mode0", "warning", "ignored", "no_solution", "pause"),
    *("stall", "slow", "latency", "jitter"),
    *("silent", "silent_motion", "drop_control", "drop_motion", "drop_reports", "mute_reports"),
    *("nan_reports", "frozen_pose", "tilted", *STRAYS, "manual", "boundary_wider", *SET_BY_OTHERS),
    *("ack_without_stop", "ack_without_setting"),
)


class ControllerFaults:
    """The faults of one emulated controller.

    Attributes:
        stalls_s: when each ``stall`` began and ended, ``time.monotonic``.
    """

    def __init__(self, firmware: Firmware, connections: Connections) -> None:
        self._firmware, self._connections = firmware, connections
        self._over = threading.Event()
        self._stall = threading.Event()
        self.silent = False
        self.silent_motion = False
        self.slow = self.latency = self.jitter = False
        self._random = random.Random(0)
        self.stalls_s: list[tuple[float, float]] = []
        self.mutes_reports = False
        self.refuses_reports = False
        self._blind = False
        self._frozen: Snapshot | None = None

    def inject(self, name: str) -> None:
        """Cause the fault now; raises ConfigError for an unknown name."""
        if name not in CONTROLLER_FAULTS:
            raise ConfigError(f"no controller fault is called {name!r}; there are: {', '.join(CONTROLLER_FAULTS)}")
        firmware, connections = self._firmware, self._connections
        if name[0] == "c" and name[1:].isdigit():
            firmware.fail(int(name[1:]))
            return
        actions: dict[str, Callable[[], None]] = {
            "estop": lambda: firmware.press_emergency_stop(True),
            "mode0": firmware.fall_to_mode_0,
            "warning": lambda: firmware.warn(WARNING),
            "ignored": lambda: setattr(firmware, "ignores_moves", True),
            "no_solution": self._find_no_solution,
            "pause": firmware.pause,
            "stall": self._stall.set,
            "slow": lambda: setattr(self, "slow", True),
            "latency": lambda: setattr(self, "latency", True),
            "jitter": lambda: setattr(self, "jitter", True),
            "silent": self._fall_silent,
            "silent_motion": lambda: setattr(self, "silent_motion", True),
            "drop_control": connections.drop_clients,
            "drop_motion": lambda: connections.drop_clients(motion_only=True),
            "drop_reports": self._drop_reports,
            "mute_reports": lambda: setattr(self, "mutes_reports", True),
            "nan_reports": lambda: setattr(self, "_blind", True),
            "frozen_pose": lambda: setattr(self, "_frozen", firmware.snapshot()),
            "tilted": lambda: firmware.twist(TILT_RAD),
            **{name: partial(self._lead_astray, name) for name in STRAYS},
            "manual": self._lead_by_hand,
            "boundary_wider": self._widen_boundary,
            **{name: partial(firmware.limit, **changes) for name, changes in SET_BY_OTHERS.items()},
            "ack_without_stop": lambda: setattr(firmware, "ignores_stops", True),
            "ack_without_setting": lambda: setattr(firmware, "ignores_settings", True),
        }
        actions[name]()

    def clear(self) -> None:
        """End every lasting fault, and release the emergency button; errors stay until they are cleaned."""
        self.silent = self.silent_motion = self.slow = self.latency = self.jitter = False
        self.mutes_reports = self.refuses_reports = self._blind = False
        self._frozen = None
        self._stall.clear()
        self._firmware.ignores_moves = self._firmware.ignores_stops = self._firmware.ignores_settings = False
        self._firmware.stray = None
        self._firmware.press_emergency_stop(False)

    def hold_reply(self, client: Client) -> bool:
        """Wait for the delay of the reply to ``client``; returns False if there will be no reply."""
        if self.silent or (self.silent_motion and client.commands_motion):
            return False
        self._over.wait(SLOW_S if self.slow else self.lateness_s())
        if client.commands_motion and self._stall.is_set():
            self._stall.clear()
            began = time.monotonic()
            self._over.wait(STALL_S)
            self.stalls_s.append((began, time.monotonic()))
        return True

    def lateness_s(self) -> float:
        """The delay of the next message, s."""
        return (SLOW_S if self.latency else 0.0) + (self._random.uniform(0, JITTER_S) if self.jitter else 0.0)

    def spoil(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot that is reported in place of the true one."""
        if self._blind:
            return replace(snapshot, joints_rad=(math.nan,) * 7, pose_mm_rad=(math.nan,) * 6)
        if (frozen := self._frozen) is not None:
            return replace(snapshot, joints_rad=frozen.joints_rad, pose_mm_rad=frozen.pose_mm_rad)
        return snapshot

    def _lead_astray(self, name: str) -> None:
        by_rad = np.zeros(7)
        if name == "wrist_turns":
            by_rad[6] = 2 * math.pi
        else:
            by_rad[[0, 2]] = -math.pi, math.pi
        if name == "branch_flips":
            by_rad[1] = -2 * self._firmware.joints()[1]
        self._firmware.stray = Stray(by_rad, STRAY_SPEED_RAD_S, holds_tool=name == "elbow_wanders")

    def _lead_by_hand(self) -> None:
        firmware = self._firmware
        with firmware.lock:
            firmware.advance()
            firmware.set_mode(MANUAL)
            firmware.set_state(0)

    def _widen_boundary(self) -> None:
        firmware = self._firmware
        with firmware.lock:
            x_high, *others = firmware.settings.fence_mm
            firmware.limit(fence_mm=(x_high + 300, *others))

    def _find_no_solution(self) -> None:
        self._firmware.ignores_moves = True
        self._firmware.warn(NO_SOLUTION)

    def _fall_silent(self) -> None:
        self.silent = self.mutes_reports = True

    def _drop_reports(self) -> None:
        self.refuses_reports = True
        self._connections.drop_reports()
