"""Digests of what learning and episodes follow from besides parameters: a run whose program changed is another run."""

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import control
import control.arms
import perception
import perception.backbones
from datasets.config import load_params
from datasets.program import drawing_digest, modules_digest
from datasets.rig import Rig
from datasets.splits import FramesParams, SplitPlan

EPISODES: dict[ModuleType, str] = {
    control: "dynamics env evaluate features fusion goals physics policies policy rendered rewards safety sources",
    control.arms: "params",
    perception: "estimate estimator pose_check table",
}
"""Modules that shape an episode of a given policy, besides those that draw."""
LEARNING: dict[ModuleType, str] = {
    control: "asymmetric buffers ddpg end_to_end export extractors image_env image_policy learning seeds train",
    perception: "preprocess",
    perception.backbones: "answer regression",
}
"""Modules that shape what is learnt, besides those of its episodes."""


def fingerprint(values: list[Any], *files: Path) -> str:
    """Names a run by its parameters and the files it builds on: only the very same run is resumed."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def episodes_program() -> str:
    """Twelve hexadecimal digits that change with the code that shapes episodes, not with its comments."""
    return fingerprint([drawing_digest(), modules_digest(EPISODES)])


@cache
def learning_program() -> str:
    """Twelve hexadecimal digits that change with the code that shapes what is learnt, not with its comments."""
    return fingerprint([episodes_program(), modules_digest(LEARNING)])


@cache
def rooms_digest(frames: str, split: str, rig: Rig) -> str:
    """Twelve hexadecimal digits of how ``split`` of the parameter file ``frames`` randomizes rooms.

    Raises:
        ConfigError: as :func:`datasets.config.load_params`; no such split.
    """
    return fingerprint([asdict(SplitPlan.of(load_params(frames, FramesParams), split, rig).randomization)])
