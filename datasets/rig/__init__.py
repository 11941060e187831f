"""The physical set-up, pinhole projection, and the frame that a camera gives."""

from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Rig

__all__ = ["Frame", "Intrinsics", "Rig"]
