"""Checks whether pictures can be drawn here, by what, and how fast: draws a few of the twin's in a separate process."""

import json
import time
from collections.abc import Iterator

from pipelines.doctor.finding import Broken, Finding, State, look_apart

PICTURES = 10
_TIMEOUT_S = 60.0
_SLOW_S = 1 / 15
_REMEDY = (
    "choose MUJOCO_GL=egl (or osmesa; glfw only with a display), unset PYOPENGL_PLATFORM and MUJOCO_EGL_DEVICE_ID, or "
    "install Mesa's libraries (make setup-runtime). The twin and drawing need it, a run on a real arm does not"
)


def look(back_end: str) -> Iterator[Finding]:
    """Draw with ``back_end`` (MuJoCo's name for it) in a separate process, so that a crash does not end this one."""
    try:
        drawn = look_apart(["-m", __name__], _TIMEOUT_S, {"MUJOCO_GL": back_end})
    except Broken as broken:
        yield Finding("OpenGL", State.FAULT, f"MUJOCO_GL={back_end}: nothing is drawn: {broken}", _REMEDY)
        return
    found = f"MUJOCO_GL={back_end}, {drawn['by']}: {drawn['ms']:.1f} ms per picture of {drawn['size']} px"
    if drawn["ms"] <= _SLOW_S * 1e3:
        yield Finding("OpenGL", State.OK, found)
    else:
        remedy = "end other programs; the twin films 15 pictures per second or more"
        yield Finding("OpenGL", State.NOTE, found, remedy)


def draw() -> dict[str, object]:
    """Draw colour and depth of the rig's view several times; returns what drew them, and the ms for one."""
    import mujoco
    import numpy as np
    from OpenGL import GL

    from datasets.rig.rig import Rig
    from datasets.scene.renderer import Renderer
    from datasets.scene.world import build_world

    rig, model = Rig.load(), build_world()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = Renderer(model)
    seconds = []
    for _ in range(PICTURES + 1):  # the first one compiles
        began = time.monotonic()
        renderer.update(data)
        renderer.render(rig.t_base_camera, rig.camera)
        seconds.append(time.monotonic() - began)
    by = (GL.glGetString(GL.GL_RENDERER) or b"unnamed").decode(errors="replace")
    renderer.close()
    size = f"{rig.camera.width}x{rig.camera.height}"
    return {"by": by, "ms": float(np.median(seconds[1:])) * 1e3, "size": size}


if __name__ == "__main__":
    print(json.dumps(draw()))
