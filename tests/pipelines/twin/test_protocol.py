"""Requests are read from any stream of bytes, and feedback is laid out as the vendor's."""

import itertools
import struct

from hypothesis import given
from hypothesis import strategies as st

from pipelines.twin.controller.protocol import (
    HEARTBEAT,
    Request,
    RequestReader,
    motion_feedback,
)


def to_bytes(request: Request) -> bytes:
    """The request as it goes over the wire."""
    header = struct.pack(">HHH", request.transaction, request.protocol, 1 + len(request.payload))
    return header + bytes([request.register]) + request.payload


@given(
    requests=st.lists(
        st.builds(
            Request, st.integers(0, 65535), st.integers(1, 65535), st.integers(0, 255), st.binary(max_size=60)
        ).filter(lambda request: to_bytes(request) != HEARTBEAT),
        max_size=8,
    ),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_requests_survive_any_cut_of_the_stream(requests: list[Request], cuts: list[int]) -> None:
    stream = b"".join(to_bytes(request) + HEARTBEAT for request in requests)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = RequestReader()
    pieces = (stream[a:b] for a, b in itertools.pairwise(edges))
    assert [request for piece in pieces for request in reader.feed(piece)] == requests


def test_feedback_carries_the_transaction_that_queued_the_task() -> None:
    frame = motion_feedback(0x1234, 2, 0x15, 5, 0, 0x0102030405060708)
    assert frame == bytes.fromhex("1234 0003 000f ff 00 02 15 0005 00 0102030405060708")
