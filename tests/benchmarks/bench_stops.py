"""How long a stop takes, fault by fault: ``python tests/benchmarks/bench_stops.py [--against CLONE] [--runs N]``.

Writes ``results/benchmarks/stops.json``. The controller's twin runs in this process, the driver in one of its own,
round a circle at 0.2 m/s. Of each fault of the controller three moments are taken, ms after it happened: when the order
to stop reached the controller, when the arm was at rest and stopped, when the driver said that the stop was confirmed.
What is promised are 250 ms to the arm at rest, from when the fault has reached this side of the wire: from the first
report that tells it, or from the end of the deadline that a missing report or reply has.

``--against`` names another clone whose driver is timed turn by turn with this one's, on the same twin. A machine that
is busy makes all of it longer: how long its kernel let the driver's threads wait in a run is told beside it.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from control.arms.params import ArmParams
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import CONTROL_PORT, ControllerTwin
from pipelines.twin.controller.faults import SET_BY_OTHERS, STRAY_SPEED_RAD_S
from pipelines.twin.controller.firmware import STOPPED
from pipelines.twin.controller.protocol import Register
from pipelines.twin.controller.reports import REAL_PORT, RICH_PORT

OUT = Path("results/benchmarks/stops.json")
ROOT = Path(__file__).resolve().parents[2]
PROMISED_S, PATIENCE_S = 0.25, 1.2
_REPORTS_S, _REPLIES_S = ArmParams().report_deadline_s, ArmParams().command_deadline_s
NEXT_COMMAND_S = 0.1
REACHES_US: dict[str, int | float] = {
    **dict.fromkeys(("c21", "c22", "c23", "c24", "c31", "c35", "estop", "mode0", "pause", "manual"), REAL_PORT),
    **dict.fromkeys(("nan_reports", "tool_offset"), REAL_PORT),
    **dict.fromkeys(("no_solution", "boundary_wider", *(set(SET_BY_OTHERS) - {"tool_offset"})), RICH_PORT),
    **dict.fromkeys(("drop_control", "drop_motion"), 0.0),
    **dict.fromkeys(("drop_reports", "mute_reports", "silent"), _REPORTS_S),
    **dict.fromkeys(("silent_motion", "frozen_pose"), _REPLIES_S + NEXT_COMMAND_S),
    "tilted": 0.35,
    "wrist_turns": 0.35 / STRAY_SPEED_RAD_S,
    **dict.fromkeys(("elbow_wanders", "branch_flips"), 0.75 / STRAY_SPEED_RAD_S),
    "ignored": _REPLIES_S + 2 * NEXT_COMMAND_S,
}
"""Fault: the report that tells it, or s until it can be known: deadlines, a turn of 20 degrees, the joint band left."""
UNSTOPPABLE = frozenset({"drop_control", "silent"})
"""No order reaches the controller: the arm ends at its last target by itself."""

DRIVER = """
import sys, time, numpy as np
from xarm.core.config.x_config import XCONF
from control.arms.params import ArmParams
from control.arms.xarm import XArm
from datasets.rig import Rig
host, port = sys.argv[1], int(sys.argv[2])
XCONF.SocketConf.TCP_CONTROL_PORT = port
say = lambda *words: print("#", *words, flush=True)
say("ready")
for line in sys.stdin:
    arm, step, ended = XArm(host, Rig.load(), ArmParams()), 0, None
    try:
        arm.connect()
        until = time.monotonic() + float(line)
        say("moving")
        while arm.fault is None and time.monotonic() < until:
            step += 1
            arm.move(0.02 * np.array([0.0, np.cos(step / 3), np.sin(step / 3)]))
            time.sleep(0.1)
    except Exception as error:
        ended = error
    time.sleep(0.5)
    confirmed = [t for t, event in list(arm.events) if event.startswith("stop confirmed")]
    say("over", confirmed[0] if arm.fault is not None and confirmed else "nan", str(arm.fault or ended)[:60])
    arm.disconnect()
    say("closed")
