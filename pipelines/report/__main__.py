"""Shows the results, read from the metrics files of the stages, as tables or as one self-contained page."""

import json
from collections.abc import Sequence
from pathlib import Path

from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.common.errors import DataError
from datasets.common.files import write_whole
from pipelines.report.page import write_page
from pipelines.report.tables import RESULTS, summary, tables, update_readme

SUMMARY = RESULTS / "summary"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = CommandParser(prog="python -m pipelines.report", description=__doc__)
    parser.add_argument("--readme", action="store_true", help="also write the tables into README.md")
    parser.add_argument("--page", action="store_true", help="write the page results/report.html instead of tables")
    parser.add_argument("--summary", action="store_true", help="write the figures to look at first, results/summary")
    parser.add_argument(
        "--gauntlet", type=Path, metavar="FOLDER", help="the page reports on this folder, and lies in it"
    )
    options = parser.parse_args(arguments)
    with command_line("pipelines.report", options):
        if options.summary:
            for name, row in summary().items():
                write_whole(SUMMARY / f"{name}.json", json.dumps(row, indent=2) + "\n")
            print(f"{SUMMARY}: `dvc metrics show` prints it")
        if options.page or options.gauntlet:
            path = (options.gauntlet or RESULTS) / "report.html"
            require_writable(path, "--page")
            if options.gauntlet and not (options.gauntlet / "metrics.json").is_file():
                raise DataError(
                    f"--gauntlet {options.gauntlet}: holds no metrics.json; name a folder that "
                    "`python -m pipelines.gauntlet` wrote"
                )
            write_page(path, gauntlet=options.gauntlet)
            print(f"{path}: open it in a browser")
        elif not options.summary:
            print(tables())
        if options.readme:
            update_readme()


if __name__ == "__main__":
    main()
