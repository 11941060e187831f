"""The end-to-end actors as they are shipped: from the glance's picture to a displacement, without the trainer."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from control.policies.shipped import Displacement, limit_length, open_actor
from datasets.common.files import location
from datasets.rig.rig import Rig

KIND = "end_to_end"


class ImagePolicy:
    """An end-to-end actor, run by ONNX Runtime on one thread; it remembers nothing."""

    def __init__(self, session: onnxruntime.InferenceSession, rig: Rig) -> None:
        self._session = session
        self._longest = rig.max_displacement_m

    @classmethod
    def load(cls, folder: str | Path, rig: Rig) -> "ImagePolicy":
        """Open the policy of ``folder``; raises ModelError as :func:`control.policies.shipped.load_policy` does."""
        return cls(open_actor(Path(location(folder)), rig, KIND), rig)

    def act(self, rgb: NDArray[np.uint8], goal: NDArray, last_command: NDArray) -> tuple[Displacement, NDArray]:
        """The displacement ``(3,)`` m, and where the network believes the TCP to be, ``(3,)`` m.

        Args:
            rgb: ``(S, S, 3)``, the glance's window at the rig's input size.
            goal: ``(3,)`` m.
            last_command: ``(3,)`` m, what was sent at the step before.
        """
        feed = {
            "image": np.ascontiguousarray(rgb.transpose(2, 0, 1))[None],
            "command": np.asarray(last_command, dtype=np.float32)[None],
            "desired_goal": np.asarray(goal, dtype=np.float32)[None],
        }
        action, position = self._session.run(["action", "position"], feed)
        return limit_length(np.asarray(action)[0] * self._longest, self._longest), np.asarray(position)[0]
