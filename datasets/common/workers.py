"""Runs many tasks in several processes, of this machine or of a Ray cluster, and handles all their failures."""

import argparse
import contextlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import cloudpickle
import loky
from loky.process_executor import BrokenProcessPool

from datasets.common.errors import ConfigError, DataError

BackendName = Literal["local", "ray"]
Result = TypeVar("Result")

_CGROUPS, _OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_DEAD_WORKER = (
    "a worker process died (killed, or out of memory); what was finished is kept: run the same again to go on, "
    "with fewer --workers if memory is short"
)

_LOST_ON_RAY = ("WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "LocalRayletDiedError", "ObjectLostError")
"""Ray's errors for a worker that died, one that it killed when memory ran out, and a node lost with its results."""


def usable_cores() -> int:
    """The cores that this process may use: its affinity, and the quotas of its control group and those above it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for files in _quota_files():
        try:
            quota, period = (int(word) for file in files for word in file.read_text().split())
        except (OSError, ValueError):  # no control group, or one without a quota ("max")
            continue
        if quota > 0:  # -1: none, in version 1
            cores = min(cores, math.ceil(quota / period))
    return max(1, cores)


def _quota_files() -> Iterator[Sequence[Path]]:
    """The files that hold quota and period, of both versions of control groups."""
    yield [_CGROUPS / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period")]
    try:
        own = next(line[3:] for line in _OWN_CGROUP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        own = "/"
    parts = [part for part in own.split("/") if part not in ("", "..")]  # ".." above what a container shows
    yield from ([_CGROUPS.joinpath(*parts[:end], "cpu.max")] for end in range(len(parts) + 1))


class Pool(AbstractContextManager["Pool"], Protocol):
    """A pool of processes that run tasks; leaving ``with`` closes it and ends all of them."""

    def run(self, function: Callable[[Any], Result], tasks: Sequence[Any]) -> Iterator[tuple[int, Result]]:
        """Yield the index and the result of each task, in the order in which they end.

        ``function`` is handed to each process once and kept there while it stays the same, so what it keeps in itself
        lasts from task to task. Where it has a method ``close``, that is called before another takes its place.
        It must be picklable where there are several processes.

        Raises:
            DataError: a worker died. What a task raises is raised here, as the very same type.
        """
        ...


class ThisProcess:
    """A pool that runs one task after the other in this process."""

    _function: Callable[[Any], Any] | None = None

    def __enter__(self) -> "ThisProcess":
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._function)
        self._function = None

    def run(self, function: Callable[[Any], Result], tasks: Sequence[Any]) -> Iterator[tuple[int, Result]]:
        """Yield the index and the result of each task, in order."""
        if function is not self._function:
            _close(self._function)
            self._function = function
        for index, task in enumerate(tasks):
            yield index, function(task)


class LocalProcesses:
    """A pool of worker processes of this machine with one thread each, started once and kept for all tasks.

    Ctrl-C reaches this process alone. No further task is begun, and the tasks under way are finished; they are ended
    instead if ``interruptible`` is set or Ctrl-C is pressed again. If this process dies, its workers end by themselves.

    Args:
        workers: number of processes.
        interruptible: leaving early ends the tasks under way. For tasks that last minutes and write all or nothing.

    Raises:
        ConfigError: the computer cannot start processes or shared semaphores.
    """

    def __init__(self, workers: int, interruptible: bool = False) -> None:
        with _start_errors():
            self._executor = loky.ProcessPoolExecutor(
                max_workers=workers, initializer=_begin_worker, initargs=(os.getpid(),), env={"OMP_NUM_THREADS": "1"}
            )
        self._interruptible = interruptible
        self._futures: dict[Any, int] = {}

    def __enter__(self) -> "LocalProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        workers = list(self._executor._processes.values())
        kill = self._interruptible and not all(future.done() for future in self._futures)
        with _at_ctrl_c(lambda: [worker.terminate() for worker in workers]):
            # When its workers are killed, loky itself drops the waiting tasks, and fails on cancelled ones.
            for future in () if kill else self._futures:
                future.cancel()
            self._executor.shutdown(wait=True, kill_workers=kill)

    def run(self, function: Callable[[Any], Result], tasks: Sequence[Any]) -> Iterator[tuple[int, Result]]:
        """Yield the index and the result of each task, as they finish."""
        pickled = cloudpickle.dumps(function)
        try:
            with _ctrl_c_held_back(), _start_errors():  # the workers start here
                self._futures = {self._executor.submit(_call, pickled, task): i for i, task in enumerate(tasks)}
            for future in loky.as_completed(self._futures):
                yield self._futures[future], future.result()
        except BrokenProcessPool as error:
            raise DataError(_DEAD_WORKER) from error


class RayCluster:
    """Tasks on a Ray cluster: an existing one at ``address``, or one of ``workers`` started on this machine.

    All that a task reads or writes must be where every node sees it, and the nodes need this project installed. Tasks
    run in the same folder as this process, on the nodes that have it.

    Raises:
        ConfigError: Ray is not installed, or nothing answers at ``address``.
    """

    def __init__(self, address: str | None, workers: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise ConfigError("--backend ray needs Ray: install the project with its extra 'ray'") from error
        self._ray = ray
        try:
            if address:
                _probe(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
                ray.init(address=address, log_to_driver=False)
            else:  # the cluster that RAY_ADDRESS names
                ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
        except (OSError, ValueError, RuntimeError) as error:
            if address is None:
                raise ConfigError(f"Ray does not start on this machine: {error}; try --backend local") from error
            known = f" (RAY_ADDRESS is {os.environ['RAY_ADDRESS']})" if "RAY_ADDRESS" in os.environ else ""
            raise ConfigError(
                f"no Ray cluster at {address}{known}: {error}; start one with: ray start --head"
            ) from error

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()  # ends this driver's tasks, too; cancelled one by one, Ray itself sometimes aborts

    def run(self, function: Callable[[Any], Result], tasks: Sequence[Any]) -> Iterator[tuple[int, Result]]:
        """Yield the index and the result of each task, as they finish."""
        ray = self._ray
        pickled = ray.put(cloudpickle.dumps(function))
        begin: Callable[..., Any] = ray.remote(num_cpus=1, max_retries=0)(_call).remote
        waiting = {begin(pickled, task, os.getcwd()): index for index, task in enumerate(tasks)}
        try:
            while waiting:
                (done,), _ = ray.wait(list(waiting), num_returns=1)
                yield waiting.pop(done), ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except tuple(getattr(ray.exceptions, name) for name in _LOST_ON_RAY) as error:
            raise DataError(_DEAD_WORKER) from error


@dataclass(frozen=True)
class Workers:
    """The number of worker processes and where they run.

    Attributes:
        count: processes; of an existing cluster at ``address``, as many as it has.
        backend: this machine, or Ray.
        address: of a Ray cluster, ``host:port`` or ``auto``; None: one is started on this machine.
    """

    count: int = field(default_factory=usable_cores)
    backend: BackendName = "local"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"--workers must be at least 1, got {self.count}")
        if self.address and self.backend != "ray":
            raise ConfigError("--address names a Ray cluster: add --backend ray")

    @classmethod
    def of(cls, options: argparse.Namespace, otherwise: int | None = None) -> "Workers":
        """The workers of a command line; by default ``otherwise`` processes (None: one per core).

        Raises:
            ConfigError: the number is below one, or an address is given without Ray.
        """
        count = options.workers if options.workers is not None else otherwise
        return cls(usable_cores() if count is None else count, options.backend, options.address)

    def open(self, interruptible: bool = False) -> Pool:
        """Start the processes (``interruptible``: see :class:`LocalProcesses`); raises ConfigError without Ray."""
        if self.backend == "ray":
            return RayCluster(self.address, self.count)
        return LocalProcesses(self.count, interruptible) if self.count > 1 else ThisProcess()


def add_worker_options(parser: argparse.ArgumentParser, otherwise: str | None = None) -> None:
    """Add ``--workers``, ``--backend`` and ``--address``; ``otherwise`` describes the default of the first."""
    otherwise = otherwise or f"one per core, here {usable_cores()}"
    parser.add_argument("--workers", type=int, metavar="N", help=f"processes (default: {otherwise})")
    parser.add_argument(
        "--backend", choices=["local", "ray"], default="local", help="where the workers run (default: %(default)s)"
    )
    parser.add_argument("--address", help="of the Ray cluster (default: one is started on this machine)")


def in_order(results: Iterator[tuple[int, Result]]) -> Iterator[Result]:
    """The results of :meth:`Pool.run` in the order of their tasks, each as soon as those before it are there."""
    early: dict[int, Result] = {}
    due = 0
    for index, result in results:
        early[index] = result
        while due in early:
            yield early.pop(due)
            due += 1


@contextlib.contextmanager
def _start_errors() -> Iterator[None]:
    """Turn operating system errors at the start of workers, such as a full /dev/shm, into a ConfigError."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"worker processes cannot be started here ({error}): /dev/shm must be there and writable, and room for "
            "processes and files left; or do without them by --workers 1"
        ) from error


