"""What is packed into an estimator, and where it is measured (``params/locate.yaml``)."""

from dataclasses import dataclass
from typing import Annotated

from datasets.common.config import Checked, Within
from datasets.common.errors import ConfigError
from datasets.rig.rig import RIG_PATH


@dataclass(frozen=True)
class LocateParams(Checked):
    """What is packed, and where it is measured.

    Attributes:
        glance, fovea, base: folders of the three training runs.
        parafovea: folder of the run of a look between glance and fovea; an estimator may be without it.
        frames: the parameter file that defines the splits.
        calibration_split: sigma's scale is fitted on it; never a test split.
        doubt_split: which answers to doubt is fitted on it (:mod:`perception.evaluation.doubts`); never a test split.
            None for looks that find no landmarks.
        splits: test splits.
        mapped_split: the split of the error map.
        frames_per_split: measure only this many frames of each (None: all).
        visible: frames that show the tool are measured apart from those in which it is hidden or outside.
        bad_frames: how many frames that cannot be answered are tried.
        max_sigma_m: a frame with a larger sigma is confessed, not answered; the runtime's limit of this name.
        workers: processes.
        rig: the rig file.
        estimator: folder of the packed estimator.
        results: folder of metrics and pictures.
    """

    glance: str
    fovea: str
    base: str
    frames: str
    calibration_split: str
    splits: tuple[str, ...]
    mapped_split: str
    parafovea: str | None = None
    doubt_split: str | None = None
    visible: bool = False
    bad_frames: Annotated[int, Within(1)] = 500
    max_sigma_m: Annotated[float, Within(0, unit="m", above=True)] = 0.03
    workers: Annotated[int, Within(1)] = 2
    frames_per_split: Annotated[int, Within(1)] | None = None
    rig: str = str(RIG_PATH)
    estimator: str = "models/estimator"
    results: str = "results/perception"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("calibration_split", "doubt_split"):
            if getattr(self, name) in self.splits:
                raise ConfigError(f"{name} {getattr(self, name)!r} must not be one of the test splits")
        if self.mapped_split not in self.splits:
            raise ConfigError(f"mapped_split {self.mapped_split!r} is none of the splits {list(self.splits)}")
