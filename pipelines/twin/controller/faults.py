"""What can go wrong with an xArm controller, by name.

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
==================  =====================================================================================
"""

import random
import threading
import time
from collections.abc import Callable

from datasets.common.errors import ConfigError
from pipelines.twin.controller.connections import Client, Connections
from pipelines.twin.controller.firmware import Firmware

STALL_S = 0.19
"""A stall that others measured on a real xArm7, about every 10 s."""
SLOW_S = 0.05
JITTER_S = 0.04
"""The intervals of others' measurements on a real xArm7 spread from 7 to 29 ms where 10 were asked for."""
WARNING, NO_SOLUTION = 15, 14

CONTROLLER_FAULTS = (
    *("c21", "c22", "c23", "c24", "c31", "c35", "estop", "mode0", "warning", "ignored", "no_solution", "pause"),
    *("stall", "slow", "latency", "jitter"),
    *("silent", "silent_motion", "drop_control", "drop_motion", "drop_reports", "mute_reports"),
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

    def inject(self, name: str) -> None:
        """Let the fault happen now; raises ConfigError for a name there is not."""
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
        }
        actions[name]()

    def clear(self) -> None:
        """End every fault that lasts, and release the emergency button; errors stay until cleaned."""
        self.silent = self.silent_motion = self.slow = self.latency = self.jitter = False
        self.mutes_reports = self.refuses_reports = False
        self._stall.clear()
        self._firmware.ignores_moves = False
        self._firmware.press_emergency_stop(False)

    def hold_reply(self, client: Client) -> bool:
        """Wait as long as the reply to ``client`` must; False when there will be none."""
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
        """How late the next message is."""
        return (SLOW_S if self.latency else 0.0) + (self._random.uniform(0, JITTER_S) if self.jitter else 0.0)

    def _find_no_solution(self) -> None:
        self._firmware.ignores_moves = True
        self._firmware.warn(NO_SOLUTION)

    def _fall_silent(self) -> None:
        self.silent = self.mutes_reports = True

    def _drop_reports(self) -> None:
        self.refuses_reports = True
        self._connections.drop_reports()
