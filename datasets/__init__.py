"""The simulated world and the labelled RGB-D frames drawn from it (ground floor: imports no other package).

Importing this package switches off the telemetry of all libraries that the project uses, and keeps NumPy's linear
algebra to one thread; every other package imports it first. To decide otherwise, set a library's variable before
starting.
"""

import os
import sys

UNASKED = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: a device id, processes, sessions and models, since 1.29
    "NO_ALBUMENTATIONS_UPDATE": "1",  # asks the network for its newest version on import
    "DVC_NO_ANALYTICS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "LIT_DISABLE_TELEMETRY": "1",
    "WANDB_MODE": "offline",
    "WANDB_DISABLED": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # timm's way to the hub
    "RS2_RUM_CLOUD_ENABLED": "0",  # librealsense counts its own use in the home folder; it does not send this
    "DO_NOT_TRACK": "1",  # read by the libraries that follow this convention
}
"""Variables that keep the libraries used from storing or sending anything about their use.

Rerun's viewer has none: :mod:`pipelines.observers.live` starts it so that it does neither.
"""

GL_ASKED = os.environ.get("MUJOCO_GL") or "egl"
"""The back end that frames are drawn with: EGL, which needs no display, unless MUJOCO_GL asks for another."""
GL_KNOWN = ("egl", "osmesa", "glfw")
_GL_OFF = ("disable", "disabled", "off", "false", "0")
"""MuJoCo's words for "no OpenGL": with one of them it loads none."""

# MuJoCo reads this at its first import, and refuses an unknown value; the error then appears where frames are drawn.
os.environ["MUJOCO_GL"] = GL_ASKED.lower() if GL_ASKED.lower() in (*GL_KNOWN, *_GL_OFF) else "egl"
if os.environ["MUJOCO_GL"] in ("egl", "osmesa"):
    os.environ["PYOPENGL_PLATFORM"] = os.environ["MUJOCO_GL"]
# Pictures are drawn into files even if a notebook started this command; inside a notebook its own back end stays.
if "IPython" not in sys.modules:
    os.environ["MPLBACKEND"] = "agg"
for _name, _value in UNASKED.items():
    os.environ.setdefault(_name, _value)
# Matrices are small here, and a thread of OpenBLAS that waits for the next one keeps a processor from the control loop:
# on two processors an estimate took 46 ms beside the twin, and takes 30 ms. NumPy reads it at its first import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
