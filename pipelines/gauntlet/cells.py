"""Cells of the gauntlet: one method in one gap over seeded episodes, kept under a digest of all they depend on."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from control.policies.image_locator import KIND as END_TO_END
from control.policies.image_locator import ImageLocator
from control.policies.policy import Policy
from control.policies.shipped import KIND as DDPG
from control.policies.shipped import FusedProportionalPolicy, ProportionalPolicy, load_policy
from control.task.env import EnvParams
from control.task.episodes import Episode, run_episode
from control.task.rendered import RenderedParams
from control.task.sources import TrueState
from datasets.common.code_digest import code_digest, fingerprint
from datasets.common.errors import ConfigError, DataError, SafetyStop
from datasets.common.files import write_whole
from datasets.common.workers import Workers
from datasets.generation.splits import scenes_digest
from datasets.rig.rig import Rig
from perception.estimator.estimator import PositionEstimator
from pipelines.gauntlet.gap_env import GapEnv
from pipelines.gauntlet.gaps import Gap
from pipelines.gauntlet.scenes import GapScenes, GapSource, Look

Kind = Literal["end_to_end", "actor", "proportional", "proportional_fused", "true_state"]


@dataclass(frozen=True)
class Method:
    """One way from a picture to a displacement.

    Attributes:
        kind: ``end_to_end``: a network from the picture; ``actor``: the trained actor on the estimator's positions;
            ``proportional``, ``proportional_fused``: the plain controllers on the same positions; ``true_state``: the
            same actor on the true state, as late as the pictures are.
        title: the name shown to people.
        model: folder of the network, if there is one.
        gain: gain of a proportional controller, per step.
    """

    kind: Kind
    title: str
    model: str | None = None
    gain: float | None = None

    def __post_init__(self) -> None:
        if self.kind.startswith("proportional") and self.model is not None:
            raise ConfigError(f"a method of kind {self.kind} has no model, but names {self.model}")
        if not self.kind.startswith("proportional") and self.model is None:
            raise ConfigError(f"a method of kind {self.kind} needs the folder of its network as 'model'")

    @property
    def looks(self) -> bool:
        """Whether pictures affect this method."""
        return self.kind != "true_state"

    @property
    def estimates(self) -> bool:
        """Whether the estimator affects this method."""
        return self.kind not in ("true_state", "end_to_end")


@dataclass(frozen=True)
class Cell:
    """One method in one gap."""

    method_name: str
    gap_name: str
    method: Method
    gap: Gap
    env: EnvParams
    rooms: RenderedParams
    rig: Rig

    def digest(self) -> str:
        """Twelve hexadecimal digits that change with everything the episodes depend on, except their seeds."""
        gap = asdict(self.gap) | {"title": "", "group": ""}
        method = asdict(self.method) | {"title": ""}
        values = [
            method,
            asdict(self.gap.env_params(self.env)),
            gap["action_noise"],
            gap["motion"],
            self.rig.to_json(),
            code_digest(__name__),
        ]
        folders = [self.method.model]
        if self.method.looks:
            values += [gap, scenes_digest(self.rooms.frames, self.rooms.split, self.rig)]
        if self.method.estimates:
            folders.append(self.rooms.estimator)
        files = [file for folder in folders if folder for file in sorted(Path(folder).glob("*")) if file.is_file()]
        return fingerprint(values, *files)

    def run(self, seeds: Sequence[int]) -> list[Episode]:
        """The episodes of ``seeds``; goal, arm, scene and noise of a seed are the same for every method.

        Raises:
            ModelError: a network is missing or made for another rig.
            DataError: the gap needs the official meshes, which are missing.
        """
        policy = self._policy()
        if not self.method.looks:
            env = GapEnv(self.env, self.gap, TrueState(), self.rig)
            return [run_episode(policy, env, seed) for seed in seeds]
        look = self._look()
        scenes = GapScenes(self.rooms, self.gap, self.rig)
        try:
            env = GapEnv(self.env, self.gap, GapSource(scenes, look), self.rig)
            return [run_episode(policy, env, seed) for seed in seeds]
        finally:
            scenes.close()

    def _look(self) -> Look:
        if self.method.kind == "end_to_end":
            assert self.method.model is not None
            return ImageLocator.load(self.method.model, self.rig).locate
        estimator = PositionEstimator.load(self.rooms.estimator, self.rig)
        return lambda photograph, told, intrinsics: estimator.locate(photograph, told, intrinsics).fovea

    def _policy(self) -> Policy:
        method, longest = self.method, self.rig.max_displacement_m
        if method.kind == "proportional":
            return ProportionalPolicy(_gain(method), longest)
        if method.kind == "proportional_fused":
            return FusedProportionalPolicy(_gain(method), longest, 1 / self.rig.rate_hz)
        assert method.model is not None
        return load_policy(method.model, self.rig, END_TO_END if method.kind == "end_to_end" else DDPG)


class Cache:
    """The episodes of finished cells, one file for each digest; a file may hold more episodes than asked for."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def read(self, digest: str, seeds: Sequence[int]) -> list[Episode] | None:
        """The episodes of ``seeds``, or None if not all of them were run."""
        try:
            rows = {row[0]: row for row in json.loads((self._folder / f"{digest}.json").read_text(encoding="utf-8"))}
            return [
                Episode(seed, final, np.nan if arrival is None else arrival, reward)
                for seed, final, arrival, reward in (rows[seed] for seed in seeds)
            ]
        except (FileNotFoundError, KeyError):
            return None
        except (TypeError, ValueError) as error:
            raise DataError(f"{self._folder / digest}.json: not a cell's episodes ({error!r}); delete it") from error

    def write(self, digest: str, episodes: Sequence[Episode]) -> None:
        """Write a cell completely or not at all; raises DataError if there is no space on the disk."""
        rows = [
            [one.seed, one.final_m, one.arrival_s if np.isfinite(one.arrival_s) else None, one.reward]
            for one in episodes
        ]
        path = self._folder / f"{digest}.json"
        try:
            write_whole(path, json.dumps(rows))
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error}); make room and run the same again") from error


def run_cells(
    cells: Sequence[tuple[str, Cell]], seeds: Sequence[int], cache: Cache, workers: Workers
) -> Iterator[tuple[str, float]]:
    """Run cells given with their digests, each into the cache; yields digest and seconds as they finish.

    Raises:
        DataError: a worker died; finished cells stay in the cache.
    """
    # The cache holds complete cells only; if this ends early, the cells under way are lost and run again.
    with workers.open(interruptible=True) as pool:
        for index, (episodes, seconds) in pool.run(_run_one, [(cell, seeds) for _, cell in cells]):
            digest = cells[index][0]
            cache.write(digest, episodes)
            yield digest, seconds


def _run_one(task: tuple[Cell, Sequence[int]]) -> tuple[list[Episode], float]:
    """The episodes of a cell, and the processor seconds that they took."""
    cell, seeds = task
    began = _cpu_s()
    try:
        episodes = cell.run(seeds)
    except SafetyStop as stop:  # a command that is not a number; its message does not name the method
        raise SafetyStop(f"{cell.method_name} in {cell.gap_name}: {stop}") from stop
    return episodes, _cpu_s() - began


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def _gain(method: Method) -> float:
    if method.gain is None:
        raise ConfigError(f"the method {method.title!r} has no gain")
    return method.gain
