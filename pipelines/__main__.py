"""Lists every command of the project, one line each, with the first sentence of its own description.

Each is started as ``python -m MODULE`` and explains itself with ``--help``. Those directly below a package have a
console name too, once the project is installed: ``sim2real-demo`` for ``pipelines.demo``, ``sim2real-control-train``
for ``control.train``.
"""

import ast
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets.common.cli import EXIT_BAD_INPUT, CommandParser, command_line, console_name

PACKAGES = ("pipelines", "control", "perception", "datasets")
_ROOT = Path(__file__).resolve().parents[1]


def commands() -> dict[str, str]:
    """One sentence about each command, by its module; a command is a module that has a ``main`` and starts it."""
    found = {}
    for package in PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            if "main" in functions and any(isinstance(node, ast.If) for node in tree.body):
                module = ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__main__")
                paragraph = (ast.get_docstring(tree) or "").partition("\n\n")[0]
                found[module] = " ".join(paragraph.split()).partition(": ``")[0].rstrip(".")
    return found


def start() -> None:
    """Start the command that has this program's console name, exactly as ``python -m MODULE`` does."""
    name = Path(sys.argv[0]).name
    modules = {console_name(module): module for module in commands()}
    if name not in modules:
        print(f"{name}: error: no such command; `python -m pipelines` lists them", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT)
    if modules[name] == "pipelines":  # this module itself
        main()
    else:
        runpy.run_module(modules[name], run_name="__main__", alter_sys=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = CommandParser(prog="python -m pipelines", description=(__doc__ or "").partition("\n")[0], result=True)
    options = parser.parse_args(arguments)
    with command_line("pipelines", options) as tell:
        found = commands()
        tell(
            [{"module": key, "console": console_name(key), "does": value} for key, value in found.items()],
            "\n".join(f"python -m {module:31} {sentence}" for module, sentence in found.items()),
        )


if __name__ == "__main__":
    main()
