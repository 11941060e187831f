"""Examines cores, memory, disk, clocks, and how punctually processes are woken here. It only reads."""

import ctypes
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipelines.doctor.finding import Finding, State

LEAST_CORES = 2
LEAST_MEMORY_B, LEAST_DISK_B = 1 << 30, 1 << 30
_CPU = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_CGROUP_MEMORY = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNSYNCHRONIZED = 5
_FIRST_YEAR = 2026
_SLEEPS, _SLEEP_S, _LATE_S = 50, 0.01, 0.02
_LEAST_FILES = 256
_POLICIES = ("SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE", "SCHED_FIFO", "SCHED_RR")


def parts() -> dict[str, Callable[[], Finding]]:
    """The checks of the machine's parts, by name."""
    return {
        "cores": _cores,
        "memory": _memory,
        "disk": lambda: _disk("disk", Path.cwd()),
        "temporary files": lambda: _disk("temporary files", Path(tempfile.gettempdir())),
        "shared memory": _shared_memory,
        "clock": _clock,
        "punctuality": _punctuality,
        "scheduling": _real_time,
    }


def _cores() -> Finding:
    from datasets.common.workers import usable_cores

    cores, all_cores = usable_cores(), os.cpu_count() or 1
    load = f"load {os.getloadavg()[0]:.1f}"
    found = f"{cores} usable of {all_cores} (affinity and quota count), {load}"
    if cores >= LEAST_CORES:
        return Finding("cores", State.OK, found)
    remedy = "give it two or more (taskset, the container's --cpus): camera, controller and loop run side by side"
    return Finding("cores", State.FAULT, found, remedy)


def _memory() -> Finding:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available, total = (int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    limits = [int(text) for path in _CGROUP_MEMORY if path.is_file() and (text := path.read_text().strip()).isdigit()]
    if limits and min(limits) < total:
        total, available = min(limits), min(available, *limits)
    found = f"{_gb(available)} available of {_gb(total)}"
    enough = available >= LEAST_MEMORY_B
    remedy = "" if enough else "end other programs: a run on the twin needs 1 GB"
    return Finding("memory", State.OK if enough else State.FAULT, found, remedy)


def _disk(name: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    found = f"{_gb(free)} free"
    if not os.access(folder, os.W_OK):
        remedy = "run from a folder of yours, or set TMPDIR to one"
        return Finding(name, State.FAULT, f"{found}, not writable", remedy)
    if free >= LEAST_DISK_B:
        return Finding(name, State.OK, found)
    return Finding(name, State.FAULT, found, "free 1 GB or more: recordings and frames are kept there")


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        remedy = "mount /dev/shm writable (in a container: --shm-size 1g): processes share it"
        return Finding("shared memory", State.FAULT, "/dev/shm is missing or not writable", remedy)
    return Finding("shared memory", State.OK, f"{_gb(shutil.disk_usage(folder).free)} free")


def _clock() -> Finding:
    source = _CLOCK.read_text().strip() if _CLOCK.is_file() else "unknown source"
    year = time.gmtime().tm_year
    if year < _FIRST_YEAR:
        return Finding("clock", State.FAULT, f"the year is {year}, {source}", "set the clock: timedatectl set-ntp true")
    # adjtimex(2) with no mode set only reads; its structure takes 208 bytes.
    synchronized = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) != _UNSYNCHRONIZED
    if synchronized:
        return Finding("clock", State.OK, f"synchronized, {source}")
    remedy = "timedatectl set-ntp true, if recordings of several machines are to be compared; a run needs no wall clock"
    return Finding("clock", State.NOTE, f"not synchronized, {source}", remedy)


def _punctuality() -> Finding:
    late = []
    for _ in range(_SLEEPS):
        began = time.monotonic()
        time.sleep(_SLEEP_S)
        late.append(time.monotonic() - began - _SLEEP_S)
    found = f"wakes {statistics.median(late) * 1e3:.1f} ms late, {max(late) * 1e3:.1f} ms at most of {_SLEEPS} times"
    if max(late) <= _LATE_S:
        return Finding("punctuality", State.OK, found)
    return Finding("punctuality", State.NOTE, found, "end other programs; a run stops where ticks are late")


def _real_time() -> Finding:
    policies = {getattr(os, name): name for name in _POLICIES}
    policy = policies.get(os.sched_getscheduler(0), "another policy")
    priority, files = (_limit(kind) for kind in (resource.RLIMIT_RTPRIO, resource.RLIMIT_NOFILE))
    realtime = Path("/sys/kernel/realtime")
    kernel = "real-time kernel" if realtime.is_file() and realtime.read_text().strip() == "1" else "ordinary kernel"
    governor = _CPU.read_text().strip() if _CPU.is_file() else "unknown"
    found = (
        f"{policy}, nice {os.nice(0)}, real-time priority up to {priority}, {files} open files, {kernel}, "
        f"CPU governor {governor}"
    )
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        return Finding("scheduling", State.FAULT, found, f"ulimit -n {_LEAST_FILES * 4}")
    if os.nice(0) > 0 or policy in ("SCHED_BATCH", "SCHED_IDLE"):
        return Finding("scheduling", State.NOTE, found, "start a run without nice")
    if governor == "powersave":
        return Finding("scheduling", State.NOTE, found, "cpupower frequency-set -g performance, if ticks are late")
    return Finding("scheduling", State.OK, found)


def _limit(kind: int) -> str:
    soft = resource.getrlimit(kind)[0]
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
