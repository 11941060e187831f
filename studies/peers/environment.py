"""The peers' environment, and the process in it that runs their side of each row."""

import json
import subprocess
import sysconfig
import venv
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from datasets.common.errors import DataError

ENVIRONMENT = Path("runs/peers/environment")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
WORKER = Path(__file__).with_name("worker.py")


def make_environment(folder: Path) -> Path:
    """Makes a virtual environment with :data:`REQUIREMENTS` on top of this one's packages; returns its interpreter.

    The packages that the peers share with the project (torch, Stable-Baselines3, gymnasium, numpy) are the project's
    own, so that both sides compute with the same libraries. In the new environment the pinned packages take precedence;
    nothing is installed into the project's environment.

    Raises:
        DataError: the packages cannot be installed.
    """
    python = folder / "bin" / "python"
    installed = folder / REQUIREMENTS.name
    if installed.is_file() and installed.read_bytes() == REQUIREMENTS.read_bytes():
        return python
    venv.create(folder, with_pip=True, clear=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
    line = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", REQUIREMENTS]
    if subprocess.run(line).returncode:
        raise DataError(f"{folder}: the peers' packages cannot be installed; is there a network? see {REQUIREMENTS}")
    installed.write_bytes(REQUIREMENTS.read_bytes())
    return python


class Peers:
    """The peers' process: :meth:`ask` calls a function of ``worker.py`` there and waits for its result."""

    def __init__(self, folder: Path = ENVIRONMENT) -> None:
        line = [make_environment(folder), WORKER]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, function: str, **arguments: Any) -> Any:
        """Returns the result of ``function``.

        Raises:
            DataError: the function failed in the peers' process, whose output stands above the message.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([function, arguments]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            raise DataError(f"the peers' side of {function} ended with exit code {code}; what it printed stands above")
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
