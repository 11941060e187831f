"""Who draws a split's pictures: the classic photographer, or the path tracer that training never saw."""

from typing import Protocol

from datasets.arm.official import menagerie_available
from datasets.generation.splits import SplitPlan
from datasets.path_tracer.photographer import PathTracer, path_tracer_available
from datasets.rig.projection import Window
from datasets.scene.photographer import Photographer, Picture
from datasets.scene.scene import Scene


class DrawsWindows(Protocol):
    """Photographs scenes window by window; belongs to the thread that made it."""

    def photograph(self, scene: Scene, window: Window, size_px: int, noise_seed: int = 0) -> Picture:
        """``rgb (S, S, 3)`` uint8 and noisy ``depth (S, S)`` float32 m, 0 where there is no reading."""
        ...

    def close(self) -> None:
        """Free what it holds; idempotent."""
        ...


def photographer_of(plan: SplitPlan) -> DrawsWindows:
    """The photographer of a split's scenes.

    Raises:
        DataError: what it needs is not at hand.
        ConfigError: there is no OpenGL here.
    """
    if plan.renderer == "mitsuba":
        return PathTracer()
    return Photographer(plan.rig, plan.randomization.arm)


def not_drawable(plan: SplitPlan) -> str | None:
    """None where a split's pictures can be drawn, else the reason why not and what to do."""
    if plan.renderer == "mitsuba":
        return path_tracer_available()
    return menagerie_available() if plan.randomization.arm == "menagerie" else None
