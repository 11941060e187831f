"""The results as one self-contained page: ``python -m pipelines.report --page`` writes results/report.html.

It is made from the metrics files and pictures that the stages wrote; it names the results that are still missing.
"""

import base64
from functools import partial
from html import escape
from pathlib import Path

from datasets.common.errors import DataError
from datasets.common.files import write_whole
from pipelines.gauntlet.reading import LIMIT_MM, Metrics, camera_tolerance, gap_names, method_names
from pipelines.report.comparisons import comparisons, verdict_counts
from pipelines.report.tables import (
    RESULTS,
    STAGES,
    UNLIKE,
    WRITTEN_BY,
    ablation_table,
    baselines_table,
    read,
    unlike_table,
    variants_table,
)

GROUPS = {
    "nominal": "As in the simulation",
    "camera": "The camera is not as in the rig, and was not measured again, but where it says calibrated",
    "picture": "The picture is different",
    "dynamics": "The arm or the loop is different",
}
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2024; max-width: 1080px; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
p { margin: .4rem 0; max-width: 52rem; } .note { color: #5b6470; font-size: .88rem; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.1rem 0; }
.card { flex: 1 1 12rem; border: 1px solid #dfe3e8; border-radius: 8px; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.45rem; } .card span { color: #5b6470; font-size: .88rem; }
table { border-collapse: collapse; font-size: .88rem; margin: .5rem 0; }
th, td { padding: .26rem .6rem; text-align: right; border-bottom: 1px solid #eceff2; }
th:first-child, td:first-child { text-align: left; }
thead th { vertical-align: bottom; border-bottom: 2px solid #cfd6dd; }
.heat { width: 100%; } .heat td { border: 2px solid #fff; text-align: center; }
.heat td:first-child { text-align: left; }
.heat th { text-align: center; font-weight: 600; } .heat th:first-child { text-align: left; }
.heat { table-layout: fixed; } .heat th:first-child { width: 14.6rem; } .heat td:first-child { white-space: nowrap; }
.heat td { padding: .2rem .3rem; } .heat td small { opacity: .8; margin-left: .35em; }
.heat .group td { text-align: left; color: #5b6470; padding-top: .6rem; }
details { margin: .5rem 0; } summary { cursor: pointer; color: #3b5b92; }
.ahead { color: #00703c; font-weight: 600; } .behind { color: #b3261e; font-weight: 600; }
img { max-width: 100%; height: auto; } .tables { display: flex; flex-wrap: wrap; gap: 0 2.5rem; }
"""


def write_page(path: Path, results: Path = RESULTS, gauntlet: Path | None = None) -> None:
    """Write the page completely or not at all.

    Args:
        path: the file to write.
        results: the folder that holds the stages' folders.
        gauntlet: the gauntlet's folder (default: that in ``results``).

    Raises:
        DataError: a metrics file is not what its stage writes, or the page cannot be written.
    """
    folder = results / "gauntlet" if gauntlet is None else gauntlet
    gauntlet_part = read(folder / "metrics.json", partial(_gauntlet, folder), "python -m pipelines.gauntlet")
    body = [gauntlet_part or _missing("gauntlet", "python -m pipelines.gauntlet"), _stages(results)]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Sim-to-real reach: results</title>'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )
    try:
        write_whole(path, page)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}); make room or choose another folder") from error


def _gauntlet(folder: Path, metrics: Metrics) -> str:
    about = metrics["about"]
    parts = [
        "<h1>Reaching by sight alone: what is it worth when the world differs from the simulation?</h1>",
        "<p>An xArm7 moves its tool to a goal seeing nothing but one RGB-D camera. Every method below was trained or "
        f"tuned in simulation, then run in worlds that each differ from it in one way: {about['episodes']} episodes of "
        "5 s per cell, the same goals, arms, rooms and noise for every method. An episode counts by where the tool "
        "<i>is</i> when time is up.</p>",
        _cards(metrics),
        "<h2>Every method in every gap</h2>",
        f'<p class="note">Share of episodes that end within {LIMIT_MM} mm; beside it the median and the 95th '
        "percentile of the final distance, mm. Rest the pointer on a cell for other limits and 95 % intervals.</p>",
        _heat_table(metrics),
        _payload(metrics),
        _originals(metrics),
        _skipped(metrics),
    ]
    if (folder / "camera.png").is_file():
        parts += [
            "<h2>How far may the camera be off?</h2>",
            "<p>The camera was moved or turned in a random direction and not measured again: the estimator is "
            f"given the old pose. {escape(_tolerances(metrics))}</p>",
            _image(folder / "camera.png", "Success against displacement and rotation of the camera"),
        ]
    if metrics["comparison"]:
        parts += ["<h2>Does the trained actor earn its keep?</h2>", comparisons(metrics)]
    if (folder / "gaps.png").is_file():
        parts += [
            "<h2>What the gaps look like</h2>",
            _image(folder / "gaps.png", "The camera's view of the arm at home in each gap"),
        ]
    return "\n".join(parts)


def _cards(metrics: Metrics) -> str:
    cards = []
    ours = metrics.get("default", {})
    nominal = ours.get("nominal", {"n": 0})
    if nominal["n"]:
        low, high = nominal["success_10mm_ci"]
        cards.append(
            (
                f"{_percent(nominal['success_10mm'])} within 10 mm",
                f"default, nominal world (95 % interval {_percent(low)} to {_percent(high)}); "
                f"median {nominal['median_mm']:.1f} mm",
            )
        )
        run = [gap for gap in gap_names(metrics) if ours.get(gap, {"n": 0})["n"] and gap != "nominal"]
        held = sum(ours[gap][f"success_{LIMIT_MM}mm"] >= 0.9 for gap in run)
        if run:
            worst = min(run, key=lambda gap: (ours[gap][f"success_{LIMIT_MM}mm"], -ours[gap]["median_mm"]))
            title = metrics["about"]["gaps"][worst]["title"]
            cards.append(
                (
                    f"{held} of {len(run)} gaps held",
                    f"at least 90 % within {LIMIT_MM} mm; worst: {title}, "
                    f"{_percent(ours[worst][f'success_{LIMIT_MM}mm'])}, median {ours[worst]['median_mm']:.1f} mm",
                )
            )
    rival = metrics["comparison"].get("default_minus_proportional")
    if rival:
        by_end, by_time = (verdict_counts(rival[measure]) for measure in ("final_mm", "arrival_s"))
        cards.append(
            (
                f"{by_end['ahead']} ahead, {by_end['behind']} behind",
                f"by final distance, of {len(rival['final_mm'])} gaps, against the tuned proportional controller; "
                f"by time to the goal {by_time['ahead']} ahead, {by_time['behind']} behind",
            )
        )
    found = "".join(f'<div class="card"><b>{escape(head)}</b><span>{escape(text)}</span></div>' for head, text in cards)
    return f'<div class="cards">{found}</div>'


def _heat_table(metrics: Metrics) -> str:
    about, methods = metrics["about"], method_names(metrics)
    head = "".join(f"<th>{escape(about['methods'][name])}</th>" for name in methods)
    rows, group = [], None
    for gap in gap_names(metrics):
        told = about["gaps"][gap]
        if told["group"] != group:
            group = told["group"]
            rows.append(f'<tr class="group"><td colspan="{len(methods) + 1}">{GROUPS[group]}</td></tr>')
        cells = "".join(_heat_cell(metrics[name].get(gap)) for name in methods)
        rows.append(f"<tr><td>{escape(told['title'])}</td>{cells}</tr>")
    return f'<table class="heat"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _payload(metrics: Metrics) -> str:
    """A note that says with which gap to compare the payload, the one gap that differs in two ways."""
    titles = {name: escape(gap["title"]) for name, gap in metrics["about"]["gaps"].items()}
    if "payload" not in titles:
        return ""
    against = f"“{titles['physics']}”" if "physics" in titles else "the same joints without it, which were not run"
    return (
        f'<p class="note">“{titles["payload"]}” alone differs in two ways, by the model of the arm and by the mass '
        f"that hangs on it: what the mass costs is its difference from {against}.</p>"
    )


def _originals(metrics: Metrics) -> str:
    """The nominal episodes by the original project's measure, and the times of their arrival at the goal."""
    said = []
    for name in method_names(metrics):
        cell = metrics[name].get("nominal", {"n": 0})
        if cell["n"]:
            said.append(f"{metrics['about']['methods'][name]} {_percent(cell['success_50mm'])}, {_arrival(cell)}")
    if not said:
        return ""
    return (
        '<p class="note">Nominal, within the 50 mm that counted as success in the original project (and the median '
        f"time from which the tool stays within 10 mm): {escape('; '.join(said))}.</p>"
    )


def _arrival(cell: dict) -> str:
    """The median time to the goal over the episodes that settle there, if at least half of them do."""
    if cell["arrived"] >= 0.5:
        return f"there after {cell['arrival_s']:.1f} s"
    return f"settled within 10 mm in {_percent(cell['arrived'])}"


def _heat_cell(cell: dict | None) -> str:
    if cell is None or not cell["n"]:
        return f'<td title="{escape((cell or {}).get("reason", "not run"), quote=True)}">–</td>'
    share = cell[f"success_{LIMIT_MM}mm"]
    limits = "; ".join(
        f"within {limit} mm {_percent(cell[f'success_{limit}mm'])} "
        f"({_percent(cell[f'success_{limit}mm_ci'][0])} to {_percent(cell[f'success_{limit}mm_ci'][1])})"
        for limit in (5, 10, 20, 50)
    )
    # From red over yellow to green; light enough for black text throughout.
    colour = f"hsl({round(125 * share)} 58% 74%)"
    return (
        f'<td style="background:{colour}" title="{escape(limits + "; " + _arrival(cell), quote=True)}">'
        f"{_percent(share)}<small>{cell['median_mm']:.1f} / {cell['p95_mm']:.1f}</small></td>"
    )


def _skipped(metrics: Metrics) -> str:
    reasons: dict[str, list[str]] = {}
    for name in method_names(metrics):
        for gap, cell in metrics[name].items():
            if not cell["n"]:
                reasons.setdefault(cell["reason"], []).append(f"{name} / {gap}")
    lines = [
        f"Not run: {escape(', '.join(cells[:3]))}{f' and {len(cells) - 3} more cells' if len(cells) > 3 else ''}. "
        f"{escape(reason)}."
        for reason, cells in reasons.items()
    ]
    return "".join(f'<p class="note">{line}</p>' for line in lines)


def _tolerances(metrics: Metrics) -> str:
    said = []
    for name in method_names(metrics):
        if name == "true_state":
            continue
        moved, turned = (camera_tolerance(metrics, name, axis) for axis in (0, 1))
        if moved is not None and turned is not None:
            said.append(f"{metrics['about']['methods'][name]}: {moved:.0f} mm or {turned:.1f}°")
    if not said:
        return f"No method ends within {LIMIT_MM} mm in 90 % of the nominal episodes and was run with a moved camera."
    return f"At least 90 % still end within {LIMIT_MM} mm up to: " + "; ".join(said) + "."


def _stages(results: Path) -> str:
    sections = []
    for stage, build in STAGES.items():
        table = read(results / stage / "metrics.json", build)
        sections.append(table.html() if table else _missing(stage, f"dvc repro {WRITTEN_BY.get(stage, stage)}"))
    baselines = read(results / "perception/metrics.json", baselines_table)
    ablation = read(results / "control/ablation.json", ablation_table, "python -m control.ablation")
    unlike = read(results / "unlike/metrics.json", unlike_table, UNLIKE)
    sections[0] += "".join(table.html() for table in (unlike, baselines) if table and table.rows)
    sections += [table.html() for table in (variants_table(results), ablation) if table]
    return "\n".join(['<div class="tables">', *(f"<section>{section}</section>" for section in sections), "</div>"])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _missing(stage: str, command: str) -> str:
    return f'<p class="note">Not measured yet: the stage {escape(stage)} has left no metrics (`{escape(command)}`).</p>'


def _image(path: Path, text: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{escape(text, quote=True)}" src="data:image/png;base64,{data}">'
