"""Trains the looks with further seeds: ``python -m perception.seeds --seeds 1 2 3`` writes their figures and spread.

Every seed draws other weights, orders and augmentations; the frames stay the same. The seed that the shipped estimator
was trained with is not trained again: its figures are those of ``results/perception/metrics.json`` where these are of
the same frames, else its looks are measured once more. A further seed takes about twenty minutes: ``dvc repro
studies/dvc.yaml:perception_seeds`` does the same and keeps what is finished.

Figures in ``results/perception/seeds.json``: ``default.<split>`` and ``glance.<split>`` have ``median_mm`` and
``p95_mm``, each with the seeds' ``values`` in order, their ``mean`` and their ``spread`` (largest less smallest).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before torch and the other training packages are imported
    from datasets.common.training_packages import PERCEPTION, require_training

    require_training("perception.seeds", PERCEPTION)

import numpy as np

from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.generation.splits import FramesParams
from datasets.rig.rig import Rig
from perception.estimator.estimator import GRAPHS
from perception.evaluation.params import LocateParams

PROG = "python -m perception.seeds"
RUNS = "runs/perception/seeds"
METRICS = "metrics.json"
FIGURES = ("median_mm", "p95_mm")


def measure(seeds: Sequence[int], params: LocateParams, runs: Path) -> dict[str, Any]:
    """Measure the looks of every seed; returns what is written as ``seeds.json``.

    Args:
        seeds: of the trainings.
        params: what is measured; its own looks count for the seed that they were trained with.
        runs: folder of the trainings, in it a folder for each seed with one for each look.

    Raises:
        ModelError: a seed has not been trained.
    """
    from perception.evaluation.measure import evaluate  # late, for a quick --help

    measured = []
    for seed in seeds:
        shipped = _shipped(seed, params)
        if shipped is not None:
            print(f"seed {seed}: as in {Path(params.results) / METRICS}")
            measured.append(shipped)
            continue
        print(f"seed {seed}: measuring")
        trained: dict[str, Any] = {look: str(folder) for look, folder in _looks(seed, params, runs).items()}
        estimator, results = (str(runs / str(seed) / name) for name in ("estimator", "results"))
        measured.append(evaluate(replace(params, **trained, estimator=estimator, results=results)))
    found: dict[str, Any] = {"seeds": list(seeds), "frames": measured[0]["frames"]}
    for look in ("default", "glance"):
        found[look] = {
            split: {"n": figures["n"]}
            | {key: _over_seeds([each[look][split][key] for each in measured]) for key in FIGURES}
            for split, figures in measured[0][look].items()
            if figures["n"]
        }
    found["train"] = [each["train"] for each in measured]
    write_whole(Path(params.results) / "seeds.json", json.dumps(found, indent=2) + "\n")
    return found


def _shipped(seed: int, params: LocateParams) -> dict[str, Any] | None:
    """What ``metrics.json`` says of this seed, where it is of these frames, and of as many of them."""
    from perception.evaluation.comparison import frames_digest, read_figures  # late, for a quick --help

    path = Path(params.results) / METRICS
    if not path.is_file():
        return None
    rig, frames = Rig.load(params.rig), load_params(params.frames, FramesParams)
    found = read_figures(path, frames_digest(frames, rig))
    if found.get("seed") != seed:
        return None
    most = params.frames_per_split or sys.maxsize
    asked = {split: min(frames.splits[split].frames, most) for split in params.splits}
    fits = all(asked[split] == row["n"] for split, row in found["default"].items() if row["n"])
    return found if fits and asked.keys() == found["default"].keys() else None


def _looks(seed: int, params: LocateParams, runs: Path) -> dict[str, Path]:
    """The folder of each look's training: those of ``params`` where they are of this seed."""
    from perception.training.summary import FILE, TrainingSummary  # late, for a quick --help

    shipped = {name: Path(getattr(params, name)) for name in GRAPHS}
    if all((folder / FILE).is_file() and TrainingSummary.read(folder).seed == seed for folder in shipped.values()):
        return shipped
    return {name: runs / str(seed) / name for name in GRAPHS}


def train_look(config: str, seed: int, folder: Path) -> None:
    """Train one look with a seed, by one thread, as studies/dvc.yaml does."""
    from perception import train  # late, for a quick --help

    arguments = {"config": config, "seed_everything": seed, "output": folder, "curves": folder, "threads": 1}
    train.main(["fit", *(f"--{key}={value}" for key, value in arguments.items())])


def _over_seeds(values: Sequence[float]) -> dict[str, Any]:
    return {
        "values": list(values),
        "mean": round(float(np.mean(values)), 3),
        "spread": round(float(np.ptp(values)), 3),
    }


def table(found: Mapping[str, Any]) -> str:
    """Mean and spread over the seeds, one line per split."""
    lines = [f"{len(found['seeds'])} seeds, mean (spread), mm\n{'split':<14}{'median':>16}{'p95':>16}"]
    for split, row in found["default"].items():
        cells = [f"{row[key]['mean']:.2f} ({row[key]['spread']:.2f})" for key in FIGURES]
        lines.append(f"{split:<14}{cells[0]:>16}{cells[1]:>16}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = CommandParser(prog=PROG, description=(__doc__ or "").split("\n")[0], result=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the trainings (default: 1 2 3)")
    parser.add_argument("--config", default="params/locate.yaml", help="what is measured (default: params/locate.yaml)")
    for look in GRAPHS:
        file = f"params/perception_{look}.yaml"
        parser.add_argument(f"--{look}", default=file, help=f"how the {look} is trained (default: {file})")
    parser.add_argument("--runs", default=RUNS, help=f"folder of the trainings (default: {RUNS})")
    parser.add_argument("--gather", action="store_true", help="train nothing: measure what is trained already")
    parser.add_argument("--frames", type=int, help="measure only this many frames of each split")
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        params = load_params(options.config, LocateParams)
        if options.frames is not None:
            params = replace(params, frames_per_split=options.frames)
        seeds, runs = options.seeds, Path(options.runs)
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ConfigError(f"--seeds must differ and not be negative, got {' '.join(map(str, seeds))}")
        require_writable_folder(runs, "--runs")
        require_writable_folder(params.results, "results")
        for seed in seeds if not options.gather else ():
            for look, folder in _looks(seed, params, runs).items() if _shipped(seed, params) is None else ():
                if folder != Path(getattr(params, look)):
                    train_look(getattr(options, look), seed, folder)
        found = measure(seeds, params, runs)
        tell(found, table(found))


if __name__ == "__main__":
    main()
