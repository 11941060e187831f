"""The plan of the gauntlet: its parameters, the cells to run, and the reasons why others cannot be run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from control.learning.params import ControlParams
from control.policies.shipped import DESCRIPTION
from control.task.measured import tuned_gain
from datasets.arm.official import menagerie_available
from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig
from pipelines.gauntlet.cells import Cell, Method
from pipelines.gauntlet.gaps import Gap


@dataclass(frozen=True)
class CameraMap:
    """Gaps with the camera both moved and turned, by every pair of these amounts, for these methods."""

    offsets_mm: tuple[int, ...] = ()
    rotations_deg: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()

    def gaps(self) -> dict[str, Gap]:
        """The gaps by name, such as ``camera_30mm_3deg``."""
        unnoticed = {"exact": True, "told_rig": True, "calibration_m": 0.0, "calibration_deg": 0.0}
        return {
            f"camera_{offset}mm_{turn}deg": Gap(
                f"Camera moved {offset} mm and turned {turn}°",
                "camera_map",
                camera={**unnoticed, "offset_m": offset / 1000, "rotation_deg": float(turn)},
            )
            for offset in self.offsets_mm
            for turn in self.rotations_deg
        }


@dataclass(frozen=True)
class GauntletParams(Checked):
    """``params/gauntlet.yaml``; each value is explained there."""

    methods: dict[str, Method]
    gaps: dict[str, Gap]
    camera_map: CameraMap = field(default_factory=CameraMap)
    episodes: Annotated[int, Within(1)] = 50
    seed: Annotated[int, Within(0)] = 2_100_000_000
    workers: Annotated[int, Within(1)] = 2
    control: str = "params/control.yaml"
    gains: str = "results/control/metrics.json"
    results: str = "results/gauntlet"
    runs: str = "runs/gauntlet"

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, names in (("methods", self.methods), ("gaps", self.gaps)):
            if not names:
                raise ConfigError(f"{key} is empty: name at least one")
        for name in self.camera_map.methods:
            if name not in self.methods:
                raise ConfigError(f"camera_map.methods names {name!r}; the methods are {', '.join(self.methods)}")


@dataclass(frozen=True)
class Plan:
    """The cells to run, and the reasons why others cannot be run, by method and gap."""

    cells: dict[tuple[str, str], Cell]
    skipped: dict[tuple[str, str], str]


def make_plan(params: GauntletParams, rig: Rig, methods: Sequence[str] = (), gaps: Sequence[str] = ()) -> Plan:
    """All cells of the gauntlet, or of some methods and gaps alone.

    Raises:
        ConfigError: there is no such method or gap, or a gap changes a key that does not exist.
        DataError: the gains of the proportional controllers have not been tuned.
    """
    control = load_params(params.control, ControlParams)
    known = params.gaps | params.camera_map.gaps()
    _check_names("--methods", methods, params.methods)
    _check_names("--cells", gaps, known)
    plan = Plan({}, {})
    no_official_arm = menagerie_available()
    for gap_name, gap in known.items():
        for name, method in params.methods.items():
            if (methods and name not in methods) or (gaps and gap_name not in gaps):
                continue
            if gap.group == "camera_map" and name not in params.camera_map.methods:
                continue
            if method.kind.startswith("proportional"):
                method = replace(method, gain=tuned_gain(params.gains, method.kind))
            cell = Cell(name, gap_name, method, gap, control.env, control.rooms, rig)
            gap.check(control.env)  # a wrong key is reported before anything runs
            model = Path(method.model) / DESCRIPTION if method.model else None
            if method.kind == "end_to_end" and model is not None and not model.is_file():
                train = f"python -m control.train --config params/{name}.yaml"
                plan.skipped[name, gap_name] = f"{method.model}: no such model; train it with `{train}`"
            elif gap.arm == "menagerie" and method.looks and no_official_arm:
                plan.skipped[name, gap_name] = no_official_arm
            else:
                plan.cells[name, gap_name] = cell
    return plan


def _check_names(option: str, names: Sequence[str], known: Mapping[str, object]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{option} names {name!r}; there are {', '.join(known)}")
