"""What is true of one laboratory (``params/site.yaml``): free box, things to stay clear of, tool, table and camera."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml

from datasets.arm.kinematics import wearing
from datasets.arm.tools import ToolParams
from datasets.common.config import Checked, Within, load_params, parse_params
from datasets.common.errors import ConfigError
from datasets.common.files import keep_previous, write_whole
from datasets.rig.rig import Box, Rig, Workspace
from perception.calibration.calibration import Calibration

SITE_PATH = Path("params/site.yaml")
SITE_EXAMPLE_PATH = Path("params/site.example.yaml")


@dataclass(frozen=True)
class HeldParams(Checked):
    """Something that the tool holds or carries: a cylinder about the tool's axis, which points down.

    Attributes:
        radius_m: radius of the cylinder; 0: nothing is held.
        above_m: how far it reaches above the TCP.
        below_m: how far it reaches below the TCP.
    """

    PART: ClassVar[str] = "held."
    radius_m: Annotated[float, Within(0, 0.3, "m")] = 0.0
    above_m: Annotated[float, Within(0, 0.3, "m")] = 0.0
    below_m: Annotated[float, Within(0, 0.3, "m")] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.radius_m > 0) != (self.above_m + self.below_m > 0):
            raise ConfigError("held: give radius_m and above_m or below_m, or none of them where nothing is held")


@dataclass(frozen=True)
class LatencyParams(Checked):
    """Delays as ``python -m pipelines.calibrate --latency`` measured them: mean minus and plus two standard errors.

    Attributes:
        camera_s: from a picture's capture to its arrival.
        stamp_s: by how much the camera's own time stamp of the capture is late.
        command_s: by how much the arm's motion, as its encoders show it, is later than planned at the command.
        measured: when and with what the delays were measured, in words.
    """

    PART: ClassVar[str] = "latency."
    camera_s: Annotated[tuple[float, float], Within(-0.1, 1, "s", rising=True)]
    stamp_s: Annotated[tuple[float, float], Within(-1, 1, "s", rising=True)]
    command_s: Annotated[tuple[float, float], Within(-0.1, 1, "s", rising=True)]
    measured: str

    def as_plain(self) -> dict[str, Any]:
        """The fields as plain values for YAML, rounded to a tenth of a millisecond."""
        spans = {
            name: [round(each, 4) for each in getattr(self, name)] for name in ("camera_s", "stamp_s", "command_s")
        }
        return {**spans, "measured": self.measured}


@dataclass(frozen=True)
class NoiseParams(Checked):
    """The depth camera's noise as ``python -m pipelines.calibrate --depth`` measured it.

    Attributes:
        level: factor on the simulation's noise, two standard errors to either side; 1 is a D435 on a plain wall.
        stretch: factor on the correlation length of the simulation's noise.
        measured: when and with what the noise was measured, in words.
    """

    PART: ClassVar[str] = "noise."
    level: Annotated[tuple[float, float], Within(0, 5, rising=True)]
    stretch: Annotated[float, Within(0.2, 5)]
    measured: str

    def as_plain(self) -> dict[str, Any]:
        """The fields as plain values for YAML."""
        return {
            "level": [round(each, 3) for each in self.level],
            "stretch": round(self.stretch, 2),
            "measured": self.measured,
        }


@dataclass(frozen=True)
class SiteParams(Checked):
    """One laboratory; each value is explained in ``params/site.example.yaml``. It makes no trained model invalid.

    Attributes:
        keep_within: the free box that the TCP stays in; None: all of the rig's workspace.
        keep_out: named boxes that no part of the arm may come near.
        tool: the mounted tool, by the name of its file in ``params/tools``; None: the rig's.
        held: what the tool holds or carries.
        table_z_m: the table's height in the base frame; None: as the camera's calibration measured it, else 0.
        camera: as ``python -m pipelines.calibrate --frames`` measured it; None: not measured, or in a file of its own.
        latency: the measured delays; None: not measured.
        noise: the measured noise of depth; None: not measured.
    """

    keep_within: Box | None = None
    keep_out: dict[str, Box] = field(default_factory=dict)
    tool: str | None = None
    held: HeldParams = HeldParams()
    table_z_m: Annotated[float | None, Within(-0.3, 0.3, "m")] = None
    camera: Calibration | None = None
    latency: LatencyParams | None = None
    noise: NoiseParams | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep_within is not None:
            self.keep_within.check("keep_within")
        object.__setattr__(self, "keep_out", self.keep_out or {})  # None: a key whose boxes are all commented out
        for name, box in self.keep_out.items():
            box.check(f"keep_out.{name}")
        if self.tool is not None:
            ToolParams.load(self.tool)

    @classmethod
    def load(cls, path: str | Path | None = None) -> "SiteParams":
        """Read and check a site file.

        Args:
            path: the file; None: ``params/site.yaml`` where that exists, else a site with default values.

        Raises:
            ConfigError: the file is not a valid site file; the message names the file and the key.
        """
        if path is None and not SITE_PATH.exists():
            return cls()
        return load_params(SITE_PATH if path is None else path, cls)

    def mounted(self, rig: Rig) -> Rig:
        """The rig with the tool that is mounted here, as :func:`datasets.arm.kinematics.wearing` returns it."""
        return rig if self.tool is None else wearing(rig, self.tool)

    def rig(self, rig: Rig) -> Rig:
        """The rig with the tool mounted here, and the workspace that the TCP stays in: ``keep_within``, or all of it.

        Raises:
            ConfigError: ``keep_within`` is not inside the rig's workspace.
            ReachError: with this tool the TCP cannot reach the place where the rig's TCP is at home.
        """
        rig = self.mounted(rig)
        box, known = self.keep_within, rig.workspace
        if box is None:
            return rig
        if not (known.contains(box.low) and known.contains(box.high)):
            raise ConfigError(
                f"keep_within {box} is not inside the workspace that the models were trained for, {known}; "
                "make it smaller, or widen the rig's workspace and train "
                "again"
            )
        return replace(rig, workspace=Workspace(box.x_m, box.y_m, box.z_m))


_KEYS = {Calibration: "camera", LatencyParams: "latency", NoiseParams: "noise"}


def write_measured(path: str | Path, measured: Calibration | LatencyParams | NoiseParams) -> Path | None:
    """Write the measured camera, latency or noise into a new or existing site file; all else, with comments, stays.

    Returns:
        The path where the previous file is kept; None if there was no file before.

    Raises:
        ConfigError: the existing file is not a site file, or is written in a way that the values cannot be put into; it
            stays as it is.
    """
    path, key = Path(path), _KEYS[type(measured)]
    text, before = "", SiteParams()
    if path.exists():
        before = SiteParams.load(path)
        text = path.read_text(encoding="utf-8")
        text = text if text.endswith("\n") else f"{text}\n"
    block = yaml.safe_dump({key: measured.as_plain()}, sort_keys=False, default_flow_style=None, width=120)
    # Matches the key with everything that is indented below it.
    found = re.search(rf"^{key}:.*\n(?:(?:[ \t]*\n)*[ \t-].*\n)*", text, re.MULTILINE)
    content = text + block if found is None else text[: found.start()] + block + text[found.end() :]
    expected = replace(before, **{key: getattr(parse_params(block, SiteParams), key)})
    try:
        fits = parse_params(content, SiteParams) == expected
    except ConfigError:
        fits = False
    if not fits:
        raise ConfigError(
            f"{path}: {key} cannot be put into it without changing something else; write each key of the file once, at "
            f"the beginning of a line, then measure again, or add this yourself: {block.strip()}"
        )
    kept = keep_previous(path)
    write_whole(path, content)
    return kept
