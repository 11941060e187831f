"""Of commands that wait the newest is sent, and none that was given up."""

import threading

import pytest

from control.arms.xarm.wire.sdk import wait_until
from control.arms.xarm.wire.sender import CommandSender

pytestmark = pytest.mark.realtime


def test_a_command_overtaken_before_it_left_is_dropped_and_the_newest_is_sent() -> None:
    sent, gate = [], threading.Event()

    def send(command: int) -> int:
        sent.append(command)
        gate.wait(2)
        return 0

    sender = CommandSender(send, refused=lambda code: None)
    sender.post(1, wait_s=0.05)
    assert wait_until(lambda: sender.unanswered == 1, 1.0)
    for command in (2, 3, 4):
        sender.post(command, wait_s=0.0)
    gate.set()
    sender.post(5, wait_s=1.0)
    sender.close()
    assert sent[0] == 1
    assert sent[-1] == 5
    assert 2 not in sent
    assert 3 not in sent
    assert sender.unanswered == 0


def test_a_refused_command_is_told_and_a_dropped_one_never_leaves() -> None:
    codes: list[int] = []
    sender = CommandSender(lambda command: command, refused=codes.append)
    sender.post(9, wait_s=1.0)
    sender.drop()
    sender.close()
    sender.close()
    assert codes == [9]
