"""A process that heeds signals, for test_interrupt.py: WHAT it is in the middle of, and how it heeds them."""

import hashlib
import os
import signal
import sys
import threading
import time

from pipelines.runtime.interrupt import stop_on_signals


def main(what, nohup="", keep=""):
    if nohup:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopped, began = threading.Event(), time.monotonic()

    def stop():
        os.write(1, b"stopped\n")
        stopped.set()

    with stop_on_signals(stop, keep_nohup=bool(keep)) as interrupted:
        if what == "full":
            threading.Thread.start = None
        os.write(1, b"ready\n")
        if what == "stuck":  # in code that does not come back to the interpreter
            hashlib.pbkdf2_hmac("sha256", b"", b"", 12_000_000)
        while not interrupted.wait(0.0 if what == "busy" else 0.01) and time.monotonic() - began < 8:
            pass
        if interrupted.is_set():
            stopped.wait(1)
    os.write(1, f"ended: {interrupted if interrupted.is_set() else 'undisturbed'}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
