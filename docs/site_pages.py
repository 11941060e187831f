"""What the documentation site has beside the pages of this folder; MkDocs calls it as a hook (see ``mkdocs.yml``).

Pages that are written nowhere but here: parameters, stages, results and messages, read from the dataclasses,
``dvc.yaml``, the models' and metrics files and the code, so that they cannot be out of date. The project's own pages
(README, changelog, ...) join as they are, with their links led to where things are on the site.
"""

import ast
import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from prose import docstring, formulas, graph

from control.arms.params import ArmParams
from control.arms.site import SiteParams
from control.clearance.params import ClearanceParams
from control.learning.params import ControlParams, EndToEndParams
from datasets.common.config import ranges
from datasets.common.errors import Sim2RealError
from datasets.generation.splits import FramesParams
from datasets.rig.rig import Rig
from perception.calibration.registration.result import Cause
from perception.cameras.realsense.settings import CameraParams
from perception.evaluation.params import LocateParams
from perception.unlike import UnlikeParams
from pipelines.gauntlet.plan import GauntletParams
from pipelines.rehearse.__main__ import RehearsalParams
from pipelines.report.tables import peers_table, tables
from pipelines.runtime.stops import StopReason
from pipelines.setup.settings import RuntimeParams
from pipelines.twin.settings import TwinParams

