"""Every method in every kind of gap between simulation and world, on the same seeded episodes.

Writes metrics.json, episodes.csv, heatmap.png, camera.png and gaps.png. Finished cells are kept: a run that was stopped
continues where it was, and a run after a change repeats only the cells that the change affects.
"""

import argparse
import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before torch and similar packages are imported
    from datasets.common.training_packages import require_training

    require_training("pipelines.gauntlet")

from tqdm import tqdm

from control.task.episodes import Episode
from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.config import load_params
from datasets.common.errors import DataError
from datasets.common.files import write_whole
from datasets.common.workers import Workers, add_worker_options
from datasets.rig.rig import Rig
from datasets.scene.renderer import require_gl
from pipelines.gauntlet.cells import Cache, run_cells
from pipelines.gauntlet.gaps import Gap
from pipelines.gauntlet.plan import GauntletParams, Plan, make_plan
from pipelines.gauntlet.scores import MEASURES, cell_metrics, compare

PROG = "pipelines.gauntlet"
SHOWN = Path("results/gauntlet")
"""The folder in which the report looks for a gauntlet when no other is given."""
OURS = "default"
RIVALS = ("proportional", "proportional_fused")

Found = dict[str, dict[str, list[Episode]]]
"""Episodes by method and gap."""


def run(params: GauntletParams, plan: Plan, workers: Workers) -> tuple[Found, float]:
    """Every cell's episodes, and the processor seconds that this run took; cells in the cache are not run again.

    Raises:
        ModelError: a network is missing or made for another rig.
        DataError: a worker died; finished cells stay in the cache.
    """
    seeds = range(params.seed, params.seed + params.episodes)
    cache = Cache(params.runs)
    digests = {key: cell.digest() for key, cell in plan.cells.items()}
    # Cells of the true state that differ only in pictures share a digest, and are run once.
    missing = {digest: plan.cells[key] for key, digest in digests.items() if cache.read(digest, seeds) is None}
    spent = 0.0
    with tqdm(total=len(set(digests.values())), initial=len(set(digests.values())) - len(missing)) as progress:
        progress.set_description("gauntlet")
        progress.unit = "cell"
        for digest, seconds in run_cells(list(missing.items()), seeds, cache, workers):
            spent += seconds
            progress.update()
            done = missing[digest]
            progress.set_postfix_str(f"{done.method_name} / {done.gap_name}: {seconds:.0f} s")
    found: Found = {}
    for (method, gap), digest in digests.items():
        episodes = cache.read(digest, seeds)
        assert episodes is not None
        found.setdefault(method, {})[gap] = episodes
    return found, spent


def metrics(params: GauntletParams, plan: Plan, found: Found) -> dict[str, Any]:
    """The documented keys of metrics.json: each method's gaps, then ``comparison`` and ``about``."""
    results: dict[str, Any] = {
        name: {gap: cell_metrics(episodes) for gap, episodes in gaps.items()} for name, gaps in found.items()
    }
    for (name, gap), reason in plan.skipped.items():
        results.setdefault(name, {})[gap] = {"n": 0, "reason": reason}
    order = [*params.gaps, *params.camera_map.gaps()]
    results = {
        name: dict(sorted(results[name].items(), key=lambda item: order.index(item[0])))
        for name in params.methods
        if name in results
    }
    comparison = {
        f"{OURS}_minus_{rival}": {
            measure: compare(_listed(params, found[OURS]), _listed(params, found[rival]), measure)
            for measure in MEASURES
        }
        for rival in RIVALS
        if OURS in found and rival in found
    }
    shown = {gap for gaps in results.values() for gap in gaps}
    known = params.gaps | params.camera_map.gaps()
    about = {
        "episodes": params.episodes,
        "seed": params.seed,
        "methods": {name: params.methods[name].title for name in results},
        "gaps": {
            name: {"title": gap.title, "group": gap.group} | _unnoticed(gap)
            for name, gap in known.items()
            if name in shown
        },
    }
    return {**results, "comparison": comparison, "about": about}


