"""Reports reach whoever listens on their port, and one that is gone or does not read holds up nobody."""

import socket
from collections.abc import Iterator

import pytest

from pipelines.twin.controller.connections import Client, Connections
from pipelines.twin.controller.reports import NORMAL_PORT, REAL_PORT, RICH_PORT

PORTS = (NORMAL_PORT, RICH_PORT, REAL_PORT)


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connected sockets: the controller's end and its peer's."""
    made = [socket.socketpair() for _ in range(3)]
    for _, peer in made:
        peer.settimeout(5.0)
    yield made
    for pair in made:
        for end in pair:
            end.close()


def test_a_report_goes_to_all_of_its_port_and_to_no_other(pairs) -> None:
    connections = Connections()
    assert connections.report_ports() == []
    for port, (end, _) in zip((REAL_PORT, REAL_PORT, RICH_PORT), pairs, strict=True):
        connections.add_report(port, end)
    assert set(connections.report_ports()) == {REAL_PORT, RICH_PORT}
    connections.send_report(REAL_PORT, b"real")
    connections.send_report(RICH_PORT, b"rich")
    assert [peer.recv(100) for _, peer in pairs] == [b"real", b"real", b"rich"]


@pytest.mark.parametrize("port", PORTS)
def test_a_listener_that_is_gone_is_dropped_and_the_others_hear_on(pairs, port: int) -> None:
    connections = Connections()
    for end, _ in pairs[:2]:
        connections.add_report(port, end)
    pairs[0][1].close()
    for _ in range(3):
        connections.send_report(port, b"x")
    assert pairs[1][1].recv(100).startswith(b"x")
    assert pairs[0][0].fileno() == -1
    pairs[1][1].close()
    for _ in range(3):
        connections.send_report(port, b"x")
    assert connections.report_ports() == []


def test_a_listener_that_does_not_read_is_dropped_rather_than_waited_for(pairs) -> None:
    connections = Connections()
    connections.add_report(RICH_PORT, pairs[0][0])
    for _ in range(10_000):
        connections.send_report(RICH_PORT, bytes(100_000))
        if not connections.report_ports():
            break
    assert connections.report_ports() == []


def test_reports_dropped_are_seen_as_ended_by_every_listener(pairs) -> None:
    connections = Connections()
    for port, (end, _) in zip(PORTS, pairs, strict=True):
        connections.add_report(port, end)
    connections.drop_reports()
    assert [peer.recv(100) for _, peer in pairs] == [b""] * 3
    assert connections.report_ports() == []


@pytest.mark.parametrize("motion_only", [False, True])
def test_those_that_command_motion_can_be_dropped_alone(pairs, motion_only: bool) -> None:
    connections = Connections()
    connections.clients += [Client(end) for end, _ in pairs[:2]]
    connections.clients[0].commands_motion = True
    connections.drop_clients(motion_only)
    assert pairs[0][1].recv(100) == b""
    connections.clients[1].send(b"still here")
    assert pairs[1][1].recv(100) == (b"still here" if motion_only else b"")


def test_a_client_that_is_gone_is_written_to_and_closed_without_complaint(pairs) -> None:
    client = Client(pairs[0][0])
    pairs[0][1].close()
    client.send(b"anybody there?")
    for _ in range(2):
        client.close()
    client.send(b"nor here")
