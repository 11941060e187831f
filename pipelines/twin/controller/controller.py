"""A controller emulator that the unmodified ``xarm-python-sdk`` connects to over TCP on the loopback interface.

It has four listeners on one ``127.0.0.N``: control, and the report streams on the ports 30001-30003, which are fixed in
the SDK. The control port is fixed there too: while an emulator runs, ``XCONF.SocketConf.TCP_CONTROL_PORT`` of its
process is set to an unprivileged port. A client in another process calls :func:`point_sdk_at_emulators` first.
"""

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from control.arms.xarm.wire.sdk import load_sdk
from datasets.common.errors import DeviceError
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from pipelines.twin.controller.connections import Client, Connections
from pipelines.twin.controller.faults import ControllerFaults
from pipelines.twin.controller.firmware import MOVING, Firmware
from pipelines.twin.controller.protocol import Register, Request, RequestReader, Status, motion_feedback
from pipelines.twin.controller.registers import answer
from pipelines.twin.controller.reports import (
    NORMAL_PORT,
    REAL_PORT,
    RICH_PORT,
    Snapshot,
    normal_report,
    real_report,
    rich_report,
)
from pipelines.twin.service import Service

FIRMWARE = "v2.5.0"
CONTROL_PORT = 50502
XARM_CONTROL_PORT = 502
_REAL_PERIOD_S, _SLOW_PERIOD_S = 0.01, 0.2
_FEEDBACK_MOTION_FINISH = 2
_MOVES = frozenset(
    {
        Register.MOVE_LINE,
        Register.MOVE_JOINT,
        Register.MOVE_HOME,
        Register.MOVE_SERVOJ,
        Register.MOVE_SERVO_CART,
        Register.MOVE_RELATIVE,
        Register.VC_SET_CARTV,
    }
)
_running = 0
_running_lock = threading.Lock()


def point_sdk_at_emulators(on: bool = True) -> None:
    """Make the SDK of this process connect to the emulators' control port, or to the real one again."""
    load_sdk()
    from xarm.core.config.x_config import XCONF

    XCONF.SocketConf.TCP_CONTROL_PORT = CONTROL_PORT if on else XARM_CONTROL_PORT


