"""One page on this machine, to be read before help is asked for, and pasted when it is.

Looks at Python and the libraries, OpenGL, cores, memory, disk, clocks, camera, models and, with --arm, the controller,
and says what to do beside each fault. Writes nothing, sends nothing, opens no camera and commands no arm. Names of
users and hosts, their folders and serial numbers are left out. Exit codes: 0 healthy, 1 a fault was found, 2 refused,
130 interrupted.
"""

import argparse
import ipaddress
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

from datasets import GL_ASKED
from pipelines.doctor import camera, controller, drawing, machine, models, packages
from pipelines.doctor.finding import INSTALL, Finding, State, findings_of

PROG = "pipelines.doctor"
EXIT_FAULT = 1
EXIT_INTERRUPTED = 128 + signal.SIGINT  # not of datasets.common.cli, whose packages may be missing here


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text}: give the controller's IPv4 address, such as 192.168.1.203"
        ) from error


def examine(arm: str | None, gl: str) -> Iterator[Finding]:
    """Yield every finding as soon as it is made.

    Args:
        arm: the controller's address; None: the controller is not examined.
        gl: the value of ``MUJOCO_GL`` with which pictures are drawn.
    """
    yield from findings_of("packages", packages.look, INSTALL)
    for item, look in machine.parts().items():
        yield from findings_of(item, partial(_one, look), INSTALL)
    yield from findings_of("OpenGL", lambda: drawing.look(gl), INSTALL)
    yield from findings_of("models", models.look, INSTALL)
    yield from findings_of("camera", camera.look, INSTALL)
    if arm is not None:
        yield from findings_of("controller", lambda: controller.look(arm), INSTALL)


def _one(look: Callable[[], Finding]) -> Iterator[Finding]:
    yield look()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {PROG}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arm", type=_address, metavar="IP", help="look at the controller there, too; nothing moves")
    parser.add_argument("--json", action="store_true", help="for programs: one object with every finding")
    options = parser.parse_args(arguments)
    os.environ["MUJOCO_GL"] = "disable"  # only the pictures need OpenGL, which may be broken
    found = []
    try:
        for finding in examine(options.arm, GL_ASKED):
            found.append(finding)
            if not options.json:
                print(finding, flush=True)
    except KeyboardInterrupt as interrupt:
        print(f"{PROG}: interrupted", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from interrupt
    faults = [finding.item for finding in found if finding.state is State.FAULT]
    if options.json:
        print(json.dumps({"healthy": not faults, "findings": [asdict(finding) for finding in found]}, indent=2))
    else:
        print(f"{len(faults)} fault(s): {', '.join(faults)}" if faults else "healthy: no fault found")
    raise SystemExit(EXIT_FAULT if faults else 0)


if __name__ == "__main__":
    main()