PACKAGES = ("pipelines", "control", "perception", "datasets")
OWN_PAGES = {"README.md": "index.md"} | {
    f"{name}.md": f"{name.lower()}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")
}
PARAMETERS: dict[str, type | None] = {
    "rig": Rig,
    "site.example": SiteParams,
    "frames": FramesParams,
    "perception_glance": None,
    "perception_fovea": None,
    "perception_base": None,
    "locate": LocateParams,
    "control": ControlParams,
    "end_to_end_rgb": EndToEndParams,
    "arm": ArmParams,
    "camera": CameraParams,
    "clearance": ClearanceParams,
    "runtime": RuntimeParams,
    "twin": TwinParams,
    "rehearsal": RehearsalParams,
    "rehearsal_cameras": RehearsalParams,
    "gauntlet": GauntletParams,
    "unlike": UnlikeParams,
}
"""Each kind of parameter file with the class that it is read into; None: the arguments of LightningCLI's classes."""
PEERS_ROW = re.compile(r"^- \*\*`(\w+)`\*\*", re.MULTILINE)
ENUMS = {"StopReason": StopReason, "Cause": Cause}
"""What an error's first argument may be in place of words."""
TELLING = ("control/arms", "perception/cameras", "pipelines/doctor", "pipelines/observers", "pipelines/runtime")
"""Folders whose other sentences are printed, too, as part of a stop, a warning or a finding."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, the project's own pages, and whatever file of the project a page links to."""
    made = {
        "parameters.md": parameters_page(),
        "stages.md": stages_page(),
        "results.md": results_page(),
        "messages.md": messages_page(),
        **{f"api/{package}.md": api_page(package) for package in PACKAGES},
        **{there: (ROOT / here).read_text() for here, there in OWN_PAGES.items()},
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    texts = [*made.values(), *(path.read_text() for path in Path(config.docs_dir).glob("*.md"))]
    for link in {link for text in texts for link in links(text)}:
        path = ROOT / link.removeprefix("../")
        if path.is_file() and ROOT / "docs" not in path.parents and path.name not in OWN_PAGES:
            files.append(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in figures, lead links to where things are on the site, draw formulas and graphs, name tests in words."""
    if page.file.src_uri == "models.md":
        figures = model_figures()
        markdown = re.sub(r"\{\{ (.+?) \}\}", lambda match: figures[match[1]], markdown)
    if page.file.src_uri == "peers.md":
        markdown = markdown.replace("{{ peers }}", peers_part(markdown))
    text = re.sub(r"\]\((?:\.\./)?(?:docs/)?(?!https?:)([^)]+)\)", lambda match: f"]({_on_site(match[1])})", markdown)
    text = re.sub(r"^```mermaid\n(.*?)^```$", lambda match: graph(match[1]), text, flags=re.MULTILINE | re.DOTALL)
    if page.file.src_uri == "hazards.md":
        text = re.sub(r"`([\w/]+\.py::test_(\w+))`", lambda match: _in_words(match[1], match[2]), text)
    return formulas(text)


def _in_words(path: str, name: str) -> str:
    return f'<span title="tests/{path}">{name.replace("_", " ")}</span>.'


def peers_part(page: str) -> str:
    """The table of what was measured, and which of the page's rows were not."""
    metrics = _json("results/peers/metrics.json")
    missing = [name for name in PEERS_ROW.findall(page) if name not in metrics["rows"]]
    named = ", ".join(f"`{name}`" for name in missing)
    said = f"Not measured yet, so that nothing is claimed of them: {named}." if missing else "Every row was measured."
    return f"{peers_table(metrics).markdown()}\n\n{said}"


def links(text: str) -> set[str]:
    """The files that a page links to, without anchors."""
    return set(re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text))


def _on_site(link: str) -> str:
    path, hash_, anchor = link.partition("#")
    return OWN_PAGES.get(path, path) + hash_ + anchor


def parameters_page() -> str:
    """Every parameter file with its fields, what they may be, and the file itself with the reason beside each value."""
    lines = [
        "# Parameters\n\nOne file for each stage in `params/`. A wrong key, unit or number is refused by its name. The "
        "tables are read from the classes that the files are read into; the reason for each value stands in the file.\n"
    ]
    for name, params_type in PARAMETERS.items():
        text = (ROOT / f"params/{name}.yaml").read_text()
        lines.append(f"## `params/{name}.yaml`\n")
        if params_type is None:
            lines.append(
                "Arguments of LightningCLI's classes: `python -m perception.train fit --help` explains each.\n"
            )
        else:
            lines += _class_tables(params_type, reasons(text), (), set())
        lines.append(f"```yaml\n{text}```\n")
    return "\n".join(lines)


Path_ = tuple[str, ...]


def reasons(text: str) -> dict[Path_, str]:
    """The comment beside each key of a YAML file, with the lines below that continue it, by the way to the key."""
    found: dict[Path_, str] = {}
    way: list[tuple[int, str]] = []
    column = -1
    for line in text.splitlines():
        key, comment = re.match(r"( *)(\w+):", line), re.search(r"(?:^|\s)# (.*)", line)
        if key:
            way = [(indent, name) for indent, name in way if indent < len(key[1])] + [(len(key[1]), key[2])]
            column = comment.start(1) if comment else -1
            if comment:
                found[tuple(name for _, name in way)] = comment[1]
        elif comment and line.strip().startswith("#") and comment.start(1) == column:
            found[tuple(name for _, name in way)] += f" {comment[1]}"
        else:
            column = -1
    return found


def _class_tables(params_type: type, told: dict[Path_, str], way: Path_, done: set[type]) -> Iterator[str]:
    """A class's fields as a table, then the classes within it; ``told``: what the file says of each key."""
    done.add(params_type)
    limited, words = ranges(params_type), _attributes(params_type)
    hints, inner = get_type_hints(params_type), {}
    rows = [("field", "type", "may be", "default", "meaning")]
    for field in dataclasses.fields(params_type):
        limit = str(limited.get(field.name, "")).removeprefix("must ").removeprefix("be ").removeprefix("lie in ")
        default = "required" if _required(field) else f"`{field.default}`" if _plain(field) else "its class's"
        here = (*way, field.name)
        meaning = words.get(field.name) or told.get(here, "")
        rows.append((f"`{field.name}`", _kind(hints[field.name]), limit, default, meaning))
        inner |= {each: here for each in (hints[field.name], *get_args(hints[field.name])) if each not in inner}
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    head, *body = (
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in zip(*columns, strict=True)
    )
    yield f"**{params_type.__name__}**: {_sentence(params_type)}\n"
    yield "\n".join([head, "|" + "---|" * len(columns), *body, ""])
    for each, here in inner.items():
        if dataclasses.is_dataclass(each) and each not in done:
            yield from _class_tables(each, told, here, done)


def _required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _plain(field: dataclasses.Field) -> bool:
    return field.default is not dataclasses.MISSING and not dataclasses.is_dataclass(field.default)


def _kind(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint) if not get_args(hint) else re.sub(r"[\w.]+\.(\w+)", r"\1", str(hint)))


def _attributes(params_type: type) -> dict[str, str]:
    """What the class's docstring says of its fields."""
    _, _, part = (inspect.getdoc(params_type) or "").partition("Attributes:\n")
    found = {}
    for names, text in re.findall(r"^    (\w[\w, ]*): (.*(?:\n {6,}.*)*)", part, re.MULTILINE):
        found.update(dict.fromkeys(re.split(r", ", names), docstring(" ".join(text.split()))))
    return found


