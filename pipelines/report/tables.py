"""The results as a table, read from the metrics files the pipeline wrote: ``python -m pipelines.report``."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from datasets.common.errors import DataError
from pipelines.report.stale import seeds_note

RESULTS = Path("results")
README = Path("README.md")
BEGIN, END = "<!-- results: written by python -m pipelines.report --readme -->", "<!-- end of results -->"

VARIANTS = "The original's way: one network from the picture to the displacement, in rooms never seen"
SEEDS = "Learnt anew with other seeds: means over the seeds and their 95 % intervals (Student)"

Row = Sequence[str]


def perception_rows(metrics: dict) -> Iterator[Row]:
    """Split, frames, median and 95th percentile (mm) of the shipped estimator."""
    yield "split", "frames", "median, mm", "95 %, mm"
    for split, figures in metrics["default"].items():
        if figures["n"]:
            yield split, str(figures["n"]), f"{figures['median_mm']:.1f}", f"{figures['p95_mm']:.1f}"
        else:
            yield split, "0", figures["reason"], ""


def reaching_rows(metrics: dict) -> Iterator[Row]:
    """Policy, episodes, success within 5, 10 and 20 mm, and the final distance (mm)."""
    yield "policy", "goals", "within 5 mm", "10 mm", "20 mm", "median, mm", "95 %, mm"
    for name, figures in [("default", metrics["default"]), *metrics.get("baselines", {}).items()]:
        if figures["n"]:
            shares = [f"{100 * figures[f'success_{bound}mm']:.0f} %" for bound in (5, 10, 20)]
            yield name, str(figures["n"]), *shares, f"{figures['median_mm']:.1f}", f"{figures['p95_mm']:.1f}"


def variant_rows(found: dict[str, dict]) -> Iterator[Row]:
    """End-to-end variant, its final distances, and what it takes: minutes of learning, memory of the replay buffer."""
    yield (
        "variant",
        "goals",
        "20 mm",
        "50 mm",
        "median, mm",
        "95 %, mm",
        "learnt in, min",
        "replay, MB (DictReplayBuffer)",
    )
    for name, metrics in found.items():
        figures, memory = metrics["default"], metrics["replay_mb"]
        shares = [f"{100 * figures[f'success_{bound}mm']:.0f} %" for bound in (20, 50)]
        distances = [f"{figures[key]:.1f}" for key in ("median_mm", "p95_mm")]
        minutes, kept = f"{metrics['train_s'] / 60:.0f}", f"{memory['kept']:.0f} ({memory['dict_replay_buffer']:.0f})"
        yield name, str(figures["n"]), *shares, *distances, minutes, kept


def variants(results: Path = RESULTS) -> list[Row]:
    """The rows of the end-to-end variants that have been trained; none, or a header and one each.

    Raises:
        DataError: a metrics file is not what the stages write.
    """
    found = {}
    for path in sorted(results.glob("end_to_end_*/metrics.json")):
        try:
            found[path.parent.name] = json.loads(path.read_text())
            list(variant_rows(found))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not the metrics its stage writes ({error!r}); run `dvc repro` anew") from error
    return list(variant_rows(found)) if found else []


def to_quote(results: Path = RESULTS) -> str:
    """How the end-to-end variants did on episodes that nothing was chosen on: a sentence, or nothing without them.

    Raises:
        DataError: a metrics file is not what the gauntlet writes.
    """
    path = results / "gauntlet/metrics.json"
    try:
        metrics = json.loads(path.read_text()) if path.is_file() else {}
        cells = {name: metrics[name]["nominal"] for name in metrics if name.startswith("end_to_end_")}
        said = [
            f"{name} {100 * cell['success_20mm']:.0f} % within 20 mm, {100 * cell['success_50mm']:.0f} % within 50 mm"
            for name, cell in cells.items()
            if cell["n"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not what the gauntlet writes ({error!r}); run `dvc repro` anew") from error
    if not said:
        return ""
    return (
        "On these episodes it was chosen how many pictures there are for each update. The ones to quote are the "
        f"gauntlet's nominal ones, on which nothing was chosen: {'; '.join(said)}."
    )


def seed_rows(metrics: dict) -> Iterator[Row]:
    """Method, seeds, and the intervals of success within 5, 20 and 50 mm and of the final distance (mm)."""
    yield "method", "seeds", "within 5 mm", "20 mm", "50 mm", "median, mm", "95 %, mm"
    for name, found in metrics.items():
        summary = found["summary"]
        shares = [_interval(summary[f"success_{bound}mm"], "{:.0f}", 100) + " %" for bound in (5, 20, 50)]
        distances = [_interval(summary[key], "{:.1f}") for key in ("median_mm", "p95_mm")]
        yield name, str(len(found["seeds"])), *shares, *distances


def ablation_rows(metrics: dict) -> Iterator[Row]:
    """Controller, seeds of learning, median and 95th percentile (mm) in three worlds, and mean reward in the first."""
    yield "controller", "seeds", "randomized", "0.3 s later", "ideal arm", "reward"
    worlds = ("0.0", "0.3", "ideal_arm")
    rows = [(name, "–", row) for name, row in metrics["baselines"].items()]
    rows += [(name, str(row["0.0"]["seeds"]), row) for name, row in metrics["summary"].items()]
    for name, seeds, row in rows:
        cells = [f"{row[world]['median_mm']:.1f} / {row[world]['p95_mm']:.1f}" for world in worlds]
        yield name.replace("_", " "), seeds, *cells, f"{row['0.0']['mean_reward']:.2f}"


def _interval(found: dict, form: str, factor: float = 1.0) -> str:
    half = f" ± {form.format(factor * found['half_width'])}" if "half_width" in found else ""
    return form.format(factor * found["mean"]) + half


def tables(results: Path = RESULTS) -> str:
    """All tables in Markdown.

    Raises:
        DataError: a metrics file is missing or not what the stages write.
    """
    parts = [
        _table(
            "Where is the TCP? Distance between estimate and truth, on frames never seen",
            results / "perception/metrics.json",
            perception_rows,
        ),
        _table(
            "Reaching in simulation, from estimates: distance between TCP and goal when time is up",
            results / "control/metrics.json",
            reaching_rows,
        ),
        _table(
            "The whole runtime on the twin, through the real SDK and librealsense",
            results / "rehearsal/metrics.json",
            reaching_rows,
        ),
    ]
    trained = variants(results)
    if trained:
        parts += [f"**{VARIANTS}**\n\n{_markdown(trained)}", to_quote(results)]
    seeds = results / "control/seeds.json"
    if seeds.is_file():
        parts += [
            _table(SEEDS, seeds, seed_rows, "python -m control.repeat"),
            seeds_note(json.loads(seeds.read_text())),
        ]
    return "\n\n".join(part for part in parts if part)


def _table(title: str, path: Path, rows: Callable[[dict], Iterator[Row]], writer: str = "dvc repro") -> str:
    try:
        return f"**{title}**\n\n{_markdown(list(rows(json.loads(path.read_text()))))}"
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; `{writer}` writes it") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not what `{writer}` writes ({error!r}); run it anew") from error


def update_readme(readme: Path = README, results: Path = RESULTS) -> None:
    """Put today's tables between the README's two markers; raises DataError when they are not there."""
    text = readme.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise DataError(f"{readme}: the markers '{BEGIN}' and '{END}' are missing; put them back where the table goes")
    readme.write_text(f"{before}{BEGIN}\n{tables(results)}\n{END}{after}")


def _markdown(rows: list[Row]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
