"""Assembles one run, in which devices, loop, operator and faults start and end in a fixed order."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from control.arms.absent import AbsentArm
from control.policies.policy import Policy
from pipelines.observers.console import step_line
from pipelines.observers.recorder import RunRecorder, require_recordable
from pipelines.observers.runlog import RunLog
from pipelines.observers.step_prompt import StepPrompt
from pipelines.runtime.goals import run_goals
from pipelines.runtime.hooks import Hooks, Observer
from pipelines.runtime.interrupt import Interruption, stop_on_signals
from pipelines.runtime.loop import LoopSettings, Runtime
from pipelines.runtime.monitor import Monitor
from pipelines.runtime.stepping import StepGate, preview_of
from pipelines.runtime.tick import GoalResult, Vector
from pipelines.setup.devices import DeviceNames, Devices, open_devices
from pipelines.setup.setup import Setup
from pipelines.twin.faults import OLD_FIRMWARE, OLD_FIRMWARE_VERSION, FaultSchedule, PlannedFault
from pipelines.twin.settings import TwinParams


@dataclass(frozen=True)
class RunOptions:
    """The options of a run.

    Attributes:
        step: ask for Enter before every command.
        faults: the faults to inject into the twin.
        record: folder of recordings, or None.
        live: show the run in Rerun; ``live_file``: write the view to a file instead of opening the viewer.
        quiet: print no line per step.
        keep_ticks: keep all ticks in the results, which takes 70 MB per hour.
    """

    step: bool = False
    faults: tuple[PlannedFault, ...] = ()
    record: Path | None = None
    live: bool = False
    live_file: str | None = None
    quiet: bool = False
    keep_ticks: bool = False


def run(
    setup: Setup,
    names: DeviceNames,
    goals: Sequence[Vector],
    twin_settings: TwinParams,
    options: RunOptions,
    observers: tuple[Observer, ...] = (),
    finished: Callable[[GoalResult], None] = lambda result: None,
) -> list[GoalResult]:
    """Open the devices, run the goals, close the devices.

    Raises:
        ConfigError: an output cannot be written; nothing was opened.
        DeviceError: a device cannot be opened.
        SafetyStop: the arm refused to start.
    """
    if options.record is not None:
        require_recordable(options.record)
    if options.live:
        from pipelines.observers.live import LiveView, require_live  # late, for a quick --help

        require_live(options.live_file)
    with ExitStack() as stack:
        firmware = OLD_FIRMWARE_VERSION if any(fault.name == OLD_FIRMWARE for fault in options.faults) else None
        devices = stack.enter_context(open_devices(names, setup, twin_settings, firmware))
        interrupted = stack.enter_context(stop_on_signals(devices.arm.stop, keep_nohup=names.has_no_real_arm))
        watching, hearing = list(observers), [finished]
        injected = _Injected()
        if options.record is not None:
            recorder = stack.enter_context(_recorder(options.record, setup, names, goals, devices, step=options.step))
            watching.append(recorder)
            hearing.append(recorder.finished)
            injected.log = recorder.log
        if options.live:
            seen = setup.calibration.pose, setup.true_intrinsics(devices.camera.intrinsics)
            view = LiveView(setup.fence, setup.clearance, *seen, devices.arm.joints_at, options.live_file)
            stack.callback(view.close)
            watching.append(view)
        stack.callback(devices.arm.stop)  # first: closing the others may take as long as a disk or a viewer does
        if devices.twin is not None and options.faults:
            schedule = stack.enter_context(FaultSchedule(devices.twin, options.faults, injected))
            watching.insert(0, lambda tick, frame: schedule.begin())
        if not options.quiet:
            watching.append(lambda tick, frame: print(step_line(tick, len(goals), names.shadow), flush=True))
        runtime = make_runtime(setup, devices, setup.policy, tuple(watching), interrupted, step=options.step)
        return run_goals(
            devices.arm,
            runtime,
            goals,
            home=not names.shadow,
            interrupted=interrupted,
            finished=lambda result: _tell_all(hearing, result),
            keep_ticks=options.keep_ticks,
        )


def _tell_all(hearing: Sequence[Callable[[GoalResult], None]], result: GoalResult) -> None:
    for hear in hearing:
        hear(result)


@dataclass
class _Injected:
    """Prints and logs faults as they are injected."""

    log: RunLog | None = None

    def __call__(self, name: str, time_s: float) -> None:
        print(f"twin: {name} happens now", flush=True)
        if self.log is not None:
            self.log.note("fault injected", time_s, name=name)


def _recorder(
    folder: Path, setup: Setup, names: DeviceNames, goals: Sequence[Vector], devices: Devices, *, step: bool = False
) -> RunRecorder:
    about = {
        "arm": names.arm,
        "camera": names.camera,
        "shadow": names.shadow,
        "step": step,
        "goals": [goal.tolist() for goal in goals],
        "settings": asdict(setup.settings),
        "arm_params": asdict(setup.arm),
        "max_speed_m_s": setup.rig.max_speed_m_s if setup.max_speed_m_s is None else setup.max_speed_m_s,
        "table_z_m": setup.calibration.table_z_m,
        **setup.calibration.depth,
    }
    intrinsics = setup.true_intrinsics(devices.camera.intrinsics)
    return RunRecorder(folder, setup.rig, devices.arm, about, setup.calibration.pose, intrinsics)


def make_runtime(
    setup: Setup,
    devices: Devices,
    policy: Policy,
    observers: tuple[Observer, ...] = (),
    interrupted: Interruption | None = None,
    *,
    step: bool = False,
) -> Runtime:
    """Create the control loop of a set-up on connected devices."""
    settings, rig, camera, arm = setup.settings, setup.rig, devices.camera, devices.arm
    limits = settings.limits
    has_encoders = not isinstance(arm, AbsentArm)
    interrupted = Interruption() if interrupted is None else interrupted
    gate = StepGate(
        ask=StepPrompt(interrupted, arm.why_stopped),
        preview=preview_of(arm, setup.fence),
        max_frame_age_s=np.inf if arm.is_passive else limits.max_frame_age_s,
    )
    return Runtime(
        camera,
        setup.bound_estimator(camera.intrinsics),
        policy,
        arm,
        Monitor(limits, setup.fence.low_m, setup.fence.high_m, rig.max_speed_m_s, has_encoders),
        LoopSettings(
            rate_hz=rig.rate_hz,
            horizon=settings.horizon_steps,
            settle_s=settings.settle_s,
            max_frame_age_s=limits.max_frame_age_s,
            watchdog_s=settings.watchdog_s,
        ),
        Hooks(observers, gate if step else None, interrupted),
    )
