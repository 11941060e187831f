"""What is written in the code, as the documentation site shows it: docstrings, formulas and graphs (``mkdocs.yml``).

The code's docstrings name other things by Sphinx's roles and write formulas by its ``math`` directive. Here both become
what a browser draws by itself, code and MathML, and Mermaid's graphs become SVG: no page fetches anything.
"""

import re
import textwrap
from collections import defaultdict
from html import escape
from itertools import pairwise

import griffe
from latex2mathml.converter import convert

_INLINE, _BLOCK = "inline", "block"
_DIRECTIVE = re.compile(r"^( *)\.\. math::(.*)(?:\n|\Z)((?:\n|\1 {3,}.*(?:\n|$))*)", re.MULTILINE)
_ROLE = re.compile(r":(?:mod|class|func|meth|attr|data):`~?([^`]+)`")


def formula(latex: str, display: str = _INLINE) -> str:
    """LaTeX as MathML that Markdown leaves as it is, also where it begins a line."""
    latex = " ".join(latex.split())
    if r"\\" in latex and r"\begin" not in latex:
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    drawn = convert(latex, display=display).replace("*", "&#42;").replace("_", "&#95;")
    return f"\n\n{drawn}\n\n" if display == _BLOCK else f"<span>{drawn}</span>"


def formulas(text: str) -> str:
    """Markdown with the formulas between dollars drawn, those in code left alone."""
    parts = re.split(r"(^ *```.*?^ *```$|`[^`\n]+`)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if index % 2 else _dollars(part) for index, part in enumerate(parts))


def _dollars(text: str) -> str:
    text = re.sub(r"\$\$(.+?)\$\$", lambda match: formula(match[1], _BLOCK), text, flags=re.DOTALL)
    return re.sub(r"(?<![\\$\w])\$([^$\n]+?)\$(?!\w)", lambda match: formula(match[1]), text)


def docstring(text: str) -> str:
    """A docstring as Markdown: Sphinx's formulas drawn, its roles as code."""

    def block(match: re.Match[str]) -> str:
        return textwrap.indent(formula(f"{match[2]} {match[3]}", _BLOCK), match[1])

    text = _DIRECTIVE.sub(block, text)
    text = re.sub(r":math:`([^`]+)`", lambda match: formula(match[1]), text)
    return _ROLE.sub(r"`\1`", text)


class Docstrings(griffe.Extension):
    """Gives mkdocstrings every docstring as Markdown."""

    def on_object(self, *, obj: griffe.Object, **named: object) -> None:
        """Called by Griffe for each module, class, function and attribute that it has read."""
        if obj.docstring is not None:
            obj.docstring.value = docstring(obj.docstring.value)


GAP_PX, ROW_PX, BOX_PX = 18, 64, 26


def graph(mermaid: str) -> str:
    """A Mermaid flow chart of boxes and arrows as SVG: arrows point down, every box as high as its arrows let it."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for name, _, other in re.findall(r"^ +(\w+)( --> (\w+))?$", mermaid, re.MULTILINE):
        arrows[name] |= {other} - {""}
    row = dict.fromkeys(sorted({*arrows} | {each for others in arrows.values() for each in others}), 0)
    for _ in row:
        for name, others in arrows.items():
            row |= {other: max(row[other], row[name] + 1) for other in others}
    # An arrow over several rows passes a place of its own in each of them.
    ways = {(a, b): [a, *(f"{a}>{b}>{at}" for at in range(row[a] + 1, row[b])), b] for a in arrows for b in arrows[a]}
    row |= {each: row[a] + step for (a, _), way in ways.items() for step, each in enumerate(way)}
    joined: dict[str, set[str]] = defaultdict(set)
    for way in ways.values():
        for one, other in pairwise(way):
            joined[one].add(other)
            joined[other].add(one)
    rows = [[each for each in row if row[each] == at] for at in range(max(row.values(), default=0) + 1)]
    width = {each: 8 if ">" in each else 8 * len(each) + 20 for each in row}
    whole = max(sum(width[each] + GAP_PX for each in line) for line in rows)
    x = dict.fromkeys(row, whole / 2)
    for _ in range(12):  # each box stands in its row where what it is joined to lies in the middle
        for line in (*rows, *reversed(rows)):
            line.sort(key=lambda each: sum(x[near] for near in joined[each] or {each}) / len(joined[each] or {each}))
            left = (whole - sum(width[each] + GAP_PX for each in line)) / 2
            for each in line:
                x[each] = left + (GAP_PX + width[each]) / 2
                left += GAP_PX + width[each]
    drawn = []
    for way in ways.values():
        points = [(x[each], row[each] * ROW_PX + BOX_PX / 2 + 4) for each in way]
        points[0], (end, bottom) = (points[0][0], points[0][1] + BOX_PX / 2), points[-1]
        points[-1] = (end, bottom - BOX_PX / 2 - 5)
        path = f"M {points[0][0]:.0f} {points[0][1]:.0f}"
        for (x0, y0), (x1, y1) in pairwise(points):
            path += f" C {x0:.0f} {(y0 + y1) / 2:.0f} {x1:.0f} {(y0 + y1) / 2:.0f} {x1:.0f} {y1:.0f}"
        drawn.append(f'<path d="{path}" marker-end="url(#arrow)"/>')
    for each in row:
        if ">" not in each:
            corner = f'x="{x[each] - width[each] / 2:.0f}" y="{row[each] * ROW_PX + 4}"'
            drawn.append(f'<rect {corner} width="{width[each]}" height="{BOX_PX}" rx="4"/>')
            drawn.append(f'<text x="{x[each]:.0f}" y="{row[each] * ROW_PX + 22}">{escape(each)}</text>')
    size = f"0 0 {whole:.0f} {(len(rows) - 1) * ROW_PX + BOX_PX + 8}"
    arrow = '<marker id="arrow" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    tip = '<path d="M 0 0 L 8 4 L 0 8 z"/></marker>'
    return f'<svg class="graph" viewBox="{size}" width="{whole:.0f}"><defs>{arrow}{tip}</defs>{"".join(drawn)}</svg>'
