"""What the tests of deadlines take off the clock is the machine's doing, never our own."""

import ctypes
import os
import subprocess
import sys
import time

import pytest

BUSY = "import time; until = time.monotonic() + 3\nwhile time.monotonic() < until: pass"


@pytest.mark.realtime
def test_a_pause_of_our_own_code_counts_in_full(held_up):
    with_lock = ctypes.PyDLL(None)  # holds the interpreter's lock, as a library might that does not let go of it
    time.sleep(0.1)
    began, before = time.monotonic(), held_up()
    with_lock.usleep(1_000_000)
    taken_off_s = held_up() - before
    assert time.monotonic() - began >= 1.0
    assert taken_off_s < 0.3


@pytest.mark.realtime
def test_a_processor_that_others_take_is_the_machines_doing(held_up):
    processors = os.sched_getaffinity(0)
    one = min(processors)
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(12)]
    try:
        for other in others:
            os.sched_setaffinity(other.pid, {one})
        os.sched_setaffinity(0, {one})
        before = held_up()
        began = used = time.process_time()
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            used = time.process_time() - began
        assert used < 1.0
        assert held_up() - before > 0.05
    finally:
        os.sched_setaffinity(0, processors)
        for other in others:
            other.kill()
            other.wait()
