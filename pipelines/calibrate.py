"""Measure where the camera stands and how high the table lies, by moving the arm about slowly, or from captures.

  python -m pipelines.calibrate --frames captures                      into your site file, params/site.yaml
  python -m pipelines.calibrate --frames captures --out camera.yaml    into a file for --calibration
  python -m pipelines.calibrate --arm IP --camera realsense --out camera.yaml      by the networks
  python -m pipelines.calibrate --latency --arm IP --camera realsense              delays, into your site file

--frames takes what python -m pipelines.capture took: the arm's whole model is laid onto depth and outline, from no
start at all, without any network. Out come pose with covariance, table, and how the depth camera errs. Look at the two
pictures beside the folder: DIR.outline.png must show the outline on the arm. What is wrong with captures is said, and
nothing is written then.

--latency makes small moves of 12 mm about home and compares what the camera and the encoders see of them: how late the
camera's pictures and the arm's motion are, by the time of the encoders' reports. Neither network nor calibration is
needed; nothing else may move in view.

Without either, the networks find the TCP in the camera's frame, whatever they believe of its pose; the encoders give
it in the arm's. The rigid motion between the two is the camera's pose; the table that is seen from there gives its
height in the base frame, which is not 0 for a base on a plate. What cannot be measured so is an error that the networks
make everywhere alike. Trained models stay valid in any case.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from control.arms.fence import Fence
from control.arms.params import ArmParams
from control.arms.site import SITE_PATH, LatencyParams, SiteParams, write_measured
from datasets.arm.kinematics import Kinematics
from datasets.common.cli import CommandParser, command_line, require_writable, seed
from datasets.common.errors import ConfigError, DataError, SafetyStop
from datasets.common.files import keep_previous
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics, invert, transform
from datasets.rig.rig import RIG_PATH, Rig
from perception.calibration.calibration import Calibration
from perception.calibration.captures import Captures
from perception.calibration.delays import Delay, arrival_delay, motion_delay, picture_delay, planned_mean_s
from perception.calibration.pictures import draw_outlines, draw_residuals
from perception.calibration.registration.register import register
from perception.calibration.report import difference, registered, told
from perception.calibration.rigid_fit import fit_rigid_robust
from perception.calibration.table_height import measure_table
from perception.cameras.camera import Camera
from perception.estimator.estimator import PositionEstimator
from perception.estimator.table_plane import seen_from_table
from pipelines.capture.moves import MOVE_M, Filmed, film_moves
from pipelines.capture.session import patient_read
from pipelines.observers.output import unhurried_output
from pipelines.run_real import add_consents, add_site, ask_operator, names_of_moved_arm
from pipelines.runtime.interrupt import stop_on_signals
from pipelines.setup.devices import DeviceNames, open_devices
from pipelines.setup.settings import RUNTIME_PATH, RuntimeParams
from pipelines.setup.setup import PROPORTIONAL, Setup, require_ways
from pipelines.twin.settings import TWIN_PATH, TwinParams

PROG = "pipelines.calibrate"
FRAMES_PER_POSE = 3
REST_S = 0.3
MAX_RESIDUAL_MM = 15.0
REFINEMENTS = 4
LEAST_POSES = 8
LEAST_ROUNDS = 3
FAR_TABLE_M = 0.03
"""Farther from z = 0 the estimator may miss the table, or take something else for it, until it knows the height."""


class SlowArm(Protocol):
    """What calibration asks of an arm."""

    def go_to(self, xyz_m: ArrayLike) -> None:
        """Go slowly, in a straight line, inside the fence; return when there."""
        ...

    def tcp_at(self, time_s: float) -> NDArray[np.float64]:
        """The encoders' TCP at a past moment, ``(3,)`` m."""
        ...


@dataclass(frozen=True)
class Sighting:
    """A frame and where the encoders say the TCP was, ``(3,)`` m in the base frame."""

    frame: Frame
    tcp: NDArray[np.float64]


def choose_places(rig: Rig, fence: Fence, count: int, seed: int) -> list[NDArray[np.float64]]:
    """Reachable places spread over the fence, ordered so that each is near the one before."""
    kinematics, rng = Kinematics(rig.tool.tcp_offset_m), np.random.default_rng(seed)
    margin = 0.15 * (fence.high_m - fence.low_m)
    here = np.asarray(kinematics.tcp(rig.home_joints_rad), dtype=float)
    places: list[NDArray[np.float64]] = []
    for _ in range(200 * count):
        place = rng.uniform(fence.low_m + margin, fence.high_m - margin)
        if kinematics.is_reachable(place, rig.home_joints_rad):
            places.append(place)
            if len(places) == count:
                break
    else:
        raise ConfigError(f"only {len(places)} of {count} reachable places found in the workspace; widen it")
    ordered = []
    while places:
        nearest = min(range(len(places)), key=lambda index: float(np.linalg.norm(places[index] - here)))
        here = places.pop(nearest)
        ordered.append(here)
    return ordered


