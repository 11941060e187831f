"""Draws the folders and the imports between them into ``docs/architecture.md``: ``python docs/map.py``.

Each floor is one Mermaid graph of its folders and commands; an arrow points from what imports to what is imported, and
is left out where other arrows already lead there. The list of folders below each graph carries the first sentence of
each folder's own docstring, so that page and code cannot disagree (``tests/test_architecture.py``).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/architecture.md"
FLOORS = ("pipelines", "control", "perception", "datasets")
BEGIN, END = "<!-- map: written by python docs/map.py -->", "<!-- end of map -->"

Arrows = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Every module of the four packages by its dotted name."""
    found = {}
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the four packages that one file imports, lazily or not."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in known or node.module in known:
                    yield whole if whole in known else node.module


def room(module: str) -> str:
    """What stands in a floor's graph for a module: the folder or the single module directly below its floor."""
    return ".".join(module.split(".")[:2])


def arrows(key: str = "") -> Arrows:
    """Which room imports which, below the package ``key`` (default: all floors), itself left out."""
    known = modules()
    depth = key.count(".") + 2 if key else 1
    found: Arrows = {}
    for name, path in known.items():
        if key and not name.startswith(f"{key}."):
            continue
        here = ".".join(name.split(".")[:depth])
        found.setdefault(here, set())
        for other in imports(path, known):
            there = ".".join(other.split(".")[:depth])
            if (not key or other.startswith(f"{key}.")) and there != here:
                found[here].add(there)
    return found


def reduced(graph: Arrows) -> Arrows:
    """The same reachability with the fewest arrows; ``graph`` has no circle."""

    def reach(start: str) -> set[str]:
        return {end for step in graph.get(start, ()) for end in {step} | reach(step)}

    return {
        name: {one for one in others if not any(one in reach(other) for other in others - {one})}
        for name, others in graph.items()
    }


def sentence(path: Path) -> str:
    """The first sentence of a module's or package's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].replace("\n", " ")


def floor_map(floor: str) -> Iterator[str]:
    """One floor's graph and list, as lines of Markdown."""
    known, graph = modules(), arrows(floor)
    yield f"### {floor}\n"
    yield "```mermaid\nflowchart TD"
    for name, others in sorted(reduced(graph).items()):
        if name.endswith(".__main__"):
            continue
        yield f"    {name.split('.')[1]}"
        yield from (f"    {name.split('.')[1]} --> {other.split('.')[1]}" for other in sorted(others))
    yield "```\n"
    for name in sorted(graph, key=lambda name: (known[name].name == "__init__.py", name)):
        is_folder = known[name].name == "__init__.py"
        shown = f"{name.replace('.', '/')}/" if is_folder else f"python -m {name.removesuffix('.__main__')}"
        yield f"- `{shown}`: {sentence(known[name])}"
        if is_folder:
            yield from _below(name, known)
    yield ""


def _below(package: str, known: dict[str, Path]) -> Iterator[str]:
    """The folders inside a folder, a line each."""
    for name, path in known.items():
        if name.startswith(f"{package}.") and path.name == "__init__.py":
            yield f"{'  ' * (name.count('.') - 1)}- `{name.replace('.', '/')}/`: {sentence(path)}"


def page_part() -> str:
    """All of what stands between the page's two markers."""
    return "\n".join(line for floor in FLOORS for line in floor_map(floor)).strip()


def main() -> None:
    """Write the page anew."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{page_part()}\n{END}{after}")


if __name__ == "__main__":
    main()
