"""The simulated world and the labelled RGB-D frames drawn from it (ground floor: imports no other room)."""

import os

# Frames are drawn without a display; MuJoCo reads this once, when it is first imported.
os.environ.setdefault("MUJOCO_GL", "egl")
