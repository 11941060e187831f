"""The vendor's SDK, opened without its side effects and called with a deadline."""

import contextlib
import functools
import importlib.metadata
import io
import ipaddress
import logging
import os
import re
import socket
import struct
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

from datasets.common.errors import DeviceError

SDK_NAME, SDK_SINCE = "xarm-python-sdk", (1, 18)
"""Package and first version that works: older ones fail (1.16 at import, 1.17 after the motors were enabled)."""
CONNECT_TIMEOUT_S = 8.0
CLOSE_TIMEOUT_S = 3.0
_TCP_ESTABLISHED = 1
_log = logging.getLogger(__name__)


class _Forward(logging.Handler):
    """Passes the SDK's log records, which it would print on stdout, to this project's log."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.debug("%s", record.getMessage())


def require_sdk() -> None:
    """Raises DeviceError unless the vendor's SDK is installed, and new enough; imports nothing."""
    needed = f"{SDK_NAME} {'.'.join(map(str, SDK_SINCE))} or newer is needed"
    try:
        version = importlib.metadata.version(SDK_NAME)
    except importlib.metadata.PackageNotFoundError as error:
        raise DeviceError(f"{needed} and none is installed; install the version of constraints.txt") from error
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < SDK_SINCE:
        raise DeviceError(f"{needed}, installed is {version}; install the version of constraints.txt")


@functools.cache
def load_sdk() -> Any:
    """Imports the SDK and returns its ``XArmAPI`` class.

    Its prints become log records, and it makes no folder of its own in the user's home. Its sockets' timeout of one
    second, which they also set for themselves, does not become the default of every socket in the process.
    Raises DeviceError for a version that is too old.
    """
    require_sdk()
    with contextlib.redirect_stdout(io.StringIO()), _no_folder_made():  # it prints its version when imported
        from xarm.core.comm import socket_port
        from xarm.core.utils import log as sdk_log
        from xarm.core.wrapper import uxbus_cmd_tcp
        from xarm.wrapper import XArmAPI
        from xarm.x3 import base
    vars(socket_port)["socket"] = types.SimpleNamespace(**{**vars(socket), "setdefaulttimeout": lambda timeout: None})
    for module in (base, uxbus_cmd_tcp):
        vars(module)["print"] = lambda *values: _log.debug(" ".join(map(str, values)))
    for logger in (sdk_log.logger, sdk_log.origin_logger):
        logger.handlers[:] = [_Forward()]
        logger.propagate = False
    return XArmAPI


@contextlib.contextmanager
def _no_folder_made() -> Iterator[None]:
    """Keep the SDK from making ``~/.UFACTORY``, a folder that it never uses; a home may be missing or read-only."""
    make = os.makedirs

    def make_others(name: Any, *given: Any, **named: Any) -> None:
        if ".UFACTORY" not in str(name):
            make(name, *given, **named)

    os.makedirs = make_others
    try:
        yield
    finally:
        os.makedirs = make


def call_sdk(name: str, call: Callable[[], Any]) -> Any:
    """Returns the result of ``call``; any exception of the SDK becomes a DeviceError that names the call."""
    try:
        return call()
    except Exception as error:
        raise DeviceError(
            f"the SDK's {name} failed ({type(error).__name__}: {error}); restart the control box, or use the SDK's "
            "version of constraints.txt"
        ) from error


def run_bounded(call: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Returns the result of ``call``, made on a thread that is abandoned if it does not return in time.

    Raises:
        DeviceError: the call did not return in time, or raised, or the computer cannot start a thread.
    """
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.extend((True, call()))
        except Exception as error:  # any exception of the SDK is reported to the caller's thread
            outcome.extend((False, error))

    thread = threading.Thread(target=work, daemon=True, name=f"xarm {what}")
    try:
        thread.start()
    except RuntimeError as error:
        raise DeviceError(f"'{what}' failed: {error}; end other programs") from error
    thread.join(timeout_s)
    if len(outcome) < 2:
        raise DeviceError(f"the controller did not finish '{what}' within {timeout_s:g} s; check the cable, restart it")
    if not outcome[0]:
        raise DeviceError(f"'{what}' failed: {outcome[1]}")
    return outcome[1]


def open_api(host: str, report_type: str) -> Any:
    """A connected ``XArmAPI`` in radians, over TCP only; nothing stays open when this raises.

    Raises:
        DeviceError: the address is not an IPv4 address, or no controller answers there.
    """
    try:
        ipaddress.IPv4Address(host)
    except ValueError as error:
        raise DeviceError(f"{host!r} is not an IPv4 address; give the controller's, such as 192.168.1.203") from error
    api = load_sdk()(host, is_radian=True, do_not_open=True, report_type=report_type, forbid_uds=True, timed_comm=False)
    given_up = threading.Event()

    def connect() -> None:
        api.connect()
        if given_up.is_set():  # the caller has given up, so it is closed here
            close_apis(api)

    try:
        run_bounded(connect, CONNECT_TIMEOUT_S, "connect")
    except BaseException as error:
        given_up.set()
        close_apis(api)
        if not isinstance(error, DeviceError):
            raise
        raise DeviceError(
            f"no xArm controller answers at {host} ({error}); check the address, the cable and that it is switched on"
        ) from error
    return api


def await_report(api: Any, timeout_s: float = 3.0) -> None:
    """Wait until a report that came after this call was read completely: the SDK calls back before it reads the limits.

    Raises:
        DeviceError: no report comes within ``timeout_s``.
    """
    reports: list[object] = []
    hear = reports.append
    api.register_report_callback(hear)
    try:
        if not wait_until(lambda: len(reports) > 1, timeout_s):
            raise DeviceError("the controller sends no reports; restart it, and look for a firewall")
    finally:
        api.release_report_callback(hear)


def close_apis(*apis: Any) -> None:
    """Disconnect all of them at the same time, within ``CLOSE_TIMEOUT_S``; never raises."""
    threads = []
    for api in apis:
        thread = threading.Thread(target=_close, args=(api,), daemon=True, name="xarm disconnect")
        try:
            thread.start()
        except RuntimeError:  # the computer cannot start a thread
            _close(api)
        else:
            threads.append(thread)
    until = time.monotonic() + CLOSE_TIMEOUT_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _close(api: Any) -> None:
    try:
        # If the report stream were closed first, the SDK would open it again and sleep for two seconds.
        if api.connected:
            api.core.arm_port.close()
            wait_until(lambda: not api.connected, 0.5)
    except Exception as error:
        _log.warning("closing the control connection failed: %s", error)
    try:
        api.disconnect()
    except Exception as error:
        _log.warning("disconnecting failed: %s", error)


def is_wire_up(api: Any) -> bool:
    """Whether the control connection is up, as the kernel reports it: the SDK itself notices after half a second."""
    if not api.connected:
        return False
    if not sys.platform.startswith("linux"):
        return True
    try:
        info = api.core.arm_port.com.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except (OSError, AttributeError):
        return False
    return bool(struct.unpack("B", info[:1])[0] == _TCP_ESTABLISHED)


def wait_until(condition: Callable[[], bool], timeout_s: float, period_s: float = 0.01) -> bool:
    """Poll until the condition holds; False when it did not within ``timeout_s``."""
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(period_s)
    return True
