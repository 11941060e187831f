"""One shard of a split, drawn and written: the unit of work of frame generation."""

from dataclasses import dataclass

from datasets.generation.labelled_frame import Drawer, DrawerFactory, draw_rows
from datasets.generation.splits import SplitPlan
from datasets.store.store import storage_errors
from datasets.store.writer import SplitWriter


@dataclass(frozen=True)
class Shard:
    """Which shard of which split."""

    plan: SplitPlan
    index: int


class ShardDrawer:
    """Draws and writes shards; called with a :class:`Shard` it returns the number of its frames.

    It keeps its drawer from shard to shard: making one (world, GL context) costs more than drawing a hundred frames.

    Args:
        url: of the frame store.
        make_drawer: makes the drawer of a split.
    """

    def __init__(self, url: str, make_drawer: DrawerFactory) -> None:
        self._url, self._make_drawer = url, make_drawer
        self._drawer: tuple[SplitPlan, Drawer] | None = None

    def __call__(self, shard: Shard) -> int:
        """Draw and write; raises DataError where it cannot be written."""
        with storage_errors(f"shard {shard.index} of {self._url}/{shard.plan.name}"):
            if self._drawer is None or self._drawer[0] != shard.plan:
                self.close()
                self._drawer = (shard.plan, self._make_drawer(shard.plan))
            writer = SplitWriter(self._url, shard.plan.name)
            rows = writer.rows(shard.index)
            writer.write(shard.index, draw_rows(self._drawer[1], shard.plan, rows))
            return len(rows)

    def close(self) -> None:
        """Close the drawer; idempotent."""
        if self._drawer is not None:
            self._drawer[1].close()
            self._drawer = None
