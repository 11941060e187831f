"""Tasks on several processes: each result once, errors of their own type, and no process left behind."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import pytest

from control.arms.xarm.wire.sdk import wait_until
from datasets.common import workers as module
from datasets.common.errors import ConfigError, DataError, SafetyStop
from datasets.common.workers import LocalProcesses, ThisProcess, Workers, add_worker_options, in_order, usable_cores

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test file


def square(number: int) -> int:
    time.sleep(0.01 * (number % 3))  # so that they do not end in order
    return number * number


class Counter:
    """Knows how many tasks this copy of it has seen; each process has one."""

    def __init__(self, closed: Path) -> None:
        self.seen, self.closed = 0, closed

    def __call__(self, task: int) -> tuple[int, int]:
        self.seen += 1
        return os.getpid(), self.seen

    def close(self) -> None:
        self.closed.write_text("closed")


def refuse(number: int) -> None:
    raise SafetyStop(f"task {number}")


def die(number: int) -> int:
    if number == 3:
        os._exit(1)
    time.sleep(0.05)  # a task is under way when the worker dies
    return number


def is_running(process: int) -> bool:
    return Path(f"/proc/{process}").is_dir()


@pytest.mark.parametrize("count", [1, 2])
def test_every_task_is_answered_once_with_its_index(count):
    with Workers(count).open() as pool:
        assert sorted(pool.run(square, range(7))) == [(number, number**2) for number in range(7)]
        assert list(in_order(pool.run(square, range(5)))) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_arrives_as_its_own_type(count):
    with Workers(count).open() as pool, pytest.raises(SafetyStop, match=r"^task 0$"):
        list(pool.run(refuse, [0]))


@pytest.mark.parametrize("count", [1, 2])
def test_a_process_keeps_the_function_until_another_comes(count, tmp_path):
    with Workers(count).open() as pool:
        answers = [answer for _, answer in pool.run(Counter(tmp_path / "closed"), range(8))]
        for process in {process for process, _ in answers}:
            seen = sorted(number for each, number in answers if each == process)
            assert seen == list(range(1, len(seen) + 1))
        assert not (tmp_path / "closed").exists()
        list(pool.run(square, range(8)))
        assert (tmp_path / "closed").exists()


def test_the_only_process_closes_what_it_kept_at_the_end(tmp_path):
    with ThisProcess() as pool:
        list(pool.run(Counter(tmp_path / "closed"), [0]))
    assert (tmp_path / "closed").exists()


def test_a_dead_worker_is_told_and_what_was_finished_was_handed_over():
    finished = []

    def collect(pool):
        for index, _ in pool.run(die, [0, 1, 2, 3, 4]):
            finished.append(index)

    with LocalProcesses(2) as pool, pytest.raises(DataError, match=r"worker process died.*fewer --workers"):
        collect(pool)
    assert set(finished) <= {0, 1, 2, 4}
    assert finished


@pytest.mark.parametrize("interruptible", [False, True])
def test_leaving_early_leaves_no_process_and_begins_no_other_task(interruptible, tmp_path):
    def note(number: int) -> int:
        time.sleep(0.2)  # tasks are under way when the pool is left
        (tmp_path / str(number)).touch()
        return os.getpid()

    with LocalProcesses(2, interruptible) as pool:
        _, process = next(pool.run(note, range(40)))
    assert not is_running(process)
    written = len(list(tmp_path.iterdir()))
    assert written < 12  # loky hands out a few in advance
    assert not wait_until(lambda: len(list(tmp_path.iterdir())) > written, 0.5)


INTERRUPTED = """
import sys, time
from datasets.common.cli import command_line
from datasets.common.workers import Workers
with command_line("it", None), Workers(2, sys.argv[1]).open(interruptible=sys.argv[2] == "True") as pool:
    for index, _ in pool.run(lambda task: time.sleep(0.3), range(40)):  # tasks are under way when Ctrl-C comes
        print(index, flush=True)
"""


def descendants(process: int) -> set[int]:
    """The processes that this one and its own have started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found, new = set(), {process}
    while new:
        found, new = found | new, {child for child, parent in parents.items() if parent in new}
    return found - {process}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "interruptible", "presses", "at_work"),
    [
        ("local", False, 1, True),
        ("local", False, 1, False),
        ("local", False, 2, True),
        ("local", True, 1, True),
        ("local", True, 1, False),
        ("ray", False, 1, True),
    ],
)
def test_ctrl_c_ends_quietly_and_leaves_no_process(backend, interruptible, presses, at_work):
    """Ctrl-C reaches the whole process group, as in a terminal; most tasks wait still, or the workers just start."""
    if backend == "ray":
        pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, backend, str(interruptible)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    if at_work:
        assert process.stdout.readline()
    while len(started := descendants(process.pid)) < 4:  # loky has two more than the workers
        assert process.poll() is None
    for _ in range(presses):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)  # less than a task takes
    _, errors = process.communicate(timeout=60)  # their end of the pipe closes when the last of them has gone
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "it: interrupted"
    assert "Traceback" not in errors
    wait_until(lambda: not any(map(is_running, started)), 20.0, 0.1)
    assert not [one for one in started if is_running(one)]


