"""Tables that were learnt outside the pipeline: what to say where a row no longer follows from today's program.

The learners are imported where they are asked, since theirs are libraries of many seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets.common.config import load_params
from datasets.common.errors import DataError
from datasets.rig.rig import Rig


def ablation_note(table: Mapping[str, Any], results: Path) -> str:
    """A sentence where ``control/ablation.json`` of ``results`` is of another program or parameters; else nothing."""
    from control.ablation import table_digest
    from control.repeat import METHODS
    from control.train import ControlParams

    params = replace(load_params(METHODS["default"], ControlParams), results=str(results / "control"))
    try:
        today = table_digest(params, Rig.load())
    except DataError:  # the control stage has left no metrics: these rows cannot follow from them
        today = ""
    return "" if table.get("fingerprint") == today else _said(["all rows"], "python -m control.ablation")


def seeds_note(table: Mapping[str, Any]) -> str:
    """A sentence that names the methods of ``control/seeds.json`` of another program or parameters; else nothing."""
    from control.repeat import METHODS, jobs

    today = {name: digest for name, (digest, _) in jobs(METHODS, Rig.load()).items()}
    stale = [name for name, part in table.items() if name not in today or part.get("fingerprint") != today[name]]
    return _said(stale, "python -m control.repeat") if stale else ""


def _said(rows: Sequence[str], command: str) -> str:
    return f"Learnt by another program, or with other parameters, than today's: {', '.join(rows)} (`{command}` anew)."
