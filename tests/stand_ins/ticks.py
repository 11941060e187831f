"""Ticks as a run leaves them, for tests of what is told of one."""

import numpy as np

from pipelines.runtime.tick import Tick


def make_tick(time_s=1.0, move_s=0.001, **changes):
    """One whose frame was 130 ms old, seen in 6 ms and acted on in 1 ms, begun 1 ms late."""
    tcp = np.array([0.42, 0.03, 0.25])
    values = {
        "goal_index": 0,
        "step": 3,
        "time_s": time_s,
        "due_s": time_s - 0.001,
        "frame_time_s": time_s - 0.13,
        "taken_s": time_s,
        "estimated_s": time_s + 0.006,
        "acted_s": time_s + 0.007,
        "done_s": time_s + 0.007 + move_s,
        "goal": np.array([0.45, 0.10, 0.30]),
        "estimate": tcp,
        "sigma": np.array([0.002, 0.003, 0.001]),
        "command": np.array([0.01, 0.02, 0.0]),
        "sent": np.array([0.01, 0.02, 0.0]),
        "tcp": tcp,
        "tcp_at_frame": tcp,
        "held": False,
    }
    return Tick(**{**values, **changes})
