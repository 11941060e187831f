"""One run at a time on one controller, from this computer."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import IO

from datasets.common.errors import DeviceError


class ControllerLock:
    """A lock on a controller's address, which the kernel releases when this process ends, however it ends.

    It keeps out other runs of this user on this computer, but not other computers or the vendor's studio, which show
    only in the controller's mode and state. On Windows there is no lock.

    Args:
        host: the controller's IPv4 address.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._file: IO[str] | None = None

    @property
    def path(self) -> Path:
        """The file that is locked: in the temporary folder, named after the user and the address."""
        user = os.getuid() if sys.platform != "win32" else "user"
        return Path(tempfile.gettempdir()) / f"sim2real-reach-{user}" / f"xarm-{self._host}.lock"

    def acquire(self) -> None:
        """Take the lock, or keep it; raises DeviceError naming the process that holds it."""
        if self._file is not None or sys.platform == "win32":
            return
        import fcntl

        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            file = self.path.open("a+")
        except OSError as error:
            raise DeviceError(
                f"the lock on the controller at {self._host} cannot be opened ({error}); make {self.path} writable"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with file:
                file.seek(0)
                holder = file.read().strip()
            raise DeviceError(
                f"another run on this computer (process {holder or 'unknown'}) holds the controller at {self._host}; "
                "end it, then start again"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back; idempotent, never raises."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