class ControllerTwin(Service):
    """An emulated xArm7 controller; used as a context manager or by :meth:`start` and :meth:`stop`.

    Args:
        rig: gives the mounted tool, and the arm's posture at power-on.
        host: a loopback address of its own, or None for the first free ``127.0.0.N``.
        clock: the monotonic clock for the motion.
        firmware: the version that it reports.
        joints_rad: the joints at power-on, ``(7,)``; default the rig's home.
    """

    def __init__(
        self,
        rig: Rig,
        host: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        firmware: str = FIRMWARE,
        joints_rad: Array | None = None,
    ) -> None:
        start = np.array(rig.home_joints_rad if joints_rad is None else joints_rad, dtype=float)
        self.firmware = Firmware(start, clock, firmware, rig.tool.tcp_offset_m)
        self._connections = Connections()
        self.faults = ControllerFaults(self.firmware, self._connections)
        self.log: deque[tuple[float, Request]] = deque(maxlen=10_000)
        self._host = host
        self._clock = clock
        self._listeners: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    @property
    def host(self) -> str:
        """The address to give to ``XArmAPI``; raises DeviceError before :meth:`start`."""
        if self._host is None:
            raise DeviceError("the controller emulator has no address yet; start it first")
        return self._host

    @property
    def clients(self) -> list[Client]:
        """The control connections."""
        return self._connections.clients

    def joints(self, time_s: float | None = None) -> Array:
        """Joints ``(7,)`` rad now, or at a past moment of the clock."""
        return self.firmware.joints(time_s)

    def tcp(self) -> Array:
        """The TCP ``(3,)`` m of the mounted tool, in the base frame, now."""
        return self.firmware.tcp()

    def inject(self, fault: str) -> None:
        """Cause a named fault now; names and meanings are in :mod:`pipelines.twin.controller.faults`."""
        self.faults.inject(fault)

    def start(self) -> None:
        """Listen; raises DeviceError if there is no loopback address, or none with the four ports free."""
        global _running
        self._host = self._listen_somewhere()
        self._stopping.clear()
        with _running_lock:
            _running += 1
            point_sdk_at_emulators()
        self._spawn(self._accept)
        self._spawn(self._report)

    def stop(self) -> None:
        """Close everything; idempotent."""
        global _running
        if self._stopping.is_set() or not self._listeners:
            return
        self._stopping.set()
        self.faults.clear()
        self._connections.drop_clients()
        for thread in self._threads:
            thread.join(2.0)
        for listener in self._listeners.values():
            listener.close()
        self._connections.drop_reports()
        self._listeners.clear()
        self._threads.clear()
        with _running_lock:
            _running -= 1
            if _running == 0:
                point_sdk_at_emulators(False)

    def _listen_somewhere(self) -> str:
        """Listen on the given address or on the first free one; returns the address."""
        if self._host is not None:
            if (taken := self._listen(self._host)) is None:
                return self._host
            raise DeviceError(
                f"port {taken} is taken on {self._host}; stop the other emulator or give this one another 127.0.0.N"
            )
        for host in (f"127.0.0.{n}" for n in range(2, 251)):
            if (taken := self._listen(host)) is None:
                return host
        raise DeviceError(
            f"port {taken} is taken on every loopback address, as by a program that listens on 0.0.0.0 (the vendor's "
            f"image does so): end it, it is shown by  ss -ltnp 'sport = :{taken}'"
        )

    def _listen(self, host: str) -> int | None:
        """Listen on all four ports of ``host``, or on none; returns the port that is in use already, if any.

        Raises:
            DeviceError: a port cannot be opened for another reason.
        """
        opened: dict[int, socket.socket] = {}
        for port in (CONTROL_PORT, NORMAL_PORT, RICH_PORT, REAL_PORT):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened[port] = listener
            try:
                listener.bind((host, port))
                listener.listen(8)
            except OSError as error:
                for each in opened.values():
                    each.close()
                if error.errno == errno.EADDRINUSE:
                    return port
                raise DeviceError(f"the twin's controller cannot listen on {host}:{port}: {error.strerror}") from error
        self._listeners = opened
        return None

    def _spawn(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True, name=f"xarm-twin-{work.__name__}")
        self._threads = [each for each in self._threads if each.is_alive() or not each.ident]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            for port, listener in self._listeners.items():
                selector.register(listener, selectors.EVENT_READ, port)
            while not self._stopping.is_set():
                for key, _ in selector.select(0.1):
                    connection, _ = self._listeners[key.data].accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    if key.data == CONTROL_PORT:
                        connection.settimeout(None)
                        client = Client(connection)
                        self.clients.append(client)
                        self._spawn(self._serve, client)
                    elif self.faults.refuses_reports:
                        connection.close()
                    else:
                        self._connections.add_report(key.data, connection)

    def _serve(self, client: Client) -> None:
        reader = RequestReader()
        with contextlib.suppress(OSError):
            while data := client.connection.recv(4096):
                for request in reader.feed(data):
                    self._answer(client, request)
        client.close()
        if client in self.clients:
            self.clients.remove(client)

    def _answer(self, client: Client, request: Request) -> None:
        now = self._clock()
        self.log.append((now, request))
        client.commands_motion |= request.register in _MOVES
        if not self.faults.hold_reply(client):
            return
        if request.register == Register.SET_FEEDBACK_TYPE and request.payload:
            client.feedback_mask = request.payload[0]
        wants_feedback = bool(client.feedback_mask & _FEEDBACK_MOTION_FINISH) and (
            request.register in _MOVES or request.register == Register.FEEDBACK_CHECK
        )
        status, payload = answer(self.firmware, request)
        if wants_feedback and not status & Status.INVALID:
            client.asked.append((request.transaction, request.register))
        client.send(request.reply(status, payload))
        self._push_feedback()

    def _push_feedback(self) -> None:
        """Notify clients that asked for it that their tasks are done: all are, once the arm stands and none waits."""
        self.firmware.advance()
        if self.firmware.state == MOVING or self.firmware.queued:
            return
        for client in list(self.clients):
            asked, client.asked = client.asked, []
            for transaction, register in asked:
                time_us = int(self._clock() * 1e6)
                client.send(motion_feedback(transaction, _FEEDBACK_MOTION_FINISH, register, 0, 0, time_us))

    def _report(self) -> None:
        due = slow_due = time.monotonic()
        waiting: deque[tuple[float, Snapshot, list[int]]] = deque()
        while not self._stopping.is_set():
            due = max(due + _REAL_PERIOD_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            if self.faults.mutes_reports:
                continue
            self._push_feedback()
            slow = due >= slow_due  # by the clock, because a busy machine skips some of the quick reports
            if slow:
                slow_due = max(slow_due + _SLOW_PERIOD_S, due)
            wanted = [port for port in self._connections.report_ports() if slow or port == REAL_PORT]
            if not wanted:
                continue
            snapshot = self.faults.spoil(self.firmware.snapshot())
            waiting.append((time.monotonic() + self.faults.lateness_s(), snapshot, wanted))
            while waiting and waiting[0][0] <= time.monotonic():
                _, told, ports = waiting.popleft()
                for port in ports:
                    make = {REAL_PORT: real_report, NORMAL_PORT: normal_report, RICH_PORT: rich_report}[port]
                    self._connections.send_report(port, make(told))
