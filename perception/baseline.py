"""Measures one trained look by itself on the test splits' stored glances: ``python -m perception.baseline conv3_rgb``.

Writes ``results/perception/baselines/<name>.json``, which ``perception.evaluate`` shows beside the default estimator.
The position is found in the camera's frame and carried to the base by the pose that the estimator is given.
"""

import json
from pathlib import Path

if __name__ == "__main__":  # before torch and the other training packages are imported
    from datasets.common.training_packages import PERCEPTION, require_training

    require_training("perception.baseline", PERCEPTION)

from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.common.config import load_params
from datasets.common.files import write_whole
from perception.evaluation.params import LocateParams

PROG = "python -m perception.baseline"
RUNS = Path("runs/perception")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = CommandParser(prog=PROG, description=(__doc__ or "").split("\n")[0], result=True)
    parser.add_argument("name", help="of the training run, a folder of --runs")
    parser.add_argument("--config", default="params/locate.yaml", help="names the splits (default: params/locate.yaml)")
    parser.add_argument("--store", default="data/frames", help="the frames (default: data/frames)")
    parser.add_argument("--runs", default=str(RUNS), help=f"folder of training runs (default: {RUNS})")
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        params = load_params(options.config, LocateParams)
        path = Path(params.results) / "baselines" / f"{options.name}.json"
        require_writable(path, "results")
        from perception.evaluation.one_look import measure_look  # late, for a quick --help

        figures = measure_look(Path(options.runs) / options.name, options.store, params)
        write_whole(path, json.dumps(figures, indent=2) + "\n")
        tell(figures, "\n".join(f"{split} {figures[split]}" for split in params.splits))


if __name__ == "__main__":
    main()
