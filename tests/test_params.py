"""Each parameter has one value and one range: what YAML and class both say agrees, and every number is limited."""

import dataclasses
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml

from control.arms.params import ArmParams
from control.arms.site import SiteParams
from control.clearance.params import ClearanceParams
from control.learning.params import AgentParams, ControlParams, EndToEndParams
from control.policies.picture import PictureParams
from control.task.dynamics import DynamicsParams
from datasets.common.config import load_params, ranges
from datasets.common.errors import ConfigError
from datasets.generation.splits import FramesParams, SplitParams
from datasets.rig.rig import Rig
from datasets.scene.randomization import CameraRandomization, LookRandomization
from perception.cameras.realsense.settings import CameraParams
from perception.evaluation.params import LocateParams
from perception.unlike import UnlikeParams
from pipelines.gauntlet.cells import Method
from pipelines.gauntlet.gaps import ActionNoise, Gap, MotionChange
from pipelines.gauntlet.plan import CameraMap, GauntletParams
from pipelines.rehearse.__main__ import RehearsalParams
from pipelines.setup.settings import RuntimeParams
from pipelines.twin.settings import TwinParams

NOTHING_SPECIAL = (
    ActionNoise,
    CameraMap,
    CameraRandomization,
    DynamicsParams,
    Gap,
    Method,
    MotionChange,
    SplitParams,
)
"""Classes whose defaults mean that nothing is randomized or different; a file names what is."""
FILES = {
    "arm": ArmParams,
    "camera": CameraParams,
    "clearance": ClearanceParams,
    "control": ControlParams,
    "end_to_end_rgb": EndToEndParams,
    "end_to_end_rgb_camera": EndToEndParams,
    "end_to_end_rgbd": EndToEndParams,
    "frames": FramesParams,
    "gauntlet": GauntletParams,
    "locate": LocateParams,
    "rehearsal": RehearsalParams,
    "rehearsal_cameras": RehearsalParams,
    "rig": Rig,
    "rig_flange": Rig,
    "runtime": RuntimeParams,
    "site.example": SiteParams,
    "twin": TwinParams,
    "unlike": UnlikeParams,
}
DIFFER = {params_type: {field.name for field in dataclasses.fields(params_type)} for params_type in NOTHING_SPECIAL} | {
    AgentParams: {
        "actor_starts",
        "train_freq",
        "bottleneck_weight",
        "residual_gain",
        "residual_scale",
    },  # without this part
    EndToEndParams: {"train_split", "test_split", "runs", "head", "points", "sigma_m"},  # each variant's own
    PictureParams: {"depth", "pose"},  # likewise
    RehearsalParams: {"cameras"},  # of a study
    LookRandomization: {"wild_arm", "clutter", "occluder", "ambient"},  # the twin's scene is milder than training's
}


def leaves(content: dict, path: tuple = ()):
    """The path of every value in a file that is not empty there."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        elif value is not None:
            yield (*path, key)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (name, path)
        for name in ("arm", "clearance", "runtime")
        for path in leaves(yaml.safe_load((Path("params") / f"{name}.yaml").read_text()))
    ],
)
def test_a_key_that_was_emptied_switches_nothing_off(name, path, tmp_path):
    content = yaml.safe_load((Path("params") / f"{name}.yaml").read_text())
    section = content
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = None
    (tmp_path / "emptied.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=rf"{'.'.join(path)} is empty"):
        load_params(tmp_path / "emptied.yaml", FILES[name])


def parts(params_type: type, content: dict):
    """A class with what a file says of it, and the classes within it likewise."""
    yield params_type, content
    hints = get_type_hints(params_type)
    for name, value in content.items():
        inner = [hint for hint in (hints[name], *get_args(hints[name])) if dataclasses.is_dataclass(hint)]
        for one in inner[:1]:
            for each in value.values() if hints[name] is not one and isinstance(value, dict) else [value]:
                if isinstance(each, dict):
                    yield from parts(one, each)


def plain(value):
    """As YAML would give it."""
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", FILES)
def test_a_default_is_what_the_shipped_file_says(name):
    content = yaml.safe_load(Path(f"params/{name}.yaml").read_text())
    for params_type, said in parts(FILES[name], content):
        for field in dataclasses.fields(params_type):
            value = said.get(field.name, field.default)
            if params_type is AgentParams and FILES[name] is EndToEndParams:
                continue  # which name all of their agent's: the class has the pretrained one's
            if field.default is dataclasses.MISSING or field.name in DIFFER.get(params_type, ()):
                continue
            assert plain(field.default) == plain(value), f"{params_type.__name__}.{field.name}"


@pytest.mark.parametrize("params_type", sorted({*FILES.values()}, key=lambda each: each.__name__))
def test_every_number_has_a_range(params_type):
    limited, hints = ranges(params_type), get_type_hints(params_type)
    for field in dataclasses.fields(params_type):
        hint = hints[field.name]
        if hint in (int, float):
            assert field.name in limited, f"{params_type.__name__}.{field.name}"


@pytest.mark.parametrize("params_type", sorted({*FILES.values()} - {Rig}, key=lambda each: each.__name__))
def test_what_a_file_is_read_into_is_called_params(params_type):
    assert params_type.__name__.endswith("Params")


@pytest.mark.parametrize("name", FILES)
def test_a_number_beyond_its_range_is_refused_by_name(name, tmp_path):
    content = yaml.safe_load(Path(f"params/{name}.yaml").read_text())
    tried = 0
    for key, within in ranges(FILES[name]).items():
        if isinstance(content.get(key), int | float) and not isinstance(content[key], bool):
            wrong = within.low - 1 if within.high == float("inf") else within.high + 1
            file = tmp_path / f"{name}.yaml"
            file.write_text(yaml.safe_dump(content | {key: type(content[key])(wrong)}))
            with pytest.raises(ConfigError, match=rf"{re.escape(str(file))}: {key} must .*got"):
                load_params(file, FILES[name])
            tried += 1
    assert tried or name in {"frames", "site.example"}
