"""Measure where the camera stands and how high the table lies, by moving the arm about slowly, or from captures.

  python -m pipelines.calibrate --frames captures                      into your site file, params/site.yaml
  python -m pipelines.calibrate --frames captures --out camera.yaml    into a file for --calibration
  python -m pipelines.calibrate --arm IP --camera realsense --out camera.yaml      by the networks
  python -m pipelines.calibrate --latency --arm IP --camera realsense              delays, into your site file
  python -m pipelines.calibrate --depth --frames captures                          depth's noise, into your site file

--frames takes what python -m pipelines.capture took: the arm's whole model is laid onto depth and outline, from no
start at all, without any network. The results are the pose with its covariance, the table, and the errors of the depth
camera. Look at the two pictures beside the folder: DIR.outline.png must show the outline on the arm. If something is
wrong with the captures, the command says what, and writes nothing.

--latency makes small moves of 12 mm about home and compares what the camera and the encoders see of them. It measures
how late the camera's pictures and the arm's motion are, by the time of the encoders' reports. Neither network nor
calibration is needed; nothing else may move in view.

--depth compares the frames of each posture, during which everything stands still. It measures how much depth scatters
and how far the scatter is correlated, and shows the simulation's noise model beside it. Two frames of each posture are
enough.

Delays and noise of the site file are used in two places: python -m pipelines.rehearse --site FILE rehearses with this
camera's delay and noise, and in a run with the camera, the later its pictures are stamped, the smaller is the age that
is allowed for them.

Without any of these options, the networks find the TCP in the camera's frame, whatever pose they assume for it; the
encoders give it in the arm's frame. The rigid motion between the two is the camera's pose; the table as seen from there
gives its height in the base frame, which is not 0 for a base on a plate. This method cannot measure an error that the
networks make everywhere alike. Trained models stay valid in any case.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from control.arms.site import SITE_PATH, LatencyParams, NoiseParams, SiteParams, write_measured
from control.arms.xarm.driver import XArm
from datasets.common.cli import CommandParser, command_line, require_writable, seed
from datasets.common.errors import ConfigError, DataError, SafetyStop
from datasets.common.files import keep_previous
from datasets.rig.rig import Rig
from perception.calibration.calibration import Calibration
from perception.calibration.captures import Captures
from perception.calibration.depth_noise import measure_noise
from perception.calibration.depth_noise import told as noise_told
from perception.calibration.registration.register import register
from perception.calibration.report import difference, registered, told
from pipelines.calibrate.delays import delays
from pipelines.calibrate.networks import choose_places, locate_camera_and_table, look_around, measured
from pipelines.capture.moves import film_moves
from pipelines.observers.output import unhurried_output
from pipelines.run_real import add_consents, ask_operator, names_of_moved_arm, unconfirmed_stops_told_last
from pipelines.runtime.interrupt import Interruption, stop_on_signals
from pipelines.setup.devices import open_devices
from pipelines.setup.moved import add_files, load_setup
from pipelines.setup.setup import require_ways

PROG = "pipelines.calibrate"
LEAST_POSES = 8
LEAST_ROUNDS = 3
LEAST_PAIRS = 3


def require_no_other_file(path: Path) -> None:
    """Raise ConfigError if a calibration would overwrite a file of another kind."""
    try:
        if path.exists():
            Calibration.load(path)
    except ConfigError as error:
        raise ConfigError(f"--out {path}: is there and is no calibration ({error}); name another file") from error


Result = tuple[dict[str, Any], list[str]]
"""The result as plain values, and the lines that report it."""


def parser() -> CommandParser:
    """Create the parser of the command line's options."""
    options = CommandParser(
        prog=f"python -m {PROG}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        result=True,
    )
    options.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the calibration file to write; an earlier one is kept (default with --frames: the site file's camera)",
    )
    frames = options.add_argument_group("from captures")
    frames.add_argument("--frames", type=Path, metavar="DIR", help="of python -m pipelines.capture, or of images")
    frames.add_argument("--depth", action="store_true", help="measure the noise of depth, in place of a pose")
    frames.add_argument("--fit-intrinsics", action="store_true", help="focal length and principal point, too")
    frames.add_argument("--fit-joints", action="store_true", help="offsets of joints 2 to 7 from their encoders, too")
    moving = options.add_argument_group("moving the arm")
    moving.add_argument("--latency", action="store_true", help="measure delays of camera and arm, in place of a pose")
    moving.add_argument("--rounds", type=int, default=8, metavar="N", help="of --latency (default 8, 4 s each)")
    moving.add_argument("--arm", metavar="IP|twin", help="the controller's address")
    moving.add_argument("--camera", metavar="realsense[:SERIAL]|twin")
    moving.add_argument("--poses", type=int, default=20, metavar="N", help="places to look at (default 20)")
    moving.add_argument("--seed", type=seed, default=0, help="of the places (default 0)")
    moving.add_argument("--estimator", metavar="FOLDER", help="default: params/runtime.yaml")
    moving.add_argument("--max-speed", type=float, metavar="M/S", help="lower the rig's speed limit")
    add_consents(moving)
    moving.add_argument("--yes", action="store_true", help="a real arm moves without asking first")
    add_files(options)
    return options


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = parser().parse_args(arguments)
    with unconfirmed_stops_told_last(PROG), command_line(PROG, options) as tell:
        measure = _by_networks if options.frames is None else _by_frames
        result, told = (_noise if options.depth else _latency if options.latency else measure)(options)
        tell(result, "\n".join(told))


