"""The connections of the emulated controller: clients that command it, and sockets that receive its reports."""

import contextlib
import socket
import threading

from pipelines.twin.controller.reports import NORMAL_PORT, REAL_PORT, RICH_PORT

_REPORT_TIMEOUT_S = 0.05


class Client:
    """One control connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.feedback_mask = 0
        self.commands_motion = False
        self.asked: list[tuple[int, int]] = []
        """Transactions and registers of the tasks for which the client asked to be notified of the end."""
        self._lock = threading.Lock()

    def send(self, data: bytes) -> None:
        """Send the data and ignore a failure: the reader of the connection notices a client that is gone."""
        with self._lock, contextlib.suppress(OSError):
            self.connection.sendall(data)

    def close(self) -> None:
        """Close the connection; the client sees the same as with a broken cable; idempotent."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


class Connections:
    """All connections of one controller; safe to use from several threads.

    Attributes:
        clients: the control connections.
    """

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self._reports: dict[int, list[socket.socket]] = {NORMAL_PORT: [], RICH_PORT: [], REAL_PORT: []}
        self._lock = threading.Lock()

    def add_report(self, port: int, connection: socket.socket) -> None:
        """Send the reports of ``port`` to ``connection`` too."""
        connection.settimeout(_REPORT_TIMEOUT_S)
        with self._lock:
            self._reports[port].append(connection)

    def report_ports(self) -> list[int]:
        """The report ports that have at least one connection."""
        with self._lock:
            return [port for port, connections in self._reports.items() if connections]

    def send_report(self, port: int, report: bytes) -> None:
        """Send a report to all connections of its port; those that do not take it are closed."""
        with self._lock:
            for connection in list(self._reports[port]):
                try:
                    connection.sendall(report)
                except OSError:
                    connection.close()
                    self._reports[port].remove(connection)

    def drop_clients(self, motion_only: bool = False) -> None:
        """Close the control connections: all, or only those that have commanded motion."""
        for client in list(self.clients):
            if client.commands_motion or not motion_only:
                client.close()

    def drop_reports(self) -> None:
        """Close every report stream."""
        with self._lock:
            for connections in self._reports.values():
                for connection in connections:
                    connection.close()
                connections.clear()