def test_ray_gives_the_same_and_errors_as_their_own_type(tmp_path):
    pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    with Workers(2, "ray").open() as pool:
        assert list(in_order(pool.run(square, range(7)))) == [number**2 for number in range(7)]
        with pytest.raises(SafetyStop, match="task 0"):
            list(pool.run(refuse, [0]))
        folders = {folder for _, folder in pool.run(lambda task: os.getcwd(), range(3))}
        assert folders == {os.getcwd()}
        with pytest.raises(DataError, match="worker process died"):
            list(pool.run(die, [3]))


def test_a_worker_that_ray_kills_for_memory_is_a_dead_worker(monkeypatch):
    ray = pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")

    def lost(task):
        raise ray.exceptions.OutOfMemoryError("task was killed due to the node running low on memory")

    with Workers(1, "ray").open() as pool:
        monkeypatch.setattr(ray, "get", lost)
        with pytest.raises(DataError, match="worker process died"):
            list(pool.run(square, [1]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--workers", "-2"], "--workers must be at least 1"),
        (["--address", "auto"], "--address names a Ray cluster: add --backend ray"),
    ],
)
def test_options_that_fit_nothing_are_refused(arguments, message):
    parser = argparse.ArgumentParser()
    add_worker_options(parser)
    with pytest.raises(ConfigError, match=message):
        Workers.of(parser.parse_args(arguments))


def test_the_number_is_the_command_line_s_then_the_file_s_then_the_cores():
    parser = argparse.ArgumentParser()
    add_worker_options(parser)
    assert Workers.of(parser.parse_args(["--workers", "3"]), 5).count == 3
    assert Workers.of(parser.parse_args([]), 5).count == 5
    assert Workers.of(parser.parse_args([])).count == usable_cores()


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("", 8), ("900000 100000", 8), (None, 8)],
)
def test_the_control_group_s_quota_limits_the_cores(monkeypatch, tmp_path, quota, cores):
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert cores_in(tmp_path, monkeypatch) == cores


def cores_in(folder, monkeypatch, own="0::/"):
    """The cores counted on a machine of eight whose control groups lie in ``folder``."""
    (folder / "own").write_text(f"1:cpu:/\n{own}\n")
    # Places that the system has once only, and that only root may change.
    monkeypatch.setattr(module, "_CGROUPS", folder)
    monkeypatch.setattr(module, "_OWN_CGROUP", folder / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    return usable_cores()


@pytest.mark.parametrize("where", ["user.slice", "user.slice/session", "user.slice/session/job"])
def test_the_quota_of_every_group_above_counts(monkeypatch, tmp_path, where):
    (tmp_path / where).mkdir(parents=True)
    (tmp_path / where / "cpu.max").write_text("300000 100000")
    (tmp_path / "cpu.max").write_text("max 100000")
    assert cores_in(tmp_path, monkeypatch, "0::/user.slice/session/job") == 3
    assert cores_in(tmp_path, monkeypatch, "0::/other.slice") == 8


@pytest.mark.parametrize(("quota", "cores"), [("250000", 3), ("-1", 8), ("broken", 8)])
def test_the_quota_of_the_first_version_of_control_groups_counts(monkeypatch, tmp_path, quota, cores):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert cores_in(tmp_path, monkeypatch) == cores


@pytest.mark.parametrize("when", ["made", "started"])
def test_without_shared_memory_there_are_no_workers_and_one_sentence_says_so(monkeypatch, when):
    def refuse(*given, **named):
        raise FileNotFoundError(2, "No such file or directory")

    target = (module.loky, "ProcessPoolExecutor") if when == "made" else (module.loky.ProcessPoolExecutor, "submit")
    monkeypatch.setattr(*target, refuse)
    with (
        pytest.raises(ConfigError, match=r"/dev/shm must be there and writable.*--workers 1"),
        Workers(2).open() as pool,
    ):
        list(pool.run(abs, [1]))


@pytest.mark.slow
def test_a_cluster_named_by_the_environment_is_not_joined_unasked(monkeypatch):
    pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with Workers(1, "ray").open() as pool:
        assert list(pool.run(abs, [-3])) == [(0, 3)]


def test_a_cluster_that_is_gone_is_told_with_the_variable_that_names_it(monkeypatch):
    pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"no Ray cluster at auto \(RAY_ADDRESS is 127\.0\.0\.1:1\): .*refused"):
        Workers(1, "ray", "auto").open()


def test_a_ray_that_does_not_start_here_is_not_called_a_cluster_at_none(monkeypatch):
    ray = pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")

    def refuse(**named):
        raise RuntimeError("no room")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ConfigError, match="Ray does not start on this machine: no room; try --backend local"):
        Workers(1, "ray").open()
