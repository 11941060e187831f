"""Photograph the arm at rest in many postures, for the calibration of the camera: the arm is the measuring body.

The arm turns slowly from one posture to the next, waits until its encoders stand still, and is photographed a few
times. On the whole way the TCP stays inside the fence, the tool points down to within 17 deg and the whole arm stays
clear of the site's boxes; the elbow swings to either side, so that the camera sees every link from several sides.
Neither a camera pose nor an initial guess of one is needed.

  python -m pipelines.capture --out captures                          the twin, 20 postures, 90 s
  python -m pipelines.capture --out captures --arm 192.168.1.203 --camera realsense --step
  python -m pipelines.capture --out captures --hidden 7 --truth truth.json    a twin with unknown values

Each frame is on the disk within a second. Ctrl-C stops the arm and keeps all frames taken; the same command continues
with the remaining postures. DIR.png, beside the folder, shows which postures were taken. The folder holds images of
your room and the arm's joints, but no serial number. Exit codes: 0 all taken, 2 refused or a fault (what was taken is
kept), 130 stopped by the operator.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from control.arms.joint_band import BAND_MARGIN_RAD, JointBand, needed_band
from control.arms.xarm.driver import XArm
from datasets.common.cli import CommandParser, command_line, require_writable, require_writable_folder, seed
from datasets.common.errors import ConfigError, SafetyStop, Sim2RealError
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from perception.calibration.captures import Setting
from perception.calibration.registration.posture import apart
from perception.calibration.registration.register import LEAST_APART_M, LEAST_POSTURES
from pipelines.capture.postures import choose_postures
from pipelines.capture.session import CaptureFolder, Tour, describe_camera, look_at_rest
from pipelines.observers.output import unhurried_output
from pipelines.observers.step_prompt import StepPrompt
from pipelines.run_real import add_consents, ask_operator, names_of_moved_arm, unconfirmed_stops_told_last
from pipelines.runtime.interrupt import Interruption, stop_on_signals
from pipelines.runtime.stops import Stop, StopReason
from pipelines.runtime.tick import Vector
from pipelines.setup.devices import DeviceNames, Devices, open_devices
from pipelines.setup.hidden import add_hidden_options, check_hidden, hidden_truth
from pipelines.setup.moved import add_files, load_setup
from pipelines.setup.setup import Setup

PROG = "pipelines.capture"


def parser() -> CommandParser:
    """Create the parser of the command line's options."""
    options = CommandParser(
        prog=f"python -m {PROG}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the captures, new or begun")
    options.add_argument("--postures", type=int, default=20, metavar="N", help="how many (default 20; 10 are enough)")
    options.add_argument("--frames", type=int, default=3, metavar="N", help="of each posture (default 3)")
    options.add_argument("--seed", type=seed, default=0, help="of the postures (default 0)")
    options.add_argument("--step", action="store_true", help="ask before every motion")
    options.add_argument("--plan", action="store_true", help="only choose the postures and draw them; nothing moves")
    devices = options.add_argument_group("devices (default: the twin)")
    devices.add_argument("--arm", metavar="IP|twin", help="the controller's address")
    devices.add_argument("--camera", metavar="realsense[:SERIAL]|twin")
    devices.add_argument("--max-speed", type=float, metavar="M/S", help="lower the rig's speed limit")
    add_consents(devices)
    devices.add_argument("--yes", action="store_true", help="a real arm moves without asking first")
    add_hidden_options(options)
    add_files(options)
    return options


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = parser().parse_args(arguments)
    with unconfirmed_stops_told_last(PROG), command_line(PROG, options):
        names = _check(options)
        setup, twin = load_setup(options, names)
        rig = setup.rig
        # Any camera may be calibrated: its own intrinsics are kept, however far they are from the rig's.
        camera = replace(setup.camera, focal_tolerance=1.0, principal_point_tolerance_px=1000.0)
        setup = replace(setup, camera=camera)
        plan = choose_postures(rig, setup.fence, setup.clearance, options.postures, options.seed)
        if (apart_m := apart([*plan], LEAST_POSTURES)) < LEAST_APART_M:
            raise ConfigError(
                f"the postures would differ by {1e3 * apart_m:.0f} mm, and a calibration needs "
                f"{1e3 * LEAST_APART_M:.0f} mm; widen keep_within, or ask for more --postures"
            )
        band = needed_band(setup.site_rig, setup.fence).joined(JointBand.of(plan)).widened(BAND_MARGIN_RAD)
        setup = replace(setup, joint_band=band)
        folder = CaptureFolder(options.out, plan, options.frames)
        if options.plan:
            _draw(plan, folder.left, options, setup)
            return
        truth = hidden_truth(options, rig)
        if folder.left and not names.is_twin and not options.yes:
            ask_operator(options.arm, [np.asarray(plan[posture]) for posture in folder.left])
        if folder.left:
            try:
                with (
                    open_devices(names, setup, twin, hidden=truth) as devices,
                    stop_on_signals(devices.arm.stop, keep_nohup=names.is_twin) as interrupted,
                ):
                    try:
                        capture(devices, rig, plan, folder, options.frames, interrupted, options.step)
                    except SafetyStop as stop:
                        if interrupted.is_set() or (isinstance(stop, Stop) and stop.reason is StopReason.OPERATOR):
                            raise KeyboardInterrupt from stop
                        raise
            finally:
                _draw_taken(plan, options, setup)
        further = " --out FILE" if names.is_twin else ""
        print(f"all {len(plan)} postures are in {options.out}; calibrate with --frames {options.out}{further}")