def _sentence(thing: Any) -> str:
    return docstring(" ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split()))


def stages_page() -> str:
    """What each stage does, by which command, and what it leaves."""
    lines = ["# Stages\n\n`dvc repro STAGE` runs one with all that it needs; each command also runs alone.\n"]
    for title, name in (("The default path and its variants", "dvc.yaml"), ("Studies", "studies/dvc.yaml")):
        lines.append(f"\n## {title}: `{name}`\n\n| stage | does | command | leaves |\n|---|---|---|---|")
        for stage, content in yaml.safe_load((ROOT / name).read_text())["stages"].items():
            one = content.get("do", content)
            commands = [one["cmd"]] if isinstance(one["cmd"], str) else one["cmd"]
            outs = [out for key in ("outs", "metrics") for out in one.get(key, [])]
            places = [Path(next(iter(out)) if isinstance(out, dict) else out) for out in outs]
            folders = dict.fromkeys(str(place.parent if place.suffix else place) for place in places)
            cells = (
                f"`{stage}`",
                one["desc"],
                "<br>".join(f"`{each}`" for each in commands),
                "<br>".join(f"`{each}`" for each in folders),
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def model_figures() -> dict[str, str]:
    """What stands on the page of models in place of ``{{ figures: MODEL }}`` and its like."""
    perception = _json("results/perception/metrics.json")
    rows = [
        f"| {split} | {row['n']} | {row['median_mm']:.1f} | {row['p95_mm']:.1f} "
        f"| {100 * perception['sigma'][split]['within_2_sigma']:.0f} % |"
        for split, row in perception["default"].items()
        if row["n"]
    ]
    head = "| split | frames | median, mm | 95 %, mm | within two sigma |\n|---|---|---|---|---|"
    found = {"figures: estimator": "\n".join([head, *rows]), "envelope: estimator": _envelope()}
    found["seeds: estimator"] = _seeds(_json("results/perception/seeds.json"), perception["frames"])
    found["figures: estimator_flange"] = _flange(_json("results/flange/metrics.json"))
    for model in ("policy", "end_to_end_rgb", "end_to_end_rgb_camera", "end_to_end_rgbd"):
        results = "control" if model == "policy" else model
        found[f"figures: {model}"] = _reach(_json(f"results/{results}/metrics.json")["default"])
    for file in sorted((ROOT / "models").glob("*/*.json")):
        versions = _json(str(file.relative_to(ROOT)))["versions"]
        found[f"made: {file.parent.name}"] = "Made with " + ", ".join(f"{key} {each}" for key, each in versions.items())
    return found


def _envelope() -> str:
    served = _json("models/estimator/estimator.json")["envelope"]
    (near, far), (below, above), (wide, narrow) = (served[key] for key in ("distance_m", "elevation_deg", "focal_px"))
    return (
        "| camera | served |\n|---|---|\n"
        f"| distance to the gripper | {near:g} to {far:g} m |\n"
        f"| to either side of the arm's front | up to {served['side_deg']:g} degrees |\n"
        f"| its height as seen from the gripper | from {-below:g} degrees below to {above:g} above |\n"
        f"| roll | up to {served['roll_deg']:g} degrees |\n"
        f"| focal length at 640x480 | {wide:g} to {narrow:g} px |"
    )


def _seeds(found: Any, frames: str) -> str:
    """Mean and spread of the shipped estimator and of further ones, where they are of the same frames."""
    if found["frames"] != frames:
        return (
            "Further seeds were measured on other frames; `dvc repro studies/dvc.yaml:perception_seeds` repeats them."
        )
    rows = ["| split | median, mm, and its spread | 95 %, mm, and its spread |", "|---|---|---|"]
    for split, row in found["default"].items():
        cells = [f"{row[key]['mean']:.2f} ({row[key]['spread']:.2f})" for key in ("median_mm", "p95_mm")]
        rows.append(f"| {split} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _flange(metrics: Any) -> str:
    rows = [
        "| split | flange shown: glance, mm | parafovea | answer, median | 95 % | confessed of hidden |",
        "|---|---|---|---|---|---|",
    ]
    for split, row in metrics["visible"].items():
        looks = [f"{row[look]['median_mm']:.0f}" if row[look]["n"] else "" for look in ("glance", "coarse", "pair")]
        far = f"{row['pair']['p95_mm']:.0f}" if row["pair"]["n"] else ""
        confessed = f"{100 * row['confessed']:.0f} % of {row['hidden']}" if row["hidden"] else ""
        rows.append(f"| {split} | {' | '.join([*looks, far, confessed])} |")
    return "\n".join(rows)


def _json(name: str) -> Any:
    return json.loads((ROOT / name).read_text())


def _reach(row: Any) -> str:
    head = "| goals | within 5 mm | 20 mm | 50 mm | median, mm | 95 %, mm |\n|---|---|---|---|---|---|\n"
    shares = " | ".join(f"{100 * row[f'success_{limit}mm']:.0f} %" for limit in (5, 20, 50))
    return f"{head}| {row['n']} | {shares} | {row['median_mm']:.1f} | {row['p95_mm']:.1f} |"


def results_page() -> str:
    """The tables of the metrics files, and the pictures that go with them."""
    pictures = (
        ("perception/errors.png", "The estimator's errors on every split"),
        ("perception/error_map.png", "Where in the workspace they are"),
        ("control/final.png", "What is left of the distance to the goal, by policy"),
        ("rehearsal/trajectories.png", "The whole runtime on the twin"),
        ("gauntlet/heatmap.png", "Every method in every gap"),
        ("gauntlet/camera.png", "How far a camera may have moved unnoticed"),
    )
    shown = "\n\n".join(f"![{title}](results/{path})\n\n*{title}.*" for path, title in pictures)
    return (
        "# Results\n\nEverything was measured in simulation, except for the rows on frames of a real arm; no real arm "
        "was moved. The tables are read from "
        "`results/*/metrics.json`, [one page](results/report.html) shows the gauntlet.\n\n"
        f"{tables(ROOT / 'results')}\n\n{shown}\n"
    )


def messages_page() -> str:
    """Every message with which the code refuses or stops, by where it comes from."""
    lines = [
        "# Messages\n\nThis page lists every message with which a command refuses or stops, by the module that it "
        "comes from. Find yours by the site's search, with a few of its words; `…` stands for what a run fills in. A "
        "message says itself what to do. For each *stop* of a real arm, the page on "
        "[the first day](first_day.md#every-stop-what-it-means-what-to-do) also explains its meaning.\n\n"
        "The kind decides the exit code: `Stop`, and `SafetyStop` while the arm runs, end with 3, all others with 2 "
        "([exit codes](commands.md#exit-codes)). *Also printed* are parts of a stop, warnings and findings.\n"
    ]
    for module, found in messages().items():
        lines.append(f"## `{module}`\n")
        lines += [f"- {kind}: `{text}`" for kind, text in found]
        lines.append("")
    return "\n".join(lines)


def messages() -> dict[str, list[tuple[str, str]]]:
    """Kind and text of every error of ours that the code raises, by module; what a run fills in as an ellipsis."""
    kinds = {each.__name__ for each in _family(Sim2RealError)} | {"ArgumentTypeError", "faults_as"}
    found: dict[str, list[tuple[str, str]]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text())
            named = {
                node.targets[0].id: node.value
                for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            texts, done = [], set()
            for node in ast.walk(tree):
                kind = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
                if kind in kinds and node.args:
                    text = ": ".join(_template(each, named) for each in node.args).replace("{}", "…")
                    texts.append(("Stop" if kind == "faults_as" else kind, text))
                    done |= {id(each) for each in ast.walk(node)}
            module = path.relative_to(ROOT)
            if str(module).startswith(TELLING):
                texts += [("also printed", _template(each, named)) for each in _sentences(tree, done)]
            shown = [(kind, " ".join(text.split()).replace("`", "'")) for kind, text in texts]
            if shown := [(kind, text) for kind, text in shown if any(character.isalpha() for character in text)]:
                found[".".join(module.with_suffix("").parts)] = shown
    return found


def _sentences(tree: ast.AST, done: set[int]) -> Iterator[ast.expr]:
    """The texts of at least four words that are neither documentation, nor help, nor within what is ``done``."""
    left = set(done)
    for node in ast.walk(tree):  # from the outside in
        is_prose = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_prose or (isinstance(node, ast.keyword) and node.arg in {"help", "description"}):
            left |= {id(each) for each in ast.walk(node)}
        if id(node) not in left and isinstance(node, ast.Constant | ast.JoinedStr):
            left |= {id(each) for each in ast.walk(node)}
            if len(re.findall(r"[a-z]{2,}(?=[\s,;:.)]|$)", _template(node, {}))) >= 4:
                yield node


def _family(root: type) -> Iterator[type]:
    yield root
    for each in root.__subclasses__():
        yield from _family(each)


def _template(node: ast.expr, named: dict[str, ast.expr]) -> str:
    """The text of a message with an ellipsis for what is filled in; ``named``: the module's own constants."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(each, named) for each in node.values)
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
        return _template(node.value, named)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _template(node.left, named) + _template(node.right, named)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ENUMS:
        return str(ENUMS[node.value.id][node.attr].value)
    if isinstance(node, ast.Name) and isinstance(value := named.get(node.id), ast.Constant | ast.JoinedStr):
        return _template(value, {}) if isinstance(value, ast.JoinedStr) or isinstance(value.value, str) else "…"
    return "…"


def api_page(package: str) -> str:
    """The public things of one package, from their docstrings."""
    return f"::: {package}\n    options:\n      heading_level: 1\n"
