"""RGB-D rendering in one pass: colour and depth from the same draw call, through any window of any camera."""

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import mujoco
import numpy as np
from numpy.typing import NDArray

from datasets import GL_ASKED, GL_KNOWN
from datasets.common.config import one_line
from datasets.common.errors import ConfigError, DeviceError
from datasets.rig.projection import Array, Intrinsics

_COSTLY_EFFECTS = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
    mujoco.mjtRndFlag.mjRND_FOG,
    mujoco.mjtRndFlag.mjRND_HAZE,
)


_CHOOSE_GL = ("MUJOCO_EGL_DEVICE_ID", "EGL_PLATFORM", "LIBGL_DRIVERS_PATH", "__EGL_VENDOR_LIBRARY_FILENAMES")
"""Variables that can make OpenGL choose a device or library that does not work."""


def require_gl() -> None:
    """Raise ConfigError where nothing can be drawn in this process, before any work is begun that ends in drawing."""
    Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 16, 16).close()


@contextmanager
def _gl_errors() -> Iterator[None]:
    """Turn what the libraries raise while a GL context is made into a ConfigError that says what to set."""
    if GL_ASKED.lower() not in GL_KNOWN:
        raise ConfigError(f"MUJOCO_GL is {GL_ASKED!r}: choose egl or osmesa (glfw with a display), or unset it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GLFW warns of what is reported below
            yield
    except Exception as error:  # EGL, OSMesa, GLFW and MuJoCo each raise types of their own
        mujoco.GLContext.__del__ = lambda self: None  # it would fail, too, and print a traceback
        others = [name for name in _CHOOSE_GL if name in os.environ]
        unset = f", unset {', '.join(others)}" if others else ""
        raise ConfigError(
            f"nothing can be drawn here: MUJOCO_GL={GL_ASKED} gives no OpenGL context ({one_line(error)}); "
            f"set MUJOCO_GL to egl or osmesa{unset}, or install Mesa's libraries (make setup)"
        ) from error


def _load_triton() -> None:
    """Load Triton before OpenGL, where it is installed: torch's optimizers import it in their first step.

    Triton and Mesa each bring an LLVM, and Triton's crashes the process where Mesa's was loaded before it.
    """
    with suppress(ImportError):
        importlib.import_module("triton._C.libtriton")


class Renderer:
    """Draws a model's state. Belongs to the thread that made it: one GL context per process or thread.

    MuJoCo's own ``Renderer`` draws twice for colour and depth and cannot see through a window off the optical axis.

    Raises:
        ConfigError: there is no OpenGL here.
    """

    def __init__(self, model: mujoco.MjModel, max_width_px: int = 640, max_height_px: int = 480) -> None:
        self._model = model
        self._near = model.vis.map.znear * model.stat.extent
        self._far = model.vis.map.zfar * model.stat.extent
        _load_triton()
        with _gl_errors():
            self._context_gl = mujoco.GLContext(max_width_px, max_height_px)
            self._context_gl.make_current()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        # The default map has its precision at the near plane and almost none at the arm.
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(model, maxgeom=200)
        for effect in _COSTLY_EFFECTS:
            self._scene.flags[effect] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._perturbation = mujoco.MjvPerturb()
        self._open = True

    def update(self, data: mujoco.MjData) -> None:
        """Take the positions of all shapes and lights from ``data``."""
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            self._perturbation,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )

    def render(self, t_base_camera: Array, intrinsics: Intrinsics) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw what the camera sees: ``rgb (H, W, 3)`` and ``depth (H, W)`` m along the optical axis, 0 beyond 8 m.

        Raises:
            ConfigError: the image is larger than this renderer was made for.
            DeviceError: OpenGL failed.
        """
        inverse_depth = np.empty((intrinsics.height, intrinsics.width), np.float32)
        rgb = self._draw(t_base_camera, intrinsics, inverse_depth)
        # Reversed Z: the buffer holds 1 at the near plane and 0 at the far one, linear in 1 / z.
        near, far = np.float32(self._near), np.float32(self._far)
        depth = near * far / (near + inverse_depth * (far - near))
        depth[inverse_depth <= 0] = 0
        return rgb, np.ascontiguousarray(depth[::-1])

    def render_colour(self, t_base_camera: Array, intrinsics: Intrinsics) -> NDArray[np.uint8]:
        """The same ``rgb (H, W, 3)`` as :meth:`render`'s, in less time: depth is not read back."""
        return self._draw(t_base_camera, intrinsics, None)

    def close(self) -> None:
        """Free the GL context; idempotent."""
        # What is freed belongs to the current context, which another renderer of this thread may have taken.
        if self._open:
            self._context_gl.make_current()
        self._open = False
        self._context.free()
        self._context_gl.free()

    def __del__(self) -> None:
        """Close a renderer that was only dropped: MuJoCo would free what the current context, another's, draws into."""
        if getattr(self, "_open", False) and not sys.is_finalizing():
            self.close()

    def _draw(
        self, t_base_camera: Array, intrinsics: Intrinsics, inverse_depth: NDArray[np.float32] | None
    ) -> NDArray[np.uint8]:
        largest = self._context.offWidth, self._context.offHeight
        if intrinsics.width > largest[0] or intrinsics.height > largest[1]:  # MuJoCo would return undefined memory
            raise ConfigError(
                f"an image of {intrinsics.width}x{intrinsics.height} px is asked of a renderer of at most "
                f"{largest[0]}x{largest[1]} px; make it with max_width_px and max_height_px"
            )
        self._aim(t_base_camera, intrinsics)
        rgb = np.empty((intrinsics.height, intrinsics.width, 3), np.uint8)
        viewport = mujoco.MjrRect(0, 0, intrinsics.width, intrinsics.height)
        # Another renderer of this thread may have been used since, or been dropped by what was just allocated.
        self._context_gl.make_current()
        mujoco.mjr_render(viewport, self._scene, self._context)
        mujoco.mjr_readPixels(rgb, inverse_depth, viewport, self._context)
        if fault := mujoco.mjr_getError():  # then the picture may be whatever was in the memory
            raise DeviceError(f"OpenGL failed to draw (error 0x{fault:04x}); start the program again")
        return np.ascontiguousarray(rgb[::-1])

    def _aim(self, t_base_camera: Array, k: Intrinsics) -> None:
        near = self._near
        left, right = (-0.5 - k.cx) / k.fx * near, (k.width - 0.5 - k.cx) / k.fx * near
        for eye in self._scene.camera:  # MuJoCo averages the two eyes of its stereo pair
            eye.pos = t_base_camera[:3, 3]
            eye.forward = t_base_camera[:3, 2]
            eye.up = -t_base_camera[:3, 1]
            eye.frustum_near, eye.frustum_far = near, self._far
            eye.frustum_center = (left + right) / 2
            eye.frustum_width = (right - left) / 2
            eye.frustum_top = (k.cy + 0.5) / k.fy * near
            eye.frustum_bottom = -(k.height - 0.5 - k.cy) / k.fy * near
