"""Compares other projects with this one: ``python -m studies.peers`` writes ``results/peers/metrics.json``.

Both sides of each row are measured in this run, in turns, and speeds are given per second of processor time, so that
other load on the machine cancels out. The peers' packages go into an environment of their own, ``--environment``; see
``studies/peers/requirements.txt``. docs/peers.md explains every row.
"""

import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")

from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.common.files import write_whole
from studies.peers.environment import ENVIRONMENT, REQUIREMENTS, Peers
from studies.peers.rows import ROWS

OUT = Path("results/peers/metrics.json")
OURS = ("mujoco", "numpy", "stable_baselines3", "torch", "timm")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure the rows and write them."""
    parser = CommandParser(prog="python -m studies.peers", description=__doc__, result=True)
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=ROWS, help="measure these anew, and keep the others of --out")
    options = parser.parse_args(arguments)
    with command_line("studies.peers", options) as tell:
        require_writable(options.out, "--out")
        kept = json.loads(options.out.read_text())["rows"] if options.only and options.out.is_file() else {}
        pins = dict(line.split("==") for line in REQUIREMENTS.read_text().split() if "==" in line)
        versions = {"ours": {name: version(name) for name in OURS}, "theirs": pins}
        for name in options.only or ROWS:
            # Each row has its own process: the peers' libraries were seen to crash one another in a long-lived one.
            with Peers(options.environment) as peers:
                kept[name] = list(ROWS[name](peers))
            for each in kept[name]:
                print(f"{each['what']}: {each['times_better']:.2f} times better than {each['theirs']['what']}")
            metrics = {"rows": {row: kept[row] for row in ROWS if row in kept}, "versions": versions}
            write_whole(options.out, json.dumps(metrics, indent=2) + "\n")
        tell(metrics, f"{options.out}: `python -m pipelines.report` shows it")


if __name__ == "__main__":
    main()
