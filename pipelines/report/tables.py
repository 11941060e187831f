"""The result tables, built from the metrics files that the stages wrote; rendered to Markdown or to HTML."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, TypeVar

from datasets.common.errors import DataError
from datasets.common.files import write_whole

RESULTS = Path("results")
README = Path("README.md")
UNLIKE = "python -m perception.unlike"
REAL = "python -m perception.real"
CALIBRATION = "python -m pipelines.calibrate.study"
BEGIN, END = "<!-- results: written by python -m pipelines.report --readme -->", "<!-- end of results -->"

VARIANTS = "The original's way: one network from the picture to the displacement, in rooms never seen"
HEADLINES = (
    *(("perception", split) for split in ("nominal", "uncalibrated", "occluded")),
    *(("control", policy) for policy in ("default", "proportional")),
    ("rehearsal", "default"),
)
"""Stage and row of the figures that ``dvc metrics show`` prints; each has its own file, to become a row there."""
COVERAGE = ("within_1_sigma", "within_2_sigma")
PEERS = "Other projects beside this one, measured in turns in one run"
SEEDS = "Learnt anew with other seeds: means over the seeds and their 95 % intervals (Student)"

Metrics = Mapping[str, Any]
Row = Sequence[str]
T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """A table of formatted figures; every row is as long as ``header``."""

    title: str
    header: Row
    rows: Sequence[Row]
    note: str = ""

    def markdown(self) -> str:
        """The bold title, the table with aligned columns, and the note if there is one."""
        lines = [self.header, *self.rows]
        widths = [max(len(row[column]) for row in lines) for column in range(len(self.header))]
        head, *body = (
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in lines
        )
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        return "\n".join([f"**{self.title}**", "", head, rule, *body, *(["", self.note] if self.note else [])])

    def html(self) -> str:
        """The same content as a heading, a table and a paragraph; everything is escaped."""
        head = "".join(f"<th>{escape(text)}</th>" for text in self.header)
        body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in self.rows)
        note = f'<p class="note">{escape(self.note)}</p>' if self.note else ""
        return f"<h2>{escape(self.title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def perception_table(metrics: Metrics) -> Table:
    """The shipped estimator on every split: frames, median and 95th percentile of the error (mm)."""
    rows = [
        (split, str(row["n"]), *_distances(row)) if row["n"] else (split, "0", row["reason"], "")
        for split, row in metrics["default"].items()
    ]
    title = "Where is the TCP? Distance between estimate and truth, on frames never seen"
    return Table(title, ("split", "frames", "median, mm", "95 %, mm"), rows)


def unlike_table(metrics: Metrics) -> Table:
    """The shipped estimator on pictures unlike those of training: error (mm), and shares within one and two sigma."""
    rows = [
        (split, str(row["n"]), *_distances(row), *(f"{100 * metrics['sigma'][split][key]:.0f} %" for key in COVERAGE))
        for split, row in metrics["default"].items()
    ]
    header = ("split", "frames", "median, mm", "95 %, mm", "within one sigma", "two sigma")
    return Table("The same on pictures by a path tracer, with the official meshes and another sensor", header, rows)


def baselines_table(metrics: Metrics) -> Table:
    """The estimator's baselines on the nominal split: median and 95th percentile of the error (mm)."""
    nominal = {name: splits.get("nominal", {"n": 0}) for name, splits in metrics.get("baselines", {}).items()}
    rows = [(name, *_distances(row)) for name, row in nominal.items() if row["n"]]
    return Table("The same by networks of a single look", ("baseline, nominal", "median, mm", "95 %, mm"), rows)


def reaching_table(title: str, metrics: Metrics) -> Table:
    """Policies: goals, success within 5, 10 and 20 mm, and the final distance (mm)."""
    rows = [
        (name, str(row["n"]), *_shares(row, 5, 10, 20), *_distances(row))
        for name, row in _policies(metrics).items()
        if row["n"]
    ]
    return Table(title, ("policy", "goals", "within 5 mm", "10 mm", "20 mm", "median, mm", "95 %, mm"), rows)


