"""Examines the arm's controller with queries only, and changes nothing."""

import socket
from collections.abc import Callable, Iterator

from pipelines.doctor.finding import Finding, State

PORTS = {502: "commands", 30001: "reports", 30002: "rich reports", 30003: "100 Hz reports"}
_CONNECT_TIMEOUT_S = 2.0


def look(host: str) -> Iterator[Finding]:
    """Report the ports, firmware, state and errors, and who holds the arm."""
    closed = [f"{port} ({what})" for port, what in PORTS.items() if not _answers(host, port)]
    if closed:
        told = f"{host}: no answer at port {', '.join(closed)}"
        remedy = "check the address, the cable, that the control box is on, and firewalls"
        yield Finding("controller", State.FAULT, told, remedy)
        if len(closed) == len(PORTS):
            return
    else:
        yield Finding("controller", State.OK, f"{host}: ports {', '.join(map(str, PORTS))} answer")
    yield from _asked(host)


def _asked(host: str) -> Iterator[Finding]:
    from control.arms.params import ArmParams
    from control.arms.xarm.controller_errors import describe_warning
    from control.arms.xarm.setup import check_controller
    from control.arms.xarm.takeover import Holder, require_free, require_no_motion
    from control.arms.xarm.wire.sdk import await_report, close_apis, open_api

    api = open_api(host, "rich")
    try:
        await_report(api)
        version = ".".join(map(str, api.version_number))
        yield Finding("firmware", State.OK, f"{version}, {api.axis} axes")
        yield _judged("controller's state", lambda: check_controller(api, ArmParams.load().mode), "no error")
        holder = Holder.read(api)
        yield _judged("arm's motion", lambda: require_no_motion(holder), "it carries out no command")
        yield _judged("arm's holder", lambda: require_free(holder), f"none: {holder}")
        if api.warn_code:
            yield Finding("warning", State.NOTE, describe_warning(api.warn_code))
    finally:
        close_apis(api)


def _judged(item: str, check: Callable[[], object], good: str) -> Finding:
    from datasets.common.errors import DeviceError, SafetyStop

    try:
        check()
    except (DeviceError, SafetyStop) as error:  # by this project's rule: the finding, then the remedy
        found, _, remedy = str(error).partition("; ")
        return Finding(item, State.FAULT, found, remedy)
    return Finding(item, State.OK, good)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), _CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False