"""


@dataclass
class Times:
    """One run, s after the fault happened; not a number for what did not come."""

    told: float
    order: float
    rest: float
    confirmed: float
    held_up: float


class Driver:
    """A clone's driver in a process of its own, which connects and moves when told to."""

    def __init__(self, root: Path, host: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(root)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, host, str(CONTROL_PORT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=root,
            env=environment,
        )
        self.hear("ready")

    def tell(self, seconds: float) -> None:
        """Connect and move, for so long at most."""
        assert self.process.stdin is not None
        print(seconds, file=self.process.stdin, flush=True)

    def hear(self, word: str) -> list[str]:
        """Wait for a word; what was said with it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(f"# {word}"):
                return line.split()[2:]
        raise RuntimeError(f"the driver ended before it said {word!r}")

    def waited_s(self) -> float:
        """The longest that one of its threads has waited for a processor, in all its life."""
        waits = [0.0]
        for thread in Path(f"/proc/{self.process.pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                waits.append(int((thread / "schedstat").read_text().split()[1]) * 1e-9)
        return max(waits)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def time_stop(twin: ControllerTwin, driver: Driver, fault: str, sent: dict[int, list[float]]) -> Times:
    """Let the fault happen in mid-move and watch what comes of it."""
    firmware = twin.firmware
    driver.tell(PATIENCE_S + 2.0)
    driver.hear("moving")
    patience = time.monotonic() + PATIENCE_S
    while firmware.speed_m_s() < 0.1:
        if time.monotonic() > patience:
            raise RuntimeError(f"{fault}: the arm does not begin to move: {' '.join(driver.hear('over'))}")
        time.sleep(0.01)
    time.sleep(0.35)
    waited_s = driver.waited_s()
    began = time.monotonic()
    twin.inject(fault)
    rest = np.nan
    while time.monotonic() - began < PATIENCE_S:
        if firmware.state == STOPPED and firmware.speed_m_s() == 0 and _orders(twin, began):
            rest = time.monotonic() - began
            break
        time.sleep(0.001)
    waited_s = driver.waited_s() - waited_s
    way = REACHES_US[fault]
    if isinstance(way, int):
        told = next((time_s - began for time_s in list(sent[way]) if time_s > began), np.nan)
    else:
        told = way
    confirmed = float(driver.hear("over")[0]) - began
    orders = _orders(twin, began)
    twin.faults.clear()
    driver.hear("closed")
    firmware.clean_error()
    return Times(told, orders[0] - began if orders else np.nan, rest, confirmed, waited_s)


def _orders(twin: ControllerTwin, since_s: float) -> list[float]:
    stop = bytes([STOPPED])
    return [
        t for t, each in list(twin.log) if t > since_s and (each.register, each.payload) == (Register.SET_STATE, stop)
    ]


@contextlib.contextmanager
def listening(twin: ControllerTwin) -> Iterator[dict[int, list[float]]]:
    """When reports of each port were sent."""
    sent: dict[int, list[float]] = {REAL_PORT: [], RICH_PORT: []}
    inner = twin._connections.send_report

    def send(port: int, report: bytes) -> None:
        inner(port, report)
        sent.get(port, []).append(time.monotonic())

    twin._connections.send_report = send  # type: ignore[method-assign]
    yield sent


def summary(runs: list[Times], is_out_of_reach: bool) -> dict[str, object]:
    """Medians and maxima in ms, and how many runs kept the promise."""
    column = {name: np.array([getattr(run, name) for run in runs]) for name in Times.__annotations__}
    after = column["rest"] - column["told"]

    def of(values: np.ndarray) -> list[float | None]:
        known = values[np.isfinite(values)]
        return [round(1e3 * float(part(known)), 1) for part in (np.median, np.max)] if len(known) else [None, None]

    return {
        "n": len(runs),
        "stopped": int(np.isfinite(column["rest"]).sum()),
        **{f"{name}_p50_max_ms": of(column[name]) for name in ("order", "rest", "confirmed")},
        "rest_after_it_reached_us_p50_max_ms": of(after),
        "kept": None if is_out_of_reach else int((after <= PROMISED_S).sum()),
        "held_up_p50_max_ms": of(column["held_up"]),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--against", type=Path, metavar="CLONE", help="another clone to time turn by turn with this")
    options.add_argument("--runs", type=int, default=3, metavar="N", help="of each fault (default 3)")
    options.add_argument("--fault", action="append", choices=sorted(REACHES_US), help="only this one; repeatable")
    options.add_argument("--out", type=Path, default=OUT)
    chosen = options.parse_args()
    roots = {"this": ROOT} | ({"against": chosen.against.resolve()} if chosen.against else {})
    found: dict[str, dict[str, list[Times]]] = {name: {} for name in roots}
    load = [os.getloadavg()[0]]
    faults = chosen.fault or list(REACHES_US)
    rounds = [(fault, name) for _ in range(chosen.runs) for fault in faults for name in roots]
    with contextlib.ExitStack() as stack:
        twins = {name: stack.enter_context(ControllerTwin(Rig.load())) for name in roots}
        sent = {name: stack.enter_context(listening(twin)) for name, twin in twins.items()}
        drivers = {name: Driver(root, twins[name].host) for name, root in roots.items()}
        for driver in drivers.values():
            stack.callback(driver.close)
        for fault, name in tqdm(rounds, unit="stop"):
            twin = twins[name]
            with twin.firmware.lock:  # what it was in the midst of would else go on from half a new place
                twin.firmware.settings = type(twin.firmware.settings)()
                twin.firmware.warn(0)
                twin.firmware._motion.twist = None
                twin.firmware._motion.place(np.array(Rig.load().home_joints_rad))
                twin.firmware.set_state(STOPPED)
            for times in sent[name].values():
                times.clear()
            found[name].setdefault(fault, []).append(time_stop(twin, drivers[name], fault, sent[name]))
            load.append(os.getloadavg()[0])
    result = {
        "faults": {
            fault: {name: summary(found[name][fault], fault in UNSTOPPABLE) for name in roots} for fault in faults
        },
        "promised_ms": round(1e3 * PROMISED_S),
        "load_p50_max": [round(float(np.median(load)), 1), round(max(load), 1)],
        "processors": os.cpu_count(),
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(result, indent=2) + "\n")
    for fault, sides in result["faults"].items():
        for name, side in sides.items():
            order, rest = side["order_p50_max_ms"], side["rest_p50_max_ms"]
            after, told = side["rest_after_it_reached_us_p50_max_ms"], side["confirmed_p50_max_ms"]
            print(
                f"{fault:15} {name:8} order {order} rest {rest} confirmed {told} after it reached us {after} "
                f"kept {side['kept']}/{side['n']} held up {side['held_up_p50_max_ms']}"
            )
    print("load", result["load_p50_max"])


if __name__ == "__main__":
    main()