def _by_frames(options: argparse.Namespace) -> Result:
    """Calibrate from captures, and write the calibration into the site file or a file of its own."""
    from perception.calibration.pictures import draw_outlines, draw_residuals  # late, for a quick --help

    if options.arm is not None or options.camera is not None:
        raise ConfigError("--frames: the captures are there already; leave out --arm and --camera")
    rig, site_path = Rig.load(options.rig), Path(options.site or SITE_PATH)
    if options.out is not None:
        require_writable(options.out, "--out")
        require_no_other_file(options.out)
    else:
        require_writable(site_path, "--site")
        if site_path.exists():
            SiteParams.load(site_path)
    folder = options.frames.resolve()
    pictures = [folder.with_name(f"{folder.name}.{what}.png") for what in ("outline", "residuals")]
    for picture in pictures:
        require_writable(picture, "the picture beside --frames,")
    captures = Captures.load(options.frames)
    if options.out is None and _of_twin(captures):
        raise ConfigError(
            f"--frames {options.frames}: taken of the twin, and {site_path} is of your real camera; give --out FILE"
        )
    found = register(
        captures, fit_intrinsics=options.fit_intrinsics, fit_joints=options.fit_joints, workspace=rig.workspace
    )
    calibration = registered(found, rig, f"{time.strftime('%Y-%m-%d %H:%M')}, {captures.setting.camera}")
    draw_outlines(captures, found, pictures[0])
    draw_residuals(found, pictures[1])
    if options.out is None:
        kept = write_measured(site_path, calibration)
        written = f"{site_path}, camera; runs with a real camera use it from now on"
    else:
        kept = keep_previous(options.out)
        calibration.save(options.out)
        written = f"{options.out}; use it with --calibration {options.out}"
    result = {"written": options.out or site_path, "kept": kept, "residual_mm": calibration.residual_mm}
    more = {"T_base_camera": calibration.pose, "table_z_m": calibration.table_z_m, "pictures": pictures}
    look = f"look at: {pictures[0]}, {pictures[1]}"
    return {**result, **more}, [told(found, calibration, rig), look, *_written(written, kept)]


def _noise(options: argparse.Namespace) -> Result:
    """Measure the noise of depth from captures; that of a real camera goes into the site file."""
    if options.frames is None or options.out is not None or options.latency:
        raise ConfigError("--depth: give --frames DIR, whose noise is written into the site file; leave out --out")
    site_path = Path(options.site or SITE_PATH)
    require_writable(site_path, "--site")
    captures = Captures.load(options.frames)
    found = measure_noise(captures.depth, captures.postures, captures.intrinsics.fx, captures.setting.depth_unit_m)
    result = {"level": found.level, "interval": found.interval, "stretch": found.stretch}
    result |= {"by_range": found.by_range, "correlation": found.correlation}
    if _of_twin(captures):
        return result, [noise_told(found), "of the twin, so that nothing is written"]
    if found.pairs < LEAST_PAIRS:
        raise DataError(
            f"--frames {options.frames}: {found.pairs} pairs of frames say nothing of how much noise differs, "
            f"{LEAST_PAIRS} are needed; capture more postures, or more --frames of each"
        )
    words = f"{time.strftime('%Y-%m-%d %H:%M')}, {captures.setting.camera}"
    kept = write_measured(site_path, NoiseParams(found.interval, found.stretch, words))
    return {**result, "written": site_path, "kept": kept}, [noise_told(found), *_written(f"{site_path}, noise", kept)]


def _of_twin(captures: Captures) -> bool:
    return "twin" in captures.setting.camera.lower()


