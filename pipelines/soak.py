"""The whole runtime for an hour on the twin, watching what it holds: runs ``tests/benchmarks/soak`` of the clone."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets.common.cli import command_line
from datasets.common.errors import ConfigError
from pipelines.observers.output import unhurried_output

BENCHMARKS = Path(__file__).parents[1] / "tests" / "benchmarks"


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; its options are those of ``tests/benchmarks/soak/run.py``."""
    with command_line("pipelines.soak"):
        if not (BENCHMARKS / "soak" / "run.py").is_file():
            raise ConfigError(
                f"{BENCHMARKS / 'soak'} is missing: it comes with a clone of the repository; run it there"
            )
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    importlib.import_module("soak.run").main(arguments)


if __name__ == "__main__":
    main()
