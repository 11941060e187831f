"""Studies over several seeds: one row of figures per name and seed, each in its own file, and the table of all rows.

``studies/dvc.yaml`` has a stage for each row: DVC keeps finished rows and knows which ones are out of date. Every row
also names what it was given (parameters, rig, scenes, networks), so that no table holds rows that cannot be compared.
The program is not part of that: rows of two versions of the code may stand side by side, which only DVC notices.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from control.task.episode_seeds import LARGEST_SEED
from datasets.common.cli import seed as a_seed
from datasets.common.errors import DataError
from datasets.common.files import read_json, write_whole

Rows = dict[str, dict[str, Any]]
"""Rows of figures by name, then by seed."""
SEEDS = (0, 1, 2)
"""Seeds of the rows of a whole table."""
GIVEN = "given"
"""Key of a row's digest of what its figures depend on, the program apart."""


def add_options(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Adds options: ``--only`` and ``--seeds`` choose rows; ``--seed`` and ``--gather`` each do half of the work."""
    parser.add_argument("--seeds", type=_seed, nargs="+", default=[*SEEDS], help="of learning (default: 0 1 2)")
    parser.add_argument(
        "--only", nargs="+", default=list(names), choices=list(names), metavar="NAME", help="%(choices)s"
    )
    half = parser.add_mutually_exclusive_group()
    half.add_argument("--seed", type=_seed, help="learn with this seed alone, and leave the table to --gather")
    half.add_argument(
        "--gather",
        action="store_true",
        help="learn nothing: put what is learnt already into the table, if it was learnt with today's parameters, rig, "
        "scenes and networks; whether by today's program is not checked (`dvc repro` does)",
    )


def run_rows(
    options: argparse.Namespace, runs: Path, learn: Callable[[str, int], dict[str, Any]], given: Callable[[str], str]
) -> Rows | None:
    """Learns the rows that the options choose and returns all of them; None with ``--seed``, which only learns.

    Args:
        options: the parsed options of :func:`add_options`.
        runs: folder of the rows' files, ``<name>_<seed>.json``.
        learn: function that makes one row from its name and seed.
        given: function that returns a digest of what the rows of a name depend on now.

    Raises:
        DataError: a row that ``--gather`` needs has not been learnt yet, or not with what is given now.
    """
    import torch as th  # late, for a quick --help

    th.set_num_threads(1)
    seeds = options.seeds if options.seed is None else [options.seed]
    if not options.gather:
        for name in options.only:
            for seed in seeds:
                row = {GIVEN: given(name)} | learn(name, seed)
                write_whole(runs / f"{name}_{seed}.json", json.dumps(row, indent=2) + "\n")
    if options.seed is not None:
        return None
    return {name: {str(seed): _row(runs, name, seed, given(name)) for seed in seeds} for name in options.only}


def read_table(path: Path) -> dict[str, Any]:
    """Reads the existing table, so that rows that are not chosen can stay in it; empty if there is none."""
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


def merged(table: Rows, rows: Rows, given: Callable[[str], str]) -> Rows:
    """A former table's rows with new ones put in; those that do not depend on what is given now are left out.

    Says on stderr which are left out.
    """
    found: Rows = {}
    for name in dict.fromkeys([*table, *rows]):
        new, today = rows.get(name, {}), given(name)
        others = {seed: row for seed, row in table.get(name, {}).items() if seed not in new}
        kept = {seed: row for seed, row in others.items() if row.get(GIVEN) == today}
        if gone := [seed for seed in others if seed not in kept]:
            told = f"{name} ({', '.join(gone)}) leaves the table"
            print(f"{told}: learnt with other parameters, rig, scenes or networks", file=sys.stderr)
        if seeds := kept | new:
            found[name] = dict(sorted(seeds.items(), key=lambda item: int(item[0])))
    return found


def _seed(text: str) -> int:
    return a_seed(text, LARGEST_SEED)


def _row(runs: Path, name: str, seed: int, given: str) -> dict[str, Any]:
    file = runs / f"{name}_{seed}.json"
    again = f"learn it with --only {name} --seed {seed}"
    try:
        row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        learnt_with = row.get(GIVEN)
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{file}: no row ({error}); {again}") from error
    if learnt_with != given:
        raise DataError(f"{file}: learnt with other parameters, rig, scenes or networks than today's; {again}")
    return row
