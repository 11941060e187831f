"""What every test shares: off-screen rendering, quiet libraries, the rig of the repository."""

import contextlib
import os
import shutil
import threading
import time
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from control.arms import fence as safety
from control.arms import site
from control.arms.fence import Fence
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer

settings.register_profile(
    "no chance decides", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no chance decides")


@pytest.fixture(scope="session")
def rig() -> Rig:
    """The repository's own rig."""
    return Rig.load()


@pytest.fixture(scope="module")
def photographer(rig: Rig) -> Iterator[Photographer]:
    """Takes pictures of scenes about the repository's own rig."""
    photographer = Photographer(rig)
    yield photographer
    photographer.close()


@pytest.fixture(scope="session", autouse=True)
def _reach_is_solved_once() -> Iterator[None]:
    """The inverse kinematics of one box and home are solved once: most of what constructing an arm takes."""
    boxes: dict[tuple[bytes, bytes, bytes], float] = {}
    solve = safety._reached  # a fence calls it by itself: nothing is passed that could be kept

    def reached(fence: Fence, rig: Rig) -> float:
        box = (fence.low_m.tobytes(), fence.high_m.tobytes(), np.asarray(rig.home_joints_rad).tobytes())
        if box not in boxes:
            boxes[box] = solve(fence, rig)
        return boxes[box]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(safety, "_reached", reached)
        yield


@pytest.fixture(autouse=True)
def _no_site_of_a_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site file that lies in the working folder is read by those tests alone that ask for ``site_file``."""
    monkeypatch.setattr(site, "SITE_PATH", Path("params/no_site.yaml"))


@pytest.fixture
def site_file(monkeypatch: pytest.MonkeyPatch, _no_site_of_a_developer: None) -> Path:
    """Where a site file is looked for in the working folder, as it is shipped."""
    path = Path("params/site.yaml")
    monkeypatch.setattr(site, "SITE_PATH", path)
    return path


WAKES_IN_S = 0.003
"""A thread that wakes waits about so long for a processor others use. One that waits for the interpreter's lock wakes
every 5 ms, so that without this a pause of our own code would count in part as the machine's."""


def waited_s() -> dict[str, float]:
    """How long each thread of this process waited for a processor beyond ``WAKES_IN_S`` each time, s, by the kernel."""
    waited = {}
    for thread in Path("/proc/self/task").glob("*"):
        with contextlib.suppress(OSError):  # of a thread that ends just now
            _, ready_ns, times = map(int, (thread / "schedstat").read_text().split())
            waited[thread.name] = ready_ns * 1e-9 - WAKES_IN_S * times
    return waited


@pytest.fixture
def held_up() -> Iterator[Callable[[], float]]:
    """Seconds for which the machine did not run this process: no deadline of ours can count those.

    A pause counts as far as the kernel had threads of ours wait for a processor in it, and as far as we did not use the
    processors ourselves; one that our own code makes, by holding the interpreter's lock, does not.
    """

    def looked() -> tuple[float, float, dict[str, float]]:
        return time.monotonic(), time.process_time() / len(os.sched_getaffinity(os.getpid())), waited_s()

    def reckon(lost_s: float, since: tuple[float, float, dict[str, float]]) -> tuple[float, tuple]:
        now = looked()
        most_s = max((ready_s - since[2].get(thread, 0.0) for thread, ready_s in now[2].items()), default=0.0)
        pause_s, used_s = now[0] - since[0], now[1] - since[1]
        return lost_s + max(0.0, min(pause_s - 0.025, pause_s - used_s, most_s)), now

    state, over = [(0.0, looked())], threading.Event()

    def pulse() -> None:
        while not over.wait(0.005):
            state[0] = reckon(*state[0])

    thread = threading.Thread(target=pulse)
    thread.start()
    yield lambda: reckon(*state[0])[0]  # with the gap that is not over yet: the reader may wake before the pulse
    over.set()
    thread.join()


@pytest.fixture
def patient_folder(tmp_path: Path) -> Path:
    """Parameters and models as shipped, with such patience that a machine busy with other work stops no run."""
    root = Path(__file__).parents[1]
    for part in ("params", "models"):
        shutil.copytree(root / part, tmp_path / part, ignore=shutil.ignore_patterns("site.yaml"))
    for file, shipped, patient in (
        ("camera", "warm_up_frames: 30", "warm_up_frames: 3"),
        ("arm", "slow_speed_m_s: 0.10", "slow_speed_m_s: 0.25"),
        ("arm", "command_deadline_s: 0.30", "command_deadline_s: 1.0"),
        ("arm", "report_deadline_s: 0.20", "report_deadline_s: 1.0"),
        ("runtime", "max_frame_age_s: 0.4", "max_frame_age_s: 2.0"),
        ("runtime", "repeats_held: 2", "repeats_held: 20"),
        ("runtime", "overruns_in_row: 3", "overruns_in_row: 1000"),
        ("runtime", "watchdog_s: 0.25", "watchdog_s: 1.0"),
    ):
        path = tmp_path / "params" / f"{file}.yaml"
        text = path.read_text()
        assert shipped in text
        path.write_text(text.replace(shipped, patient))
    return tmp_path