_kept: tuple[bytes, Callable[[Any], Any]] | None = None
"""The pickled and the unpickled function that this worker process runs at present."""


def _call(pickled: bytes, task: Any, folder: str | None = None) -> Any:
    """Run one task in a worker process, in ``folder`` if it exists."""
    global _kept
    if folder is not None and os.path.isdir(folder):
        os.chdir(folder)
    if _kept is None or _kept[0] != pickled:
        if _kept is not None:
            _close(_kept[1])
        _kept = pickled, cloudpickle.loads(pickled)
    return _kept[1](task)


def _close(function: Callable[[Any], Any] | None) -> None:
    if (close := getattr(function, "close", None)) is not None:
        close()


@contextlib.contextmanager
def _at_ctrl_c(act: Callable[[], object]) -> Iterator[None]:
    """Call ``act`` at Ctrl-C and raise KeyboardInterrupt only at the end: loky would hang if it were interrupted."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread is interrupted
        yield
        return
    pressed = threading.Event()

    def press(*_: object) -> None:
        pressed.set()
        act()

    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Defer Ctrl-C until the end, and block it from the start in processes that are started meanwhile."""
    resource_tracker.ensure_running()  # started first, since its start would unblock Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(parent: int) -> None:
    """Make a worker ignore Ctrl-C and end with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _probe(address: str) -> None:
    """Raise OSError when nothing listens at ``host:port``: Ray itself would try for minutes, then end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