def ablation_table(metrics: Metrics) -> Table:
    """Controllers: seeds of learning, median and 95th percentile (mm) in three worlds, and mean reward in the first."""
    worlds = ("0.0", "0.3", "ideal_arm")
    found = [(name, "–", row) for name, row in metrics["baselines"].items()]
    found += [(name, str(row["0.0"]["seeds"]), row) for name, row in metrics["summary"].items()]
    rows = []
    for name, seeds, row in found:
        distances = [" / ".join(_distances(row[world])) for world in worlds]
        rows.append((name.replace("_", " "), seeds, *distances, f"{row['0.0']['mean_reward']:.2f}"))
    return Table(
        "What each part of control, and randomizing the arm, is worth",
        ("controller", "seeds", "randomized", "0.3 s later", "ideal arm", "reward"),
        rows,
        "On positions with the errors of the estimator: median / 95th percentile of the final distance, mm, means over "
        "the seeds; with the randomized delays and lags, with 0.3 s more, and on an ideal arm that is seen at once.",
    )


def seeds_table(metrics: Metrics) -> Table:
    """Methods: seeds, and the intervals of success within 5, 20 and 50 mm and of the final distance (mm)."""
    rows = []
    for name, found in metrics.items():
        summary = found["summary"]
        shares = [_interval(summary[f"success_{limit}mm"], "{:.0f}", 100) + " %" for limit in (5, 20, 50)]
        distances = [_interval(summary[key], "{:.1f}") for key in ("median_mm", "p95_mm")]
        rows.append((name, str(len(found["seeds"])), *shares, *distances))
    return Table(SEEDS, ("method", "seeds", "within 5 mm", "20 mm", "50 mm", "median, mm", "95 %, mm"), rows)


def real_table(metrics: Metrics) -> Table:
    """An estimator on frames of a real arm, with the camera's pose as given and as fitted to the other frames."""
    point = "flange" if "flange" in metrics else "tcp"
    rows = [
        (f"{point}, pose {way}", str(metrics[point]["n"]), *_figures(row, "median_mm", "worst_mm"), *_within(row))
        for way in ("given", "fitted")
        if "median_mm" in (row := metrics[point][way])
    ]
    hand, alike, told = metrics["semi_real"], metrics["likeness"], metrics["estimator"]
    if (row := metrics.get("calibrated", {"n": 0}))["n"]:
        figures = (*_figures(row, "median_mm", "worst_mm"), *_within(row))
        rows.append((f"{point}, pose and depth calibrated on the others", str(row["n"]), *figures))
    if (row := metrics.get("simulated", {"n": 0}))["n"]:
        rows.append(("the same postures in simulated rooms", str(row["n"]), *_distances(row["exact"]), "", ""))
    if hand["n"]:
        rows.append(("simulated hand drawn onto them", str(hand["n"]), *_distances(hand), "", ""))
    header = (
        "frames of a real arm",
        "frames",
        "median, mm",
        "worst (simulated: 95 %), mm",
        "within 1 sigma",
        "2 sigma",
    )
    return Table(
        "A real arm in a room of somebody else's, to which no parameter was fitted",
        header,
        rows,
        f"The frames show the tool `{told['frames_show']}`, the estimator was trained for `{told['tool']}`. The "
        "reference itself is worth 5 to 9 mm. Our arm laid onto the frames: silhouette IoU "
        f"{_or_dash(alike['iou'], '.3f')}, depth residual {_or_dash(alike['depth_median_mm'], '.1f')} mm (median). "
        "How it is measured, and by which frames of yours: `docs/your_frames.md`.",
    )


def real_row(metrics: Metrics) -> str:
    """The figures of :func:`real_table` in one row, for the README."""
    found = metrics["flange" if "flange" in metrics else "tcp"]
    seen = [frame for frame in metrics["frames"] if frame["visible"]]
    beyond = sum(frame["given"]["confessed"] for frame in seen)
    told, alike = metrics["estimator"], metrics["likeness"]
    return (
        f"**On frames of a real arm** (tool: `{told['frames_show']}`; the estimator was trained for `{told['tool']}`): "
        f"{found['n']} frames, median {found['given']['median_mm']:.0f} mm, worst {found['given']['worst_mm']:.0f} mm, "
        f"in {beyond} of {len(seen)} sigma is so large that the arm would hold still; the drawn arm covers the real "
        f"one with an IoU of {_or_dash(alike['iou'], '.2f')}, and its depth differs by "
        f"{_or_dash(alike['depth_median_mm'], '.1f')} mm."
    )


