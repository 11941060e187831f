"""The results as a table, read from the metrics files the pipeline wrote: ``python -m pipelines.report``."""

import argparse
from collections.abc import Sequence

from datasets.common.cli import command_line
from pipelines.report.tables import tables, update_readme


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.report", description=__doc__)
    parser.add_argument("--readme", action="store_true", help="also write the tables into README.md")
    options = parser.parse_args(arguments)
    with command_line("pipelines.report"):
        print(tables())
        if options.readme:
            update_readme()


if __name__ == "__main__":
    main()