def _latency(options: argparse.Namespace) -> Result:
    """Measure the delays of camera and arm; those of a real pair go into the site file."""
    if options.frames is not None or options.out is not None:
        raise ConfigError(
            "--latency: it needs the arm, and is written into the site file; leave out --frames and --out"
        )
    if not LEAST_ROUNDS <= options.rounds <= 100:
        raise ConfigError(f"--rounds {options.rounds}: give {LEAST_ROUNDS} to 100")
    names = names_of_moved_arm(options)
    setup, twin = load_setup(options, names)
    site_path = Path(options.site or SITE_PATH)
    if not names.is_twin:
        require_writable(site_path, "--site")
    if setup.arm.mode == "velocity":
        raise ConfigError("--latency: moves of mode 5 are no planned ones; set mode: online_line in params/arm.yaml")
    if not names.is_twin and not options.yes:
        ask_operator(options.arm, [np.asarray(setup.rig.home_joints_rad)] * 6 * options.rounds)
    with (
        open_devices(names, setup, twin) as devices,
        stop_on_signals(devices.arm.stop, keep_nohup=names.is_twin) as interrupted,
        _ended_by_the_operator(interrupted),
    ):
        devices.arm.home()
        arm: XArm = devices.arm  # type: ignore[assignment]  # it is an XArm
        filmed = film_moves(devices.camera, arm, options.rounds, options.seed)
    found = delays(filmed, arm.speed_m_s, setup.arm)
    said = [f"{name} {delay} (two standard errors)" for name, delay in found.items()]
    result = {name: delay.interval_s for name, delay in found.items()}
    if names.is_twin:
        return result, [*said, "of the twin, so that nothing is written"]
    words = f"{time.strftime('%Y-%m-%d %H:%M')}, {options.arm}"
    camera_s, stamp_s, command_s = (delay.interval_s for delay in found.values())
    latency = LatencyParams(camera_s, stamp_s, command_s, words)
    kept = write_measured(site_path, latency)
    return {**result, "written": site_path, "kept": kept}, [*said, *_written(f"{site_path}, latency", kept)]


def _by_networks(options: argparse.Namespace) -> Result:
    """Move the arm about, let the networks find the TCP, and write the calibration."""
    if options.out is None:
        raise ConfigError("--out FILE is missing: the calibration file to write")
    if options.fit_intrinsics or options.fit_joints:
        raise ConfigError("--fit-intrinsics and --fit-joints are of captures; give --frames DIR")
    if options.poses < LEAST_POSES:
        raise ConfigError(f"--poses {options.poses}: at least {LEAST_POSES} are needed for a pose one can trust")
    require_writable(options.out, "--out")
    require_no_other_file(options.out)
    names = names_of_moved_arm(options)
    setup, twin = load_setup(options, names)
    rig = setup.rig
    places = choose_places(rig, setup.fence, options.poses, options.seed)
    require_ways(setup, places, from_home=False)
    if not names.is_twin and not options.yes:
        ask_operator(options.arm, places)
    with (
        open_devices(names, setup, twin) as devices,
        stop_on_signals(devices.arm.stop, keep_nohup=names.is_twin) as interrupted,
    ):
        with _ended_by_the_operator(interrupted):
            devices.arm.home()
            sightings = look_around(devices.camera, devices.arm, places)  # type: ignore[arg-type]  # it is an XArm
            devices.arm.home()
        intrinsics = devices.camera.intrinsics
        true_pose = None if devices.twin is None else devices.twin.world.t_base_camera
    pose, residuals, table_z_m, table = locate_camera_and_table(sightings, setup.estimator, intrinsics)
    words = f"{time.strftime('%Y-%m-%d %H:%M')}, {'twin' if names.is_twin else options.arm}"
    calibration = measured(pose, residuals, len(places), words, table_z_m)
    kept = keep_previous(options.out)
    calibration.save(options.out)
    per_axis = 1e3 * np.sqrt(np.mean(residuals**2, axis=0))
    axes = ", ".join(f"{value:.1f}" for value in per_axis)
    said = [
        f"residual: {calibration.residual_mm:.1f} mm rms; x, y, z: {axes} mm",
        f"table: {table}",
        f"from where the rig says: {difference(pose, rig.t_base_camera)}",
    ]
    if true_pose is not None:
        said.append(f"from where the twin's camera truly is: {difference(pose, true_pose)}")
    said += _written(f"{options.out}; use it with --calibration {options.out}", kept)
    result = {"written": options.out, "kept": kept, "residual_mm": calibration.residual_mm, "per_axis_mm": per_axis}
    return {**result, "T_base_camera": pose, "table_z_m": calibration.table_z_m}, said


@contextmanager
def _ended_by_the_operator(interrupted: Interruption) -> Iterator[None]:
    """Turn a stop after Ctrl-C into KeyboardInterrupt, also where nothing was left to stop."""
    try:
        yield
    except SafetyStop as stop:
        if interrupted.is_set():
            raise KeyboardInterrupt from stop
        raise
    if interrupted.is_set():
        raise KeyboardInterrupt


def _written(where: str, kept: Path | None) -> list[str]:
    return [f"written: {where}", *([] if kept is None else [f"the previous calibration is kept as {kept}"])]


if __name__ == "__main__":
    main()
