"""Where shards are drawn: in this process, in worker processes of this machine, or on a Ray cluster."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

import loky
from loky.process_executor import BrokenProcessPool

from datasets.common.errors import ConfigError, DataError
from datasets.generation.labelled_frame import Drawer, DrawerFactory, draw_rows
from datasets.generation.splits import SplitPlan
from datasets.store.store import storage_errors
from datasets.store.writer import SplitWriter

BackendName = Literal["local", "ray"]


@dataclass(frozen=True)
class Job:
    """One shard to draw and write."""

    url: str
    plan: SplitPlan
    shard: int
    make_drawer: DrawerFactory


class Backend(AbstractContextManager["Backend"], Protocol):
    """Runs jobs and reports how many frames each one wrote, in whatever order they end."""

    def run(self, jobs: Sequence[Job]) -> Iterator[int]:
        """Yield the number of frames of each finished job.

        Raises:
            DataError: a worker died, or could not write. Finished jobs stay written.
        """
        ...


_drawer: tuple[SplitPlan, Drawer] | None = None
"""This process's drawer: making one (world, GL context) costs more than drawing a hundred frames."""


def do_job(job: Job) -> int:
    """Draw and write one shard; the number of its frames."""
    global _drawer
    with storage_errors(f"shard {job.shard} of {job.url}/{job.plan.name}"):
        if _drawer is None or _drawer[0] != job.plan:
            release_drawer()
            _drawer = (job.plan, job.make_drawer(job.plan))
        writer = SplitWriter(job.url, job.plan.name)
        rows = writer.rows(job.shard)
        writer.write(job.shard, draw_rows(_drawer[1], job.plan, rows))
        return len(rows)


def release_drawer() -> None:
    """Close this process's drawer, if it has one."""
    global _drawer
    if _drawer is not None:
        _drawer[1].close()
        _drawer = None


class ThisProcess:
    """Draws one shard after the other, here."""

    def __enter__(self) -> "ThisProcess":
        return self

    def __exit__(self, *_: object) -> None:
        release_drawer()

    def run(self, jobs: Sequence[Job]) -> Iterator[int]:
        """Yield the number of frames of each finished job."""
        for job in jobs:
            yield do_job(job)


class LocalProcesses:
    """Worker processes of this machine, one GL context each, started once and kept for all splits."""

    def __init__(self, workers: int) -> None:
        self._executor = loky.ProcessPoolExecutor(
            max_workers=workers, initializer=begin_worker, initargs=(os.getpid(),), env={"OMP_NUM_THREADS": "1"}
        )

        self._futures: list[Future[int]] = []

    def __enter__(self) -> "LocalProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        """Let each worker end the shard it is at, and start no other."""
        for future in self._futures:
            future.cancel()
        self._executor.shutdown(wait=True)

    def run(self, jobs: Sequence[Job]) -> Iterator[int]:
        """Yield the number of frames of each finished job, as they finish."""
        try:
            self._futures = [self._executor.submit(do_job, job) for job in jobs]
            for future in loky.as_completed(self._futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise DataError(_DEAD_WORKER) from error


_DEAD_WORKER = (
    "a worker process died (killed, or out of memory); what was finished is kept: run the same again to go on, "
    "with fewer --workers if memory is short"
)


def begin_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class RayCluster:
    """Tasks on a Ray cluster: an existing one at ``address``, or one started on this machine.

    The frames go where ``--out`` says, as every node sees it: a shared folder or an object store. The nodes need this
    project installed.

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
                _probe(address)
                ray.init(address=address, log_to_driver=False)
            else:
                ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"no Ray cluster at {address}: {error}; start one with: ray start --head") from error

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def run(self, jobs: Sequence[Job]) -> Iterator[int]:
        """Yield the number of frames of each finished job, as they finish."""
        ray = self._ray
        task: Callable = ray.remote(num_cpus=1, max_retries=0)(do_job).remote
        waiting = [task(job) for job in jobs]
        try:
            while waiting:
                done, waiting = ray.wait(waiting, num_returns=1)
                yield ray.get(done[0])
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
            raise DataError(_DEAD_WORKER) from error
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, DataError):
                raise error.cause from error
            raise


def _probe(address: str) -> None:
    """Raise OSError when nothing listens at ``host:port``: Ray itself would try for minutes, then end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def make_backend(name: BackendName, workers: int, address: str | None) -> Backend:
    """The backend a command line names.

    Raises:
        ConfigError: Ray is not installed or not there.
    """
    if name == "ray":
        return RayCluster(address, workers)
    return LocalProcesses(workers) if workers > 1 else ThisProcess()
