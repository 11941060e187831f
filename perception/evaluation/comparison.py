"""Figures beside those of the shipped pair: baselines and further seeds, read from the files that their commands leave.

``perception.evaluate`` takes them into its metrics as they are found. They are trained outside the default path, so
they must not be its dependencies; a digest shows instead whether they belong to the same frames.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from datasets.common.errors import DataError
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.rig import Rig

COMMANDS = {"seeds": "python -m perception.seeds", "metrics": "python -m perception.evaluate"}  # by the file's name


def frames_digest(params: FramesParams, rig: Rig) -> str:
    """Digest of everything in the parameters that decides what the frames of training and tests show."""
    plans = {}
    for name in sorted(params.splits):
        plan = SplitPlan.of(params, name, rig).description()
        plans[name] = {key: value for key, value in plan.items() if key not in ("looks", "shard_frames")}
    return hashlib.sha256(json.dumps(plans, sort_keys=True).encode()).hexdigest()[:12]


def read_figures(path: Path, digest: str) -> dict[str, Any]:
    """Figures of a file, or the reason why they cannot be compared: they are of other frames than ``digest``'s.

    Raises:
        DataError: the file cannot be read, or is not what its command writes.
    """
    command = COMMANDS.get(path.stem, "make baselines")
    try:
        figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        measured_on = figures["frames"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not figures of this version ({error!r}); delete it or run `{command}`") from error
    if measured_on != digest:
        return {"reason": f"of other frames; `{command}` repeats it with these"}
    return figures


def beside(results: Path, digest: str) -> dict[str, Any]:
    """``baselines`` by name, and ``seeds`` where there are any: what the folder of results holds of other trainings."""
    baselines = sorted((results / "baselines").glob("*.json"))
    found: dict[str, Any] = {"baselines": {path.stem: read_figures(path, digest) for path in baselines}}
    if (results / "seeds.json").is_file():
        found["seeds"] = read_figures(results / "seeds.json", digest)
    return found


def methods(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and figures by split of everything measured; the pair comes last.

    Training times are no part of it, since they may be of different machines; budgets are in the parameter files.
    """
    for name, figures in metrics["baselines"].items():
        if "reason" not in figures:
            yield name, figures
    yield "glance alone", metrics["glance"]
    yield "glance, then fovea", metrics["default"]


def draw_comparison(metrics: Mapping[str, Any], path: Path) -> None:
    """Median and 95th percentile of every method on every split, on a logarithmic scale."""
    splits = [split for split, figures in metrics["default"].items() if figures["n"]]
    shown = list(methods(metrics))
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for index, (name, figures) in enumerate(shown):
        places = [
            (place + (index - (len(shown) - 1) / 2) * 0.8 / len(shown), figures[split])
            for place, split in enumerate(splits)
            if figures.get(split, {}).get("n")
        ]
        low, high = ([row[key] for _, row in places] for key in ("median_mm", "p95_mm"))
        across = [place for place, _ in places]
        lines = axes.vlines(across, low, high, color=f"C{index}", linewidth=2)
        axes.plot(across, low, "o", color=f"C{index}", label=name)
        axes.plot(across, high, "_", color=lines.get_color()[0], markersize=9, markeredgewidth=2)
    axes.set_xticks(range(len(splits)), splits, rotation=20)
    axes.set(yscale="log", ylabel="error, mm", title="median (dot) to 95th percentile (bar)")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", which="both", alpha=0.3)
    figure.legend(loc="outside right upper")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