def look_around(camera: Camera, arm: SlowArm, places: Sequence[NDArray[np.float64]]) -> list[Sighting]:
    """Frames with the encoders' TCP, taken at rest in each place; raises DeviceError or SafetyStop."""
    sightings = []
    for place in tqdm(places, unit="pose", desc="looking"):
        arm.go_to(place)
        arrived = time.monotonic()
        taken = 0
        while taken < FRAMES_PER_POSE:
            frame = patient_read(camera)
            if frame.timestamp >= arrived + REST_S:
                sightings.append(Sighting(frame, arm.tcp_at(frame.timestamp)))
                taken += 1
    return sightings


def locate_camera(
    sightings: Sequence[Sighting], estimator: PositionEstimator, intrinsics: Intrinsics, table_z_m: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``T_base_camera`` (4x4), and the residuals ``(N, 3)`` m, base frame, of the sightings that agree.

    The first look finds the TCP in the camera's frame without any pose: it begins. The second look, which works in the
    base frame, is given the pose found so far, and its answers are taken back into the camera's frame by that pose.
    ``table_z_m`` is all that it knows of the table.

    Raises:
        DataError: what is seen does not fit the encoders.
    """
    truth = np.array([sighting.tcp for sighting in sightings])
    pose = estimator.rig.t_base_camera
    for round_ in range(1 + REFINEMENTS):
        t_table_camera = seen_from_table(pose, table_z_m)
        found = [estimator.locate(each.frame.cut, t_table_camera, intrinsics) for each in sightings]
        answers = [each.glance if round_ == 0 else each.fovea for each in found]
        seen = np.array(
            [transform(invert(each.t_base_camera), answer.xyz) for each, answer in zip(found, answers, strict=True)]
        )
        pose, kept = fit_rigid_robust(truth, seen)
    residuals = transform(pose, seen)[kept] - truth[kept]
    if kept.mean() < 0.7 or 1e3 * _rms(residuals) > MAX_RESIDUAL_MM:
        raise DataError(
            f"what the camera sees does not fit the encoders: {_rms(residuals) * 1e3:.1f} mm remain and "
            f"{100 * (1 - kept.mean()):.0f} % of the frames disagree; is the gripper in view, the tool the rig's?"
        )
    return np.asarray(pose, dtype=float), np.asarray(residuals, dtype=float)


def locate_camera_and_table(
    sightings: Sequence[Sighting], estimator: PositionEstimator, intrinsics: Intrinsics
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, str]:
    """As :func:`locate_camera`, and the table's height m in the base frame with what to say of it.

    A table that is not seen well is taken to lie at z = 0.
    """
    frames = [sighting.frame for sighting in sightings]
    pose, residuals = locate_camera(sightings, estimator, intrinsics)
    try:
        table = measure_table(frames, pose, intrinsics, estimator.rig)
        if abs(table.z_m) > FAR_TABLE_M:
            pose, residuals = locate_camera(sightings, estimator, intrinsics, table.z_m)
            table = measure_table(frames, pose, intrinsics, estimator.rig)
    except DataError as error:
        return pose, residuals, 0.0, f"not measured, z = 0 is kept: {error}"
    height = round(table.z_m, 4)
    said = f"z = {1e3 * height:+.1f} mm in the base frame (spread {1e3 * table.spread_m:.1f} mm, {table.frames} frames)"
    return pose, residuals, height, said


def require_no_other_file(path: Path) -> None:
    """Raise ConfigError where a calibration would take the place of something else."""
    try:
        if path.exists():
            Calibration.load(path)
    except ConfigError as error:
        raise ConfigError(f"--out {path}: is there and is no calibration ({error}); name another file") from error


def measured(
    pose: NDArray[np.float64], residuals: NDArray[np.float64], poses: int, words: str, table_z_m: float = 0.0
) -> Calibration:
    """The calibration file's content."""
    residual_mm = round(1e3 * _rms(residuals), 3)
    return Calibration.of_pose(pose, words, poses=poses, residual_mm=residual_mm, table_z_m=table_z_m)


Result = tuple[dict[str, Any], list[str]]
"""What was found as plain values, and the lines that tell it."""


def parser() -> CommandParser:
    """The command line's options."""
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
    files = options.add_argument_group("parameter files")
    files.add_argument("--rig", default=RIG_PATH, metavar="FILE")
    files.add_argument("--runtime", default=RUNTIME_PATH, metavar="FILE")
    add_site(files)
    files.add_argument("--twin", default=TWIN_PATH, metavar="FILE")
    return options


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    options = parser().parse_args(arguments)
    with command_line(PROG, options) as tell:
        calibrate = _latency if options.latency else _by_networks if options.frames is None else _by_frames
        result, told = calibrate(options)
        tell(result, "\n".join(told))


def _by_frames(options: argparse.Namespace) -> Result:
    """Calibrate from captures, and write the calibration into the site file or a file of its own."""
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
    captures = Captures.load(options.frames)
    if options.out is None and "twin" in captures.setting.camera.lower():
        raise ConfigError(
            f"--frames {options.frames}: taken of the twin, and {site_path} is of your real camera; give --out FILE"
        )
    found = register(
        captures, fit_intrinsics=options.fit_intrinsics, fit_joints=options.fit_joints, workspace=rig.workspace
    )
    calibration = registered(found, rig, f"{time.strftime('%Y-%m-%d %H:%M')}, {captures.setting.camera}")
    folder = options.frames.resolve()
    pictures = [folder.with_name(f"{folder.name}.{what}.png") for what in ("outline", "residuals")]
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


def _latency(options: argparse.Namespace) -> Result:
    """Measure the delays of camera and arm; those of a real pair go into the site file."""
    if options.frames is not None or options.out is not None:
        raise ConfigError(
            "--latency: it needs the arm, and is written into the site file; leave out --frames and --out"
        )
    if not LEAST_ROUNDS <= options.rounds <= 100:
        raise ConfigError(f"--rounds {options.rounds}: give {LEAST_ROUNDS} to 100")
    names, setup, twin = _setup(options)
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
    ):
        try:
            devices.arm.home()
            filmed = film_moves(devices.camera, devices.arm, options.rounds, options.seed)  # type: ignore[arg-type]
        except SafetyStop as stop:
            if interrupted.is_set():
                raise KeyboardInterrupt from stop
            raise
    found = delays(filmed, setup.fence.max_displacement_m * setup.rig.rate_hz, setup.arm)
    said = [f"{name} {delay} (two standard errors)" for name, delay in found.items()]
    result = {name: delay.interval_s for name, delay in found.items()}
    if names.is_twin:
        return result, [*said, "of the twin, so that nothing is written"]
    words = f"{time.strftime('%Y-%m-%d %H:%M')}, {options.arm}"
    camera_s, stamp_s, command_s = (delay.interval_s for delay in found.values())
    latency = LatencyParams(camera_s, stamp_s, command_s, words)
    kept = write_measured(site_path, latency)
    return {**result, "written": site_path, "kept": kept}, [*said, *_written(f"{site_path}, latency", kept)]


