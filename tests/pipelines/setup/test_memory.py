"""A process whose threads hand pictures to one another keeps few heaps."""

import subprocess
import sys

import pytest

COUNT_HEAPS = """
import ctypes, sys, threading
from pipelines.setup.memory import limit_heaps

if sys.argv[1] == "limited" and not limit_heaps():
    sys.exit(77)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
all_there, over = threading.Barrier(9), threading.Event()

def hold():
    libc.malloc(10_000)
    all_there.wait()
    over.wait()

threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads:
    thread.start()
all_there.wait()
libc.open_memstream.restype = ctypes.c_void_p
text, size = ctypes.c_char_p(), ctypes.c_size_t()
stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))
libc.malloc_info(0, stream)
libc.fclose(stream)
print(text.value.count(b"<heap "))
over.set()
"""


def heaps(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", COUNT_HEAPS, how], capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("not glibc")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_threads_share_two_heaps():
    assert heaps("limited") <= 2 < heaps("as it comes")
