"""A stepped run on the point world with a terminal of its own, for test_step_prompt.py to type at: FILE."""

import fcntl
import json
import sys
import termios
from pathlib import Path

import numpy as np

from datasets.rig.rig import Rig
from pipelines.observers.step_prompt import StepPrompt
from pipelines.runtime.interrupt import stop_on_signals
from pipelines.setup.settings import RuntimeParams
from point_world import PointWorld  # this folder is a script's first place to look


def main(file):
    fcntl.ioctl(sys.stdin, termios.TIOCSCTTY, 0)  # whose Ctrl-C is this process's
    world = PointWorld(Rig.load(), RuntimeParams.load(), rate_hz=10.0)
    with stop_on_signals(world.arm.stop) as world.interrupted:
        world.ask = StepPrompt(world.interrupted, world.arm.why_stopped)
        result = world.runtime().reach(np.array([0.45, 0.08, 0.30]))
    sent = [move.tolist() for move in world.arm.moves]
    Path(file).write_text(json.dumps({"stop": str(result.stop), "sent": sent}))


if __name__ == "__main__":
    main(*sys.argv[1:])
