"""Judges an estimator on real frames of an arm whose joints are known, and how much our arm looks like the real one.

  python -m perception.evaluate --frames DIR                        the shipped estimator of the tool on your frames
  python -m perception.evaluate --frames DIR --estimator models/X   another one
  python -m perception.evaluate --frames DIR --overlays /tmp/look   with pictures, for you alone

DIR holds frames.json with colour_N.png, depth_N.png and, where you have them, mask_N.png (docs/your_frames.md has the
format); or captures of python -m pipelines.capture; or a recorded run. The reference is the TCP by the joints and the
camera's pose, which is read from the folder or from --calibration; where neither has it, the drawn arm is laid onto
the frames. No reference is exact, so each frame is judged twice:

  given     with the pose as given: the pose's own error counts in full
  fitted    with the pose fitted to the estimates and joints of the OTHER frames: an error that all share cancels

Sigma's coverage is the share of errors per axis within one and two sigma (68 and 95 % of a Gaussian's). A frame is
confessed where its largest sigma exceeds --max-sigma: the runtime would not act on it. Frames that do not show the end
of the arm are listed, and left out of the figures. Likeness compares the drawn arm with masks and depth, by link. Onto
frames of a bare flange the simulated gripper is drawn besides, for estimators of the gripper (semi_real). The same
pictures are also drawn in simulated rooms: how far the estimator errs there, and what an error of pose, joints,
intrinsics or depth adds to it (simulated). Two more figures say what a camera adds: "calibrated" has the pose, depth
scale and warp that the other frames give as in pipelines.calibrate; "without_fattening" is "given" once more, without
the readings that make the arm wider in depth than its outline.

With neither --frames nor the variable REAL_FRAMES nothing is judged, and results stay as they are.
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.common.errors import ConfigError, DataError
from datasets.common.files import write_whole
from datasets.rig.projection import Array, invert, transform
from datasets.rig.rig import RIG_PATH, Rig
from datasets.scene.renderer import require_gl
from perception.calibration.calibration import Calibration
from perception.calibration.registration.fit import Model
from perception.calibration.registration.register import KNOWN_TOOL
from perception.calibration.registration.result import Registration
from perception.estimator.estimator import MODEL_FOLDER, PositionEstimator
from perception.real import semi_real, simulated
from perception.real.calibrated import judge_calibrated
from perception.real.fattening import without_fattening
from perception.real.frames import BARE, RealFrames
from perception.real.judge import answer, figures, judge, load_estimator, references, seen_shares, shown
from perception.real.likeness import compare, depth_figures, fit_outline, found_share, lay_on, summary

PROG = "python -m perception.real"
VARIABLE = "REAL_FRAMES"
MAX_SIGMA_M = 0.03
"""As in :class:`perception.evaluation.params.LocateParams`."""
MOST_FRAMES = 200
LEAST_IOU, LEAST_FOUND = 0.6, 0.5
"""Below these the drawn arm is not the one in the pictures: 0.9 and 0.9 on five real frames, 0.34 at most with joints,
pose or intrinsics of something else."""
FLANGE_FOLDER = Path("models/estimator_flange")
"""The estimator of the studies' stage ``flange``; judged by default where frames show a bare flange."""


def evaluate_frames(
    frames: RealFrames,
    estimator_folder: str | Path,
    rig: Rig,
    *,
    max_sigma_m: float = MAX_SIGMA_M,
    draws: int = semi_real.DRAWS,
    rooms: int | None = None,
    overlays: Path | None = None,
) -> dict[str, Any]:
    """All figures of a set of frames, as ``metrics.json`` has them.

    Args:
        frames: the frames to judge by.
        estimator_folder: of the estimator.
        rig: its workspace and tool are replaced by the estimator's own.
        max_sigma_m: a larger sigma is confessed.
        draws: number of simulated grippers on each frame of a bare flange; 0 for none.
        rooms: in which each frame's posture is simulated, 0 for none; None: 60 pictures in all, at least one of each.
        overlays: folder of pictures; None for none.

    Raises:
        DataError: the frames do not show the arm, or the pose of their camera is not known.
        ModelError: the estimator is missing or damaged.
    """
    estimator = load_estimator(estimator_folder, rig)
    captures, bare = frames.captures, not frames.shows_gripper
    laid, how = lay_on(frames)
    if frames.calibration is None and laid is None:
        raise DataError(f"no pose of the camera is given, and it could not be found: {how}; give --calibration")
    calibration = frames.calibration
    pose = calibration.pose if calibration is not None else laid.t_base_camera  # type: ignore[union-attr]  # checked above
    table_z_m = 0.0 if calibration is None else calibration.table_z_m
    truth = references(captures.joints, frames.tcp_offset_m(estimator.rig))
    best = Model.of_pose(pose, captures.intrinsics) if laid is None else _model(laid)

    seen = seen_shares(captures, best.pose, truth, bare=bare)
    found, rows, (answers, poses) = judge(estimator, captures, truth, pose, table_z_m, seen, max_sigma_m)
    clean = answer(estimator, without_fattening(captures, best.pose, bare=bare), [pose] * len(truth), table_z_m)
    visible = shown(seen)
    alike = compare(captures, best, bare=bare)
    for row, each in zip(rows, alike, strict=True):
        row |= {"iou": each.iou, **depth_figures(each.metres)}
    likeness = {"iou": None, **summary(alike), "pose": how}
    if captures.masks is None:
        likeness["reason"] = "the frames have no masks"
    elif laid is not None:
        outline = compare(captures, fit_outline(captures, best, bare=bare), bare=bare)
        likeness["iou_by_outline"] = summary(outline)["iou"]
    mounted, trained = captures.setting.tool, estimator.rig.tool.name
    metrics: dict[str, Any] = {
        "flange" if frames.is_bare else "tcp": found,
        "calibrated": judge_calibrated(estimator, frames, truth, best.pose, table_z_m, visible),
        "without_fattening": figures((clean.xyz - truth)[visible], clean.sigma[visible]),
        "frames": rows,
        "likeness": likeness,
        "semi_real": _semi_real(frames, estimator, laid, table_z_m, draws, rig),
        "simulated": simulated.measure(estimator, captures, best.pose, table_z_m, rooms),
        "estimator": {"folder": str(estimator_folder), "tool": trained, "frames_show": mounted},
        "pose": how if calibration is None else str(calibration.measured),
    }
    if doubts := _doubts(likeness["iou"], found_share(alike)):
        metrics["doubts"] = doubts
    if overlays is not None:
        from perception.real.overlays import draw_overlays  # late, for a quick --help

        estimates: list[tuple[Array, Array | None]] = [
            (
                transform(invert(pose), answers[0].xyz[index]),
                None if fitted is None else transform(invert(fitted), answers[1].xyz[index]),
            )
            for index, fitted in enumerate(poses)
        ]
        draw_overlays(captures, best.pose, truth, estimates, rows, overlays, bare=bare)
    return metrics


