"""Studies over several seeds: one row of figures per name and seed, each in its own file, and the table of all rows.

``studies/dvc.yaml`` has a stage for each row: DVC keeps finished rows and knows which ones are out of date.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets.common.errors import DataError
from datasets.common.files import read_json, write_whole

Rows = dict[str, dict[str, Any]]
"""Rows of figures by name, then by seed."""


def add_options(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Adds options: ``--only`` and ``--seeds`` choose rows; ``--seed`` and ``--gather`` each do half of the work."""
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of learning (default: 0 1 2)")
    parser.add_argument(
        "--only", nargs="+", default=list(names), choices=list(names), metavar="NAME", help="%(choices)s"
    )
    half = parser.add_mutually_exclusive_group()
    half.add_argument("--seed", type=int, help="learn with this seed alone, and leave the table to --gather")
    half.add_argument("--gather", action="store_true", help="learn nothing: put what is learnt already into the table")


def run_rows(options: argparse.Namespace, runs: Path, learn: Callable[[str, int], dict[str, Any]]) -> Rows | None:
    """Learns the rows that the options choose and returns all of them; None with ``--seed``, which only learns.

    Args:
        options: the parsed options of :func:`add_options`.
        runs: folder of the rows' files, ``<name>_<seed>.json``.
        learn: function that makes one row from its name and seed.

    Raises:
        DataError: a row that ``--gather`` needs has not been learnt yet.
    """
    import torch as th  # late, for a quick --help

    th.set_num_threads(1)
    seeds = options.seeds if options.seed is None else [options.seed]
    if not options.gather:
        for name in options.only:
            for seed in seeds:
                write_whole(runs / f"{name}_{seed}.json", json.dumps(learn(name, seed), indent=2) + "\n")
    if options.seed is not None:
        return None
    return {name: {str(seed): _row(runs, name, seed) for seed in seeds} for name in options.only}


def read_table(path: Path) -> dict[str, Any]:
    """Reads the existing table, so that rows that are not chosen stay in it; empty if there is none."""
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


def _row(runs: Path, name: str, seed: int) -> Any:
    file = runs / f"{name}_{seed}.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: no row ({error}); learn it with --only {name} --seed {seed}") from error