def write(params: GauntletParams, rig: Rig, plan: Plan, found: Found) -> dict[str, Any]:
    """Write the metrics, every episode and the pictures; returns the metrics."""
    from pipelines.gauntlet.pictures import draw_camera_maps, draw_gaps, draw_heat_map  # late, for a quick --help

    written = metrics(params, plan, found)
    folder = Path(params.results)
    try:
        write_whole(folder / "episodes.csv", _table(found))
        draw_heat_map(written, folder / "heatmap.png")
        draw_camera_maps(written, folder / "camera.png")
        drawn = {cell.gap_name: cell for cell in plan.cells.values() if cell.method.looks}
        draw_gaps(list(drawn.values()), params.seed, rig, folder / "gaps.png")
        write_whole(folder / "metrics.json", json.dumps(written, indent=2) + "\n")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error}); the cells are kept, run the same again") from error
    return written


def _table(found: Found) -> str:
    """All episodes as CSV text."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["method", "gap", "seed", "final_mm", "arrival_s", "reward"])
    for name, gaps in found.items():
        for gap, episodes in gaps.items():
            writer.writerows(
                [name, gap, one.seed, f"{1000 * one.final_m:.3f}", f"{one.arrival_s:.2f}", f"{one.reward:.4f}"]
                for one in episodes
            )
    return table.getvalue()


def _listed(params: GauntletParams, gaps: Mapping[str, list[Episode]]) -> dict[str, list[Episode]]:
    """The gaps without those of the camera map, which not every method runs."""
    return {gap: episodes for gap, episodes in gaps.items() if gap in params.gaps}


def _unnoticed(gap: Gap) -> dict[str, list[float]]:
    """How far the camera is off, in mm and degrees, in gaps that the estimator does not know of."""
    if gap.group == "nominal":
        return {"camera_off": [0.0, 0.0]}
    if gap.camera.get("told_rig"):
        offset_mm = round(1000 * float(gap.camera.get("offset_m", 0.0)), 3)
        return {"camera_off": [offset_mm, float(gap.camera.get("rotation_deg", 0.0))]}
    return {}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = CommandParser(
        prog=f"python -m {PROG}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        result=True,
    )
    parser.add_argument("--config", default="params/gauntlet.yaml", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--methods", type=_names, default=[], metavar="A,B", help="only these (default: all)")
    parser.add_argument("--cells", type=_names, default=[], metavar="A,B", help="only these gaps (default: all)")
    parser.add_argument("--episodes", type=int, metavar="N", help="of each cell, instead of the file's")
    add_worker_options(parser, "the file's")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="results go here (default: the file's; runs/gauntlet/selection with any of the filters)",
    )
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        params = load_params(options.config, GauntletParams)
        output = options.output
        if output is None and (options.methods or options.cells or options.episodes is not None):
            output = str(Path(params.runs) / "selection")  # a part of the gauntlet must not be taken for the whole
        if output is not None:
            params = replace(params, results=output)
        if options.episodes is not None:
            params = replace(params, episodes=options.episodes)
        workers = Workers.of(options, params.workers)
        for name in ("results", "runs"):
            require_writable_folder(getattr(params, name), name)
        rig = Rig.load()
        plan = make_plan(params, rig, options.methods, options.cells)
        if not plan.cells:
            reason = next(iter(plan.skipped.values()), "these methods and gaps do not meet")
            raise DataError(f"nothing to run: {reason}")
        require_gl()
        began = time.monotonic()
        found, spent = run(params, plan, workers)
        written = write(params, rig, plan, found)
        lines = [f"skipped: {reason}" for reason in dict.fromkeys(plan.skipped.values())]
        for name, gaps in found.items():
            lines.append(f"\n{written['about']['methods'][name]}")
            for gap in gaps:
                row = written[name][gap]
                shares = "  ".join(f"<{limit} mm {row[f'success_{limit}mm']:4.0%}" for limit in (5, 10, 20, 50))
                lines.append(f"  {gap:24}{shares}   median {row['median_mm']:6.1f} mm   95 % {row['p95_mm']:6.1f} mm")
        folder = "" if Path(params.results) == SHOWN else f" --gauntlet {params.results}"
        seconds = f"{time.monotonic() - began:.0f} s, {spent:.0f} s of a processor"
        lines.append(f"\n{params.results}: written ({seconds}); `python -m pipelines.report --page{folder}` shows it")
        tell(written, "\n".join(lines))


if __name__ == "__main__":
    main()
