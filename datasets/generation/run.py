"""One run of frame generation: what it draws, where to, and what it does with existing frames."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from tqdm import tqdm

from datasets.arm.official import menagerie_available
from datasets.arm.tools import tool_digest
from datasets.common.code_digest import code_digest, fingerprint
from datasets.common.errors import DataError
from datasets.common.files import location
from datasets.common.workers import Pool
from datasets.generation.labelled_frame import DrawerFactory, SceneDrawer
from datasets.generation.shards import Shard, ShardDrawer
from datasets.generation.splits import SplitPlan
from datasets.store.store import FrameStore, StoredFiles, open_group, schema, storage_errors
from datasets.store.writer import SplitWriter, changed_keys, found_description

Existing = Literal["resume", "redraw"]
_LEAST_SHARE = 0.3
"""Least share of a frame's bytes that remains after compression; 0.42 was measured."""
_ROOT_KEYS = {"complete", "program", "splits"}
"""Attributes that this command keeps for a whole store: while a run is under way, also by which program it draws, and
which splits are that program's."""


@dataclass(frozen=True)
class Run:
    """The plan of one run: what to draw, where to, and what to do with existing frames.

    ``existing`` "resume" keeps finished splits, goes on with unfinished ones and refuses those of other parameters;
    "redraw" goes on with an interrupted run of the same parameters and program, and draws everything else anew.
    """

    url: str
    plans: Sequence[SplitPlan]
    existing: Existing = "resume"
    fresh: bool = False
    make_drawer: DrawerFactory = SceneDrawer

    def draw(self, pool: Pool, quiet: bool = False) -> tuple[int, int]:
        """Draw the missing frames; returns how many were drawn and how many there are now.

        Raises:
            DataError: existing frames do not fit, a worker died, or the store cannot be written.
        """
        writers = self._begin()
        total = sum(writer.frames for writer in writers.values())
        pending = {name: [] if writer.complete else writer.pending() for name, writer in writers.items()}
        missing = sum(len(writers[name].rows(shard)) for name, shards in pending.items() for shard in shards)
        draw_shard = ShardDrawer(self.url, self.make_drawer)
        with tqdm(total=total, initial=total - missing, unit="frame", smoothing=0.05, disable=quiet) as bar:
            for plan in self.plans:
                bar.set_description(plan.name)
                for _, frames in pool.run(draw_shard, [Shard(plan, index) for index in pending[plan.name]]):
                    bar.update(frames)
                if not writers[plan.name].complete:
                    writers[plan.name].finish()
        for plan in self.plans:
            StoredFiles(self.url, plan.name).remove_partial()  # left by workers that outlived an earlier run
        StoredFiles(self.url).remove_partial(deep=False)
        self._root().attrs.put({"complete": True})
        return missing, total

    def _root(self) -> zarr.Group:
        return open_group(self.url, mode="a")

    def _begin(self) -> dict[str, SplitWriter]:
        """Delete outdated frames and open all splits; everything is checked before anything is changed."""
        tools = {tool_digest(plan.rig.tool) for plan in self.plans}
        program = fingerprint([code_digest("datasets.generation.labelled_frame"), *sorted(tools)])
        with storage_errors(f"writing {self.url}"):
            attributes = self._attributes()
            interrupted = attributes.get("complete") is False
            same_program = attributes.get("program") == program
            if interrupted and not same_program and self.existing == "resume" and not self.fresh:
                raise DataError(
                    f"{self.url}: an interrupted run was drawn by other code, or another tool, than today's; "
                    "start again with --fresh"
                )
            its = set(attributes.get("splits", [])) if interrupted and same_program else set()
            anew = {p.name for p in self.plans if self.fresh or (self.existing == "redraw" and p.name not in its)}
            descriptions = {plan.name: self._description(plan, plan.name in anew) for plan in self.plans}
            unfit = [name for name, wanted in descriptions.items() if name in anew or self._unfit(name, wanted)]
            for name in descriptions:
                if name in unfit or found_description(self.url, name) is None:
                    StoredFiles(self.url, name).require_own()
            self._require_room(descriptions)
            for name in unfit:
                self._remove(name)
            writers = {}
            for plan in self.plans:
                columns = schema(plan.looks, plan.rig.input_px)
                writers[plan.name] = SplitWriter.begin(self.url, plan.name, columns, descriptions[plan.name])
            its.update(name for name, writer in writers.items() if not writer.complete)
            self._root().attrs.put({"complete": False, "program": program, "splits": sorted(its)})
        return writers

    def _require_room(self, descriptions: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse a disk without room for the splits; existing frames of them count as room."""
        place = location(self.url)
        if "://" in place:
            return
        needed = 0.0
        for plan in self.plans:
            columns = schema(plan.looks, plan.rig.input_px).values()
            frame = sum(math.prod(column.shape) * np.dtype(column.dtype).itemsize for column in columns)
            needed += _LEAST_SHARE * frame * int(descriptions[plan.name]["frames"])
            needed -= sum(StoredFiles(self.url, plan.name).sizes().values())
        folder = next(path for path in (Path(place), *Path(place).absolute().parents) if path.exists())
        if needed > (free := shutil.disk_usage(folder).free):
            raise DataError(
                f"{self.url}: the frames take {needed / 1e9:.1f} GB or more and {free / 1e9:.1f} GB are free; "
                "free space, choose another --out or fewer --splits"
            )

    def _remove(self, split: str) -> None:
        """Delete the frames of a split, and report it."""
        found = found_description(self.url, split)
        if files := StoredFiles(self.url, split).remove():
            frames = "a beginning" if found is None else f"{found['frames']} frames drawn before"
            print(f"{self.url}/{split}: deleted {frames} ({files} files)")

    def _attributes(self) -> dict[str, Any]:
        """The attributes of the store; raises DataError if another program wrote it."""
        try:
            found = dict(open_group(self.url).attrs)
        except FileNotFoundError:
            return {}
        if others := sorted(found.keys() - _ROOT_KEYS):
            raise DataError(
                f"{self.url}: a Zarr group that this project did not write ({', '.join(others[:3])}); "
                "choose another --out"
            )
        return found

    def _description(self, plan: SplitPlan, anew: bool) -> Mapping[str, Any]:
        """The attributes of the split's group; if the official meshes are missing: zero frames, and the reason."""
        wanted = {"arm_model": plan.randomization.arm, **plan.description()}
        reason = menagerie_available() if plan.randomization.arm == "menagerie" else None
        drawn = found_description(self.url, plan.name) is not None and not changed_keys(self.url, plan.name, wanted)
        if not reason or (drawn and not anew):
            return wanted
        print(f"{plan.name}: not drawn, {reason}")
        return {**wanted, "frames": 0, "reason": reason}

    def _unfit(self, split: str, wanted: Mapping[str, Any]) -> bool:
        """Whether an existing split must be deleted before it is drawn.

        Raises:
            DataError: it has other parameters, and deleting it needs ``--redraw``.
        """
        found = found_description(self.url, split)
        if found is None:
            return False
        if changed_keys(self.url, split, wanted):
            if self.existing == "redraw" or "reason" in found:
                return True
            SplitWriter.begin(self.url, split, {}, wanted)  # raises, naming what differs
        if SplitWriter(self.url, split).complete:
            try:
                FrameStore(self.url, split)
            except DataError as error:
                print(f"{error}\n{split}: drawing it again")
                return True
        return False