def calibration_table(metrics: Metrics) -> Table:
    """The camera's pose as calibrated by the whole arm, on hidden twins and between halves of real frames."""
    offsets, real, spoiled = metrics["hidden_with_joint_offsets"], metrics["real"], metrics["spoiled"]
    named = {
        "hidden twins": metrics["hidden"],
        "joints off by up to 1 mrad": offsets,
        "the same, the joints' offsets estimated": offsets["offsets_fitted"],
        "the networks' points alone": metrics["peers"]["tcp_point_by_the_networks"],
    }
    keys = ("median_mm", "worst_mm", "median_deg", "worst_deg")
    rows = [
        (name, f"{row['n']} of {row['n'] + row['refused']}", *(f"{row[key]:.2g}" for key in keys))
        for name, row in named.items()
        if row["n"]
    ]
    if "halves_mm" in real:
        apart = (f"{real[key]:.2g}" for key in ("halves_mm", "halves_worst_mm", "halves_deg"))
        rows.append(("two halves of the real frames, at the flange's places", "1", *apart, ""))
    return Table(
        "Where is the camera? Largest displacement over the workspace, and turn, after `calibrate --frames`, no start",
        ("captures", "calibrated", "median, mm", "worst, mm", "median, deg", "worst, deg"),
        rows,
        f"Of {spoiled['n']} spoiled captures {spoiled['refused']} were refused.",
    )


def peers_table(metrics: Metrics) -> Table:
    """Other projects compared with this one: both figures of each row, and how many times better this project's is."""
    rows = [
        (
            f"{row['what']}, {row['unit']}" if row["unit"] not in row["what"] else row["what"],
            *(f"{row[side]['value']:.3g} ({row[side]['what']})" for side in ("ours", "theirs")),
            f"{row['times_better']:.2g}",
        )
        for group in metrics["rows"].values()
        for row in group
    ]
    header = ("what", "here", "peer", "times better here")
    return Table(PEERS, header, rows, "Below 1 the peer is better. Speeds are per second of processor time.")


STAGES: dict[str, Callable[[Metrics], Table]] = {
    "perception": perception_table,
    "control": partial(
        reaching_table, "Reaching in simulation, from estimates: distance between TCP and goal when time is up"
    ),
    "rehearsal": partial(reaching_table, "The whole runtime on the twin, through the real SDK and librealsense"),
}
"""The table of each folder of results of the default path, from its ``metrics.json``."""
WRITTEN_BY = {"perception": "locate"}
"""The stage that writes a folder's metrics, where it has another name than the folder."""


def variants_table(results: Path = RESULTS) -> Table | None:
    """The end-to-end variants that have been trained: distances, minutes of a core, memory of the replay buffer (MB).

    Raises:
        DataError: a metrics file is not what the stages write.
    """

    def row(name: str, metrics: Metrics) -> Row:
        figures, memory = metrics["default"], metrics["replay_mb"]
        minutes = f"{metrics['train_processor_s'] / 60:.0f}"
        kept = f"{memory['kept']:.0f} ({memory['dict_replay_buffer']:.0f})"
        return name, str(figures["n"]), *_shares(figures, 20, 50), *_distances(figures), minutes, kept

    paths = sorted(results.glob("end_to_end_*/metrics.json"))
    rows = [found for path in paths if (found := read(path, partial(row, path.parent.name)))]
    header = ("variant", "goals", "20 mm", "50 mm", "median, mm", "95 %, mm", "min of a core")
    if not rows:
        return None
    return Table(VARIANTS, (*header, "replay, MB (DictReplayBuffer)"), rows, _to_quote(results))


