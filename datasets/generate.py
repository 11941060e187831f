"""Draw the labelled frames of all splits: ``python -m datasets.generate --config params/frames.yaml``."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import zarr
from tqdm import tqdm
from zarr.errors import GroupNotFoundError

from datasets.arm.official import menagerie_available
from datasets.common.cli import command_line
from datasets.common.code_digest import code_digest
from datasets.common.config import load_params
from datasets.common.errors import DataError
from datasets.common.workers import Pool, Workers, add_worker_options
from datasets.generation.labelled_frame import DrawerFactory, SceneDrawer
from datasets.generation.shards import Shard, ShardDrawer
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.rig import RIG_PATH, Rig
from datasets.store.store import FrameStore, StoredFiles, open_store, schema, storage_errors
from datasets.store.writer import SplitWriter, changed_keys, found_description

Existing = Literal["resume", "redraw"]

_EPILOG = """\
A run that was stopped (Ctrl-C, kill, full disk, lost worker) goes on where it stopped when the same command is given
again; nothing is drawn twice. The same parameters give the same bytes, whatever the number of workers. Frame i of a
split depends on the split's seed and i alone.

examples:
  python -m datasets.generate                                    all splits, one process per core
  python -m datasets.generate --splits train val --workers 1     two splits, in this process
  python -m datasets.generate --out s3://bucket/frames --backend ray --address auto
"""


@dataclass(frozen=True)
class Run:
    """One call of this command: what to draw, where to, and what to do with what is there already.

    ``existing`` "resume" keeps finished splits, goes on with unfinished ones and refuses those of other parameters;
    "redraw" goes on with an interrupted run of the same parameters and program, and draws everything else anew.
    """

    url: str
    plans: Sequence[SplitPlan]
    existing: Existing = "resume"
    fresh: bool = False
    make_drawer: DrawerFactory = SceneDrawer

    def draw(self, pool: Pool, quiet: bool = False) -> tuple[int, int]:
        """Draw what is missing; how many frames were drawn, and how many there are now.

        Raises:
            DataError: what is there does not fit, a worker died, or the place cannot be written.
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
        StoredFiles(self.url).remove_partial()  # of workers that outlived an earlier run by a moment
        self._root().attrs.put({"complete": True})
        return missing, total

    def _root(self) -> zarr.Group:
        return zarr.open_group(open_store(self.url, read_only=False), mode="a")

    def _begin(self) -> dict[str, SplitWriter]:
        """Clear away what must go and open all splits; what is to be refused is refused before anything is touched."""
        program = code_digest("datasets.generation.labelled_frame")
        with storage_errors(f"writing {self.url}"):
            attributes = self._attributes()
            interrupted = attributes.get("complete") is False
            same_program = attributes.get("program") == program
            if interrupted and not same_program and self.existing == "resume" and not self.fresh:
                raise DataError(
                    f"{self.url}: an interrupted run was drawn by other code than today's; start again with --fresh"
                )
            anew = self.fresh or (self.existing == "redraw" and not (interrupted and same_program))
            descriptions = {plan.name: self._description(plan, anew) for plan in self.plans}
            unfit = [name for name, wanted in descriptions.items() if anew or self._unfit(name, wanted)]
            for name in unfit:
                StoredFiles(self.url, name).remove()
            StoredFiles(self.url).remove_partial()
            writers = {}
            for plan in self.plans:
                columns = schema(plan.looks, plan.rig.input_px)
                writers[plan.name] = SplitWriter.begin(self.url, plan.name, columns, descriptions[plan.name])
            self._root().attrs.put({"complete": False, "program": program})
        return writers

    def _attributes(self) -> dict[str, Any]:
        try:
            return dict(zarr.open_group(open_store(self.url), mode="r").attrs)
        except (GroupNotFoundError, FileNotFoundError):
            return {}

    def _description(self, plan: SplitPlan, anew: bool) -> Mapping[str, Any]:
        """What the split's group is to say of itself; no frames, and why, where the official arm is not at hand."""
        wanted = {"arm_model": plan.randomization.arm, **plan.description()}
        reason = menagerie_available() if plan.randomization.arm == "menagerie" else None
        drawn = found_description(self.url, plan.name) is not None and not changed_keys(self.url, plan.name, wanted)
        if not reason or (drawn and not anew):
            return wanted
        print(f"{plan.name}: not drawn, {reason}")
        return {**wanted, "frames": 0, "reason": reason}

    def _unfit(self, split: str, wanted: Mapping[str, Any]) -> bool:
        """Whether the split that is there must be deleted before it is drawn.

        Raises:
            DataError: it has other parameters, and is not to be deleted without being told to.
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


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets.generate",
        description="Draw labelled RGB-D frames of randomized scenes into a Zarr store, one group per split.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", default="params/frames.yaml", help="splits and randomization (default: %(default)s)")
    add("--rig", default=str(RIG_PATH), help="the physical set-up (default: %(default)s)")
    add("--out", default="data/frames", help="folder or any fsspec URL (default: %(default)s)")
    add("--splits", nargs="+", metavar="NAME", help="only these splits (default: all of the parameter file)")
    add_worker_options(parser)
    add(
        "--existing",
        choices=["resume", "redraw"],
        default="resume",
        help="what to do with frames that are there: keep them and refuse other parameters, or draw anew all but what "
        "an interrupted run left (default: %(default)s)",
    )
    add("--fresh", action="store_true", help="delete these splits first and draw them again")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    with command_line("datasets.generate"):
        options = parse_arguments(arguments)
        workers = Workers.of(options)
        params = load_params(options.config, FramesParams)
        rig = Rig.load(options.rig)
        plans = [SplitPlan.of(params, name, rig) for name in options.splits or params.splits]
        # Workers on a cluster have working folders of their own.
        out = os.path.abspath(options.out) if options.backend == "ray" and "://" not in options.out else options.out
        run = Run(out, plans, options.existing, options.fresh)
        with workers.open() as pool:
            drawn, total = run.draw(pool)
        print(f"{options.out}: {drawn} frames drawn, {total - drawn} were there")


if __name__ == "__main__":
    main()