def _doubts(iou: float | None, share: float) -> str | None:
    """Why the frames' description cannot be true, in words; None where nothing speaks against it."""
    against = []
    if share < LEAST_FOUND:
        against.append(f"depth is read near {100 * share:.0f} % of the drawn arm")
    if iou is not None and iou < LEAST_IOU:
        against.append(f"the drawn arm and the masks share {100 * iou:.0f} %")
    if not against:
        return None
    return (
        f"{' and '.join(against)}: joints, pose, intrinsics, depth_unit_m or masks do not belong to these pictures, "
        "and the errors below say nothing of the estimator"
    )


def _model(laid: Registration) -> Model:
    depth = np.array([laid.depth_scale, laid.depth_offset_m, *laid.depth_warp_m])
    return replace(Model.of_pose(laid.t_base_camera, laid.intrinsics), depth=depth)


def _semi_real(
    frames: RealFrames,
    estimator: PositionEstimator,
    laid: Registration | None,
    table_z_m: float,
    draws: int,
    rig: Rig,
) -> dict[str, Any]:
    if not frames.is_bare or laid is None or not draws:
        return {"n": 0, "reason": "no hand is drawn" if not draws else "drawn onto bare flanges with a known pose only"}
    if estimator.rig.tool.name != KNOWN_TOOL:
        estimator = load_estimator(MODEL_FOLDER, rig)
    depth = np.stack([laid.true_depth(each) for each in frames.captures.depth])
    return semi_real.measure(estimator, replace(frames.captures, depth=depth), laid.t_base_camera, table_z_m, draws)