def _to_quote(results: Path) -> str:
    """A sentence on the end-to-end variants in episodes on which nothing was chosen; empty without results."""

    def shares(metrics: Metrics) -> list[str]:
        cells = {name: metrics[name]["nominal"] for name in metrics if name.startswith("end_to_end_")}
        return [
            "{} {} within 20 mm, {} within 50 mm".format(name, *_shares(cell, 20, 50))
            for name, cell in cells.items()
            if cell["n"]
        ]

    said = read(results / "gauntlet/metrics.json", shares, "python -m pipelines.gauntlet")
    if not said:
        return ""
    return f"The gauntlet's nominal episodes, other ones on which nothing was chosen: {'; '.join(said)}."


def read(path: Path, build: Callable[[Any], T], writer: str = "dvc repro") -> T | None:
    """The table that ``build`` makes from a JSON file; None if the file is missing.

    Raises:
        DataError: the file is not what the command ``writer`` writes.
    """
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not what `{writer}` writes ({error!r}); run it anew") from error


def readme_tables(results: Path = RESULTS) -> str:
    """The README's three tables in Markdown, those of the default path, and a row on frames of a real arm.

    Raises:
        DataError: a metrics file is missing or not what the stages write.
    """
    real = read(results / "real/metrics.json", real_row, REAL)
    return "\n\n".join([_default_tables(results), *([real] if real else [])])


def _default_tables(results: Path) -> str:
    found = []
    for stage, build in STAGES.items():
        path = results / stage / "metrics.json"
        table = read(path, build)
        if table is None:
            raise DataError(f"{path}: no such file; `dvc repro` writes it")
        found.append(table.markdown())
    return "\n\n".join(found)


def tables(results: Path = RESULTS) -> str:
    """The default path's tables, then those of studies, variants, seeds and peers; raises the same errors as those."""
    further = (
        read(results / "unlike/metrics.json", unlike_table, UNLIKE),
        read(results / "real/metrics.json", real_table, REAL),
        read(results / "calibration/metrics.json", calibration_table, CALIBRATION),
        variants_table(results),
        read(results / "control/seeds.json", seeds_table, "python -m control.repeat"),
        read(results / "peers/metrics.json", peers_table, "python -m studies.peers"),
    )
    return "\n\n".join([_default_tables(results), *(table.markdown() for table in further if table)])


def summary(results: Path = RESULTS) -> dict[str, Metrics]:
    """The most important figures of each of :data:`HEADLINES`: distances in mm, shares of goals.

    Raises:
        DataError: a metrics file is missing or not what the stages write.
    """
    found: dict[str, Metrics] = {}
    for stage, name in HEADLINES:
        path = results / stage / "metrics.json"
        row = read(path, partial(_row_named, name))
        if row is None:
            raise DataError(f"{path}: no such file; run `dvc repro {WRITTEN_BY.get(stage, stage)}` first")
        found[f"{stage}_{name}"] = {key: row[key] for key in ("n", "median_mm", "p95_mm", "success_5mm") if key in row}
    return found


def update_readme(readme: Path = README, results: Path = RESULTS) -> None:
    """Write the present tables between the README's two markers; raises DataError if the markers are missing."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise DataError(f"{readme}: the markers '{BEGIN}' and '{END}' are missing; put them back where the table goes")
    write_whole(readme, f"{before}{BEGIN}\n{readme_tables(results)}\n{END}{after}")


def _row_named(name: str, metrics: Metrics) -> Metrics:
    row: Metrics = {**metrics["default"], **_policies(metrics)}[name]
    return row


def _policies(metrics: Metrics) -> dict[str, Metrics]:
    return {"default": metrics["default"], **metrics.get("baselines", {})}


def _distances(row: Metrics) -> tuple[str, str]:
    return f"{row['median_mm']:.1f}", f"{row['p95_mm']:.1f}"


def _figures(row: Metrics, *names: str) -> list[str]:
    return [f"{row[name]:.1f}" for name in names]


def _within(row: Metrics) -> list[str]:
    return [f"{100 * row[f'within_{count}_sigma']:.0f} %" for count in (1, 2)]


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _shares(row: Metrics, *limits_mm: int) -> list[str]:
    return [f"{100 * row[f'success_{limit}mm']:.0f} %" for limit in limits_mm]


def _interval(found: Metrics, form: str, factor: float = 1.0) -> str:
    half = f" ± {form.format(factor * found['half_width'])}" if "half_width" in found else ""
    return form.format(factor * found["mean"]) + half