def delays(filmed: Filmed, speed_m_s: float, arm: ArmParams) -> dict[str, Delay]:
    """From the capture of a picture to its arrival, of its stamp, and of the arm's motion, in words.

    Raises:
        DataError: pictures or arm do not follow.
    """
    pictures, encoder = np.array(filmed.pictures), (np.array(filmed.encoder_s), np.array(filmed.tcp_m))
    planned_s = planned_mean_s(MOVE_M, speed_m_s, arm.acceleration_m_s2)
    moves = np.array(filmed.commands_s), np.array(filmed.moves_m), np.array(filmed.ends_s)
    stamps_s = np.array(filmed.stamps_s)
    stamped = picture_delay(pictures, stamps_s, *encoder)
    return {
        "pictures arrive after their capture by": arrival_delay(stamped, stamps_s, np.array(filmed.arrivals_s)),
        "the camera's own times of capture are late by": stamped,
        "the arm moves later than planned by": motion_delay(*moves, *encoder, planned_s),
    }


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
    names, setup, twin = _setup(options)
    rig = setup.rig
    places = choose_places(rig, setup.fence, options.poses, options.seed)
    require_ways(setup, places, from_home=False)
    if not names.is_twin and not options.yes:
        ask_operator(options.arm, places)
    with (
        open_devices(names, setup, twin) as devices,
        stop_on_signals(devices.arm.stop, keep_nohup=names.is_twin) as interrupted,
    ):
        try:
            devices.arm.home()
            sightings = look_around(devices.camera, devices.arm, places)  # type: ignore[arg-type]
            devices.arm.home()
        except SafetyStop as stop:
            if interrupted.is_set():
                raise KeyboardInterrupt from stop
            raise
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
    return {**result, "T_base_camera": pose, "table_z_m": table_z_m}, said


def _setup(options: argparse.Namespace) -> tuple[DeviceNames, Setup, TwinParams]:
    """What the options name, before anything is opened."""
    names = names_of_moved_arm(options)
    rig, twin = Rig.load(options.rig), TwinParams.load(options.twin)
    setup = Setup.load(
        rig,
        RuntimeParams.load(options.runtime),
        estimator=options.estimator,
        policy=PROPORTIONAL,
        max_speed_m_s=options.max_speed,
        site=SiteParams.load(options.site),
    )
    return names, setup, twin


def _written(where: str, kept: Path | None) -> list[str]:
    return [f"written: {where}", *([] if kept is None else [f"the previous calibration is kept as {kept}"])]


def _rms(residuals: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.sum(residuals**2, axis=1))))


if __name__ == "__main__":
    main()