def capture(
    devices: Devices,
    rig: Rig,
    plan: Array,
    folder: CaptureFolder,
    frames: int,
    interrupted: Interruption,
    step: bool = False,
) -> None:
    """Take the remaining postures, and go home again; all frames taken are on the disk, however this ends.

    Raises:
        SafetyStop: it was stopped, or the operator refused a motion at ``step``.
        DeviceError: a fault of arm or camera.
    """
    arm, camera = devices.arm, devices.camera
    if not isinstance(arm, XArm):
        raise ConfigError("captures need an arm that turns its joints; name --arm IP or leave it out")
    prompt = StepPrompt(interrupted, arm.why_stopped) if step else None

    def allow(step_m: Vector) -> None:
        if prompt is not None:
            prompt(step_m)
        if interrupted.is_set():
            raise interrupted.stop()

    setting = Setting(camera=describe_camera(getattr(camera, "description", "unknown")), tool=rig.tool.name)
    tour = Tour(arm, np.asarray(rig.home_joints_rad, dtype=float), plan, allow)
    with folder.writer(replace(rig, camera=camera.intrinsics), setting) as keep, ExitStack() as stack:
        stack.callback(arm.stop)  # before the folder is closed, which may take as long as a disk does
        tour.begin()
        for posture in tqdm(folder.left, unit="posture", desc="capturing"):
            tour.go(posture)
            for frame, joints, tcp in look_at_rest(camera, arm, frames):
                keep(frame, posture, joints, tcp)
        tour.end()


def _check(options: argparse.Namespace) -> DeviceNames:
    """Refuse options that do not fit together, before anything is opened."""
    if options.postures < LEAST_POSTURES:
        raise ConfigError(f"--postures {options.postures}: at least {LEAST_POSTURES} are needed for a camera's pose")
    if not 1 <= options.frames <= 100:
        raise ConfigError(f"--frames {options.frames}: give 1 to 100 for each posture")
    names = names_of_moved_arm(options)
    require_writable_folder(options.out, "--out")
    require_writable(_picture(options.out), "--out")
    check_hidden(options, names, options.out)
    return names


def _picture(out: Path) -> Path:
    """The path of the picture: beside the folder, because everything inside it belongs to its frames."""
    out = out.resolve()
    return out.with_name(f"{out.name}.png")


def _draw_taken(plan: Array, options: argparse.Namespace, setup: Setup) -> None:
    """Draw what was taken; what keeps the picture from being written must not hide how the capturing ended."""
    try:
        _draw(plan, CaptureFolder(options.out, plan, options.frames).left, options, setup)
    except (OSError, Sim2RealError) as error:
        print(f"{PROG}: no picture of the postures: {error}", file=sys.stderr)


def _draw(plan: Array, left: Sequence[int], options: argparse.Namespace, setup: Setup) -> None:
    from pipelines.capture.coverage import draw_coverage  # late, for a quick --help

    out = options.out
    taken, tcp_offset_m = ~np.isin(np.arange(len(plan)), left), setup.rig.tool.tcp_offset_m
    draw_coverage(plan, taken, setup.fence, setup.site.keep_out, _picture(out), tcp_offset_m)
    rest = "" if options.plan or not left else "; the same command takes the rest"
    print(f"{len(plan) - len(left)} of {len(plan)} postures taken: {_picture(out)}{rest}")


if __name__ == "__main__":
    main()
