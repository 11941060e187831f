"""Digests of the program behind a result, computed from its imports, so that a change during a run is noticed."""

import ast
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the four packages."""
PACKAGES = ("datasets", "perception", "control", "pipelines")


def import_closure(modules: Sequence[str]) -> list[str]:
    """Every file of the four packages that ``modules`` reach by imports, and the data files that those name.

    Imports inside functions count. A data file lies beside a module that contains the file's name as a string.

    Args:
        modules: dotted names, such as ``control.train``.

    Returns:
        Paths relative to :data:`ROOT`, with forward slashes, sorted.
    """
    found: set[Path] = set()
    waiting = [path for name in modules for path in _files_of(name)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            imported, data = _needs(path)
            found.update(data)
            waiting += imported
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@cache
def code_digest(*modules: str) -> str:
    """Twelve hexadecimal digits that change with the code in the import closure of ``modules``, not with comments.

    MuJoCo's version counts too: another version may render and simulate differently.
    """
    digest = hashlib.sha256(version("mujoco").encode())
    for name in import_closure(modules):
        content = (ROOT / name).read_text(encoding="utf-8")
        digest.update((code_only(content) if name.endswith(".py") else content).encode())
    return digest.hexdigest()[:12]


def code_only(source: str) -> str:
    """The syntax tree of Python source without comments and docstrings: it changes only when the program does."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = kept  # type: ignore[attr-defined]  # of those nodes that have one
    return ast.dump(tree)


def fingerprint(values: Sequence[Any], *files: Path) -> str:
    """Twelve hexadecimal digits that name a run by its parameters and the files it builds on."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _needs(path: Path) -> tuple[list[Path], list[Path]]:
    """The project's files that a module imports, and the data files beside it that it names."""
    imported: list[Path] = []
    data: list[Path] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported += [file for alias in node.names for file in _files_of(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported += [file for alias in node.names for file in _files_of(f"{node.module}.{alias.name}")]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith((".xml", ".yaml")):
            beside = path.parent / node.value
            if "/" not in node.value and beside.is_file():
                data.append(beside)
    return imported, data


def _files_of(name: str) -> Iterator[Path]:
    """The files that importing ``name`` runs: the module, or the module it is an attribute of, and their packages."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return
    for end in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:end])
        if (path / "__init__.py").is_file():
            yield path / "__init__.py"
        elif path.with_suffix(".py").is_file():
            yield path.with_suffix(".py")
