"""Checks that the networks of a run exist, can be opened, and were trained for this rig."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.doctor.finding import Broken, Finding, State, look_apart

_TIMEOUT_S = 60.0
_REMEDY = "run from the project's folder; take the repository's models (git checkout -- models) or make reproduce"


def look() -> Iterator[Finding]:
    """Report on the models that ``params/runtime.yaml`` names; a separate process opens them."""
    try:
        found = look_apart(["-m", __name__], _TIMEOUT_S, {"MUJOCO_GL": "disable"})
    except Broken as broken:
        yield Finding("models", State.FAULT, f"cannot be looked at: {broken}", _REMEDY)
        return
    for name, (good, told) in found.items():
        yield Finding(name, State.OK if good else State.FAULT, told, "" if good else _REMEDY)


def open_models() -> dict[str, tuple[bool, str]]:
    """For each model by name: whether it can be used, and its folder and digest, or the reason why not."""
    from datasets.rig.rig import Rig
    from perception.estimator.estimator import PositionEstimator
    from pipelines.setup.settings import RuntimeParams
    from pipelines.setup.setup import make_policy

    rig, settings = Rig.load(), RuntimeParams.load()
    return {
        "estimator": _opened(settings.estimator, lambda: PositionEstimator.load(settings.estimator, rig)),
        "policy": _opened(settings.policy, lambda: make_policy(settings.policy, rig, settings)),
    }


def _opened(folder: str, open_: Callable[[], object]) -> tuple[bool, str]:
    from datasets.common.errors import Sim2RealError

    try:
        open_()
    except Sim2RealError as error:
        return False, str(error)
    return True, f"{folder}, digest {digest(Path(folder))}, opens, trained for this rig"


def digest(folder: Path) -> str:
    """The first 12 digits of the SHA-256 of the names and contents of a folder's files."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(path.relative_to(folder).as_posix().encode() + b"\0")
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:12]


if __name__ == "__main__":
    print(json.dumps(open_models()))
