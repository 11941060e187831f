"""What the tests of deadlines take off the clock is the machine's doing, never our own."""

import ctypes
import hashlib
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.realtime
BUSY = "import time; until = time.monotonic() + 5\nwhile time.monotonic() < until: pass"


@contextmanager
def one_processor(shared_with):
    """Only one processor for the threads that begin inside and for as many other programs that never rest."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(shared_with)]
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)
        for other in others:
            other.kill()
            other.wait()


@pytest.mark.parametrize("others", [0, 3])
def test_a_stop_that_holds_the_interpreter_misses_its_deadline(held_up, others):
    deadline_s, stop = 0.5, ctypes.PyDLL(None).usleep  # keeps the interpreter's lock, as a careless library would
    with one_processor(shared_with=others):
        time.sleep(0.5)  # the pulse goes its way
        began, before = time.monotonic(), held_up()
        stop(1_000_000)
        came_after_s = time.monotonic() - began - (held_up() - before)
    assert came_after_s > deadline_s


def test_a_processor_that_our_own_threads_take_is_our_own_doing(held_up):
    def work():
        while not over.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 20_000)  # lets go of the interpreter's lock

    over, threads = threading.Event(), [threading.Thread(target=work) for _ in range(12)]
    with one_processor(shared_with=0):
        began_s, used_s, before = time.monotonic(), time.process_time(), held_up()
        for thread in threads:
            thread.start()
        time.sleep(1.0)  # for which the processor is taken
        taken_off_s = held_up() - before
        used_by_others_s = time.monotonic() - began_s - (time.process_time() - used_s)
        over.set()
        for thread in threads:
            thread.join()
    assert taken_off_s <= max(0.0, used_by_others_s) + 0.05


def test_a_processor_that_others_take_is_the_machines_doing(held_up):
    with one_processor(shared_with=12):
        before = held_up()
        began, until = time.process_time(), time.monotonic() + 2.0
        while time.monotonic() < until:
            used_s = time.process_time() - began
        assert used_s < 1.0
        assert held_up() - before > 0.05