def table(metrics: dict[str, Any]) -> str:
    """The figures as lines."""
    point = "flange" if "flange" in metrics else "tcp"
    found, told, alike = metrics[point], metrics["estimator"], metrics["likeness"]
    lines = [metrics["doubts"]] if "doubts" in metrics else []
    lines.append(f"{point}: {found['n']} of {len(metrics['frames'])} frames show it; camera pose: {metrics['pose']}")
    if told["frames_show"] not in (KNOWN_TOOL, *BARE):
        lines.append(f"the tool {told['frames_show']} is not drawn: likeness and what is seen are the bare arm's")
    if told["tool"] != told["frames_show"] and {told["tool"], told["frames_show"]} != {"none", "flange"}:
        lines.append(f"the estimator was trained for the tool {told['tool']}, the frames show {told['frames_show']}")
    for way in ("given", "fitted"):
        row = found[way]
        lines.append(
            f"{way:<8} median {row['median_mm']:.1f} mm, worst {row['worst_mm']:.1f} mm, within one sigma "
            f"{100 * row['within_1_sigma']:.0f} %, within two {100 * row['within_2_sigma']:.0f} %"
            if "median_mm" in row
            else f"{way:<8} not measured: {row['reason']}"
        )
    row = metrics["calibrated"]
    found_so = f"median {row['median_mm']:.1f} mm, worst {row['worst_mm']:.1f} mm" if row["n"] else row["reason"]
    lines.append(f"pose and depth calibrated on the other frames: {found_so}")
    clean = metrics["without_fattening"]
    lines.append(f"given, without the readings beside the arm: median {clean['median_mm']:.1f} mm")
    lines += ["", f"{'frame':>5}{'seen':>6}{'given':>9}{'fitted':>9}{'sigma':>8}   {'iou':>6}{'depth':>7}   mm"]
    for row in metrics["frames"]:
        given, fitted = row["given"], row["fitted"]
        lines.append(
            f"{row['frame']:>5}{row['seen']:>6.2f}{given['error_mm']:>9.1f}"
            f"{fitted['error_mm'] if fitted else float('nan'):>9.1f}{given['sigma_mm']:>8.1f}   "
            f"{_or_dash(row['iou'], '.3f'):>6}{_or_dash(row['depth_median_mm'], '.1f'):>7}"
            f"{'   confessed' if given['confessed'] else ''}{'' if row['visible'] else '   hidden'}"
        )
    lines += ["", f"{'likeness':<10}{'iou':>6}{'depth':>8}{'bias':>7}   mm; pose: {alike['pose']}"]
    for name, row in {"all": alike, **alike["by_link"]}.items():
        depth, bias = _or_dash(row["depth_median_mm"], ".1f"), _or_dash(row["depth_bias_mm"], "+.1f")
        lines.append(f"{name:<10}{_or_dash(row['iou'], '.3f'):>6}{depth:>8}{bias:>7}")
    hand = metrics["semi_real"]
    said = (
        f"median {hand['median_mm']:.1f} mm, 95 % {hand['p95_mm']:.1f} mm ({hand['means']})"
        if hand["n"]
        else hand["reason"]
    )
    if "iou_by_outline" in alike:
        lines.append(f"all, by a pose fitted to the outline alone: {alike['iou_by_outline']:.3f}")
    lines += ["", f"semi-real, {hand['n']} frames: {said}"]
    drawn = metrics["simulated"]
    lines.append(f"simulated, {drawn['n']} pictures ({drawn.get('means', drawn.get('reason'))})")
    for name in simulated.EXPERIMENTS if drawn["n"] else ():
        lines.append(f"  {name:<11}median {drawn[name]['median_mm']:.1f} mm, 95 % {drawn[name]['p95_mm']:.1f} mm")
    return "\n".join(lines)


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def parser() -> CommandParser:
    """The command line's options."""
    options = CommandParser(
        prog=PROG, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, result=True
    )
    add = options.add_argument
    add("--frames", type=Path, metavar="DIR", help=f"folder of frames (default: the variable {VARIABLE})")
    ours = f"{FLANGE_FOLDER} for frames of a bare flange, where it is there, else {MODEL_FOLDER}"
    add("--estimator", type=Path, metavar="DIR", help=f"what is judged (default: {ours})")
    add("--calibration", type=Path, metavar="FILE", help="camera and table, as pipelines.calibrate --out wrote them")
    add("--overlays", type=Path, metavar="DIR", help="write a picture of each frame there, never into a repository")
    add("--out", type=Path, metavar="FILE", help="write the figures there as JSON (default: print them alone)")
    add("--most", type=int, default=MOST_FRAMES, metavar="N", help="of many frames take so many (default: %(default)s)")
    add(
        "--max-sigma",
        type=float,
        default=MAX_SIGMA_M,
        metavar="M",
        help="a larger sigma is confessed, m (default: %(default)s, as the runtime's)",
    )
    add(
        "--draws",
        type=int,
        default=semi_real.DRAWS,
        metavar="N",
        help="simulated grippers drawn onto each frame of a bare flange, 0 for none (default: %(default)s)",
    )
    add(
        "--rooms",
        type=int,
        metavar="N",
        help=f"simulated rooms for each frame's posture, 0 for none (default: {simulated.PICTURES} in all, "
        "at least one for each)",
    )
    add("--rig", type=Path, default=RIG_PATH, metavar="FILE", help="the rig (default: %(default)s)")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    with command_line(PROG, options) as tell:
        folder = options.frames or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
        if folder is None:
            reason = f"{VARIABLE} names no folder of real frames, and no --frames was given; results stay as they are"
            tell({"n": 0, "reason": reason}, f"n = 0: {reason}")
            return
        if options.most < 1 or min(options.draws, options.rooms or 0) < 0 or not options.max_sigma > 0:
            raise ConfigError(
                "--most must be 1 or more, --draws and --rooms 0 or more, --max-sigma a length above 0 in m"
            )
        if options.out is not None:
            require_writable(options.out, "--out")
        if options.overlays is not None:
            from perception.real.overlays import require_private  # late, for a quick --help

            require_private(options.overlays)
        require_gl()
        rig = Rig.load(options.rig)
        calibration = None if options.calibration is None else Calibration.load(options.calibration)
        frames = RealFrames.load(folder, rig, options.most, calibration)
        shipped = FLANGE_FOLDER if frames.is_bare and FLANGE_FOLDER.is_dir() else MODEL_FOLDER
        metrics = evaluate_frames(
            frames,
            options.estimator or shipped,
            rig,
            max_sigma_m=options.max_sigma,
            draws=options.draws,
            rooms=options.rooms,
            overlays=options.overlays,
        )
        if options.out is not None:
            write_whole(options.out, json.dumps(metrics, indent=2) + "\n")
        tell(metrics, table(metrics))


if __name__ == "__main__":
    main()
