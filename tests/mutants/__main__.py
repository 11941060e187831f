"""Breaks one safety line after the other in a copy of the project; the tests named beside it must fail.

``python tests/mutants`` takes all of ``mutants.yaml``; ``python tests/mutants fence watchdog`` those whose ``what`` or
``file`` contains one of the words. Exit code 1 where a mutant survives.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("datasets", "perception", "control", "pipelines", "tests", "pyproject.toml")
FAILED = 1  # pytest's exit code where tests ran and some failed: an error of collection proves nothing


def copy_of_the_project(folder: Path) -> None:
    """Code and tests as copies, everything else as links."""
    for path in ROOT.iterdir():
        if path.name not in COPIED:
            (folder / path.name).symlink_to(path)
        elif path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder)


def tested(folder: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """The tests in the copy, up to the first that fails."""
    line = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)


def main(words: list[str]) -> int:
    """Report each mutant in a line; the number of those that survive."""
    mutants = [
        mutant
        for mutant in yaml.safe_load(Path(__file__).with_name("mutants.yaml").read_text())
        if not words or any(word in mutant["what"] + mutant["file"] for word in words)
    ]
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_project(folder)
        whole = tested(folder, sorted({test for mutant in mutants for test in mutant["tests"]}))
        if whole.returncode != 0:
            sys.exit(f"mutants: the tests must pass before a line is broken\n{whole.stdout}{whole.stderr}")
        for mutant in mutants:
            path = folder / mutant["file"]
            text = path.read_text()
            path.write_text(text.replace(mutant["line"], mutant["broken"]))
            done = tested(folder, mutant["tests"])
            path.write_text(text)
            dead = done.returncode == FAILED
            survivors += not dead
            killer = next((line for line in done.stdout.splitlines() if line.startswith("FAILED")), done.stdout)
            print(f"{'killed' if dead else 'SURVIVES'}: {mutant['what']} ({mutant['file']})\n    {killer}", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants killed")
    return survivors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python tests/mutants", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("words", nargs="*", help="take the mutants whose what or file has one of them (default: all)")
    sys.exit(bool(main(parser.parse_args().words)))
