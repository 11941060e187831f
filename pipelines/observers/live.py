"""The live view of a run in Rerun: the picture with what perception believes, the arm's space, errors and latencies."""

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba

from control.arms.fence import Fence
from control.clearance.arm_clearance import ArmClearance
from control.clearance.distance import TABLE
from control.clearance.shapes import LINKS
from datasets.common.cli import require_writable
from datasets.common.errors import ConfigError, DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Array, Intrinsics
from pipelines.observers.overlay import DOUBTED, ESTIMATE, GOAL, draw_tick
from pipelines.observers.site_picture import ARM, FREE, KEEP_OUT, free_boxes, outward_triangles
from pipelines.runtime.tick import Tick, Vector

logger = logging.getLogger(__name__)

SENT = (0, 158, 115)
HOST, MEMORY = "127.0.0.1", "1GB"
"""The viewer's address and memory limit: on the loopback address no one on the network can read the pictures or write
into the operator's view."""
_PORTS = range(9876, 9976)
_OPENED_S, _STAYS_S = 10.0, 1.0
"""Time for the viewer to listen, and to go on running then, s: it listens before it notices that it cannot draw."""
_ELLIPSOID_SIGMAS = 2.0
_TABLE_M = (-0.3, -0.6), (0.9, 0.6)
"""Two opposite corners of the part of the table that is shown, x and y in m."""


def require_live(save: str | None = None) -> None:
    """Check what :class:`LiveView` needs, before the devices are opened.

    Raises:
        ConfigError: ``rerun-sdk`` is not installed, there is no viewer or display, or ``save`` cannot be written.
    """
    try:
        import rerun  # noqa: F401  (imported only as a check)
    except ImportError as error:
        raise ConfigError("--live needs the package rerun-sdk: pip install -c constraints.txt -e '.[live]'") from error
    if save is not None:
        require_writable(save, "--live", make_folders=False)
        if Path(save).exists():
            raise ConfigError(f"--live {save}: exists already; name another file")
        return
    if viewer_path() is None:
        raise ConfigError("--live: Rerun's viewer is not installed; write the view to a file by --live FILE.rrd")
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ConfigError("--live: there is no display to show the run on; write the view to a file by --live FILE.rrd")


def viewer_path() -> str | None:
    """The path of Rerun's viewer, in this environment (activated or not) or elsewhere; None if there is none."""
    return shutil.which("rerun", path=str(Path(sys.executable).parent)) or shutil.which("rerun")


def viewer_command(path: str, port: int) -> list[str]:
    """The command that starts the viewer, listening on this computer only, with bounded memory."""
    bounded = ["--memory-limit", MEMORY, "--server-memory-limit", MEMORY]
    return [path, "--bind", HOST, "--port", str(port), *bounded, "--hide-welcome-screen"]


def open_viewer(path: str) -> str | None:
    """Start a viewer that stays open after the run; returns its address, or None if it does not start."""
    port = next((port for port in _PORTS if _is_free(port)), _PORTS[0])
    # CI is the only variable that keeps the viewer from storing and sending data on its use.
    quiet = {**os.environ, "RERUN_APP_ONLY": "true", "CI": "true"}
    nothing = subprocess.DEVNULL
    viewer = subprocess.Popen(
        viewer_command(path, port), stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True, env=quiet
    )
    until = time.monotonic() + _OPENED_S
    while viewer.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 0.2):
            break
        time.sleep(0.05)
    try:
        viewer.wait(_STAYS_S)
    except subprocess.TimeoutExpired:
        return f"rerun+http://{HOST}:{port}/proxy"
    return None


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


class LiveView:
    """Observes a run and shows it; Rerun sends the data in its own thread.

    Args:
        clearance: the arm's shape, and the things that it keeps clear of.
        t_base_camera: the camera's calibrated pose (4x4).
        joints_at: gives the joints ``(7,)`` rad at a past moment; NaN or a DeviceError if they are unknown.
        save: a ``.rrd`` file to write in place of opening the viewer.

    Raises:
        ConfigError: as :func:`require_live`.
    """

    def __init__(
        self,
        fence: Fence,
        clearance: ArmClearance,
        t_base_camera: Vector,
        intrinsics: Intrinsics,
        joints_at: Callable[[float], Vector],
        save: str | None = None,
    ) -> None:
        require_live(save)
        import rerun

        self._rerun, self._shapes, self._joints_at = rerun, clearance.distance, joints_at
        self._t_base_camera, self._intrinsics, self._has_arm = t_base_camera, intrinsics, False
        address = None if save is not None else open_viewer(str(viewer_path()))
        if save is None and address is None:
            logger.warning("no live view: Rerun's viewer did not open; the run goes on")
        rerun.init("sim2real-reach", default_enabled=save is not None or address is not None)
        if save is not None:
            rerun.save(save)
        elif address is not None:
            rerun.connect_grpc(address)
        rerun.log("space", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        keep_out = [piece for piece in self._shapes.pieces if piece.link < 0]
        self._boxes("space/fence", free_boxes(clearance, fence), FREE)
        ends = {each.name: (each.vertices.min(axis=0), each.vertices.max(axis=0)) for each in keep_out}
        self._boxes("space/keep_out", ends, KEEP_OUT)
        low, high = (np.array([*corner, clearance.table_z_m]) for corner in _TABLE_M)
        self._boxes("space/table", {TABLE: (low, high)}, ARM)
        rerun.log(
            "space/camera",
            rerun.Transform3D(translation=t_base_camera[:3, 3], mat3x3=t_base_camera[:3, :3]),
            rerun.Pinhole(
                focal_length=(intrinsics.fx, intrinsics.fy),
                principal_point=(intrinsics.cx, intrinsics.cy),
                resolution=(intrinsics.width, intrinsics.height),
                image_plane_distance=0.2,
            ),
            static=True,
        )

    def __call__(self, tick: Tick, frame: Frame) -> None:
        """Show one tick."""
        rerun = self._rerun
        rerun.set_time("run", duration=tick.time_s)
        caption = f"{tick.why_held}: holding still" if tick.held else ""
        picture = draw_tick(frame.rgb, tick, self._t_base_camera, self._intrinsics, caption)
        rerun.log("picture", rerun.Image(picture).compress(jpeg_quality=80))
        rerun.log("space/goal", rerun.Points3D([tick.goal], colors=[GOAL], radii=[0.006]))
        with contextlib.suppress(DeviceError):  # the arm's oldest report is younger than this frame
            self._place(self._joints_at(tick.frame_time_s))
        has_encoders = bool(np.all(np.isfinite(tick.tcp)))
        if has_encoders:
            rerun.log("space/encoders", rerun.Points3D([tick.tcp], colors=[(128, 128, 128)], radii=[0.004]))
        self._scalars("latency_ms", frame_age=1e3 * tick.timing.age, frame_to_command=1e3 * tick.timing.reaction)
        if tick.is_estimated:
            half, colour = np.maximum(_ELLIPSOID_SIGMAS * tick.sigma, 1e-4), DOUBTED if tick.held else ESTIMATE
            rerun.log("space/estimate", rerun.Ellipsoids3D(centers=[tick.estimate], half_sizes=[half], colors=[colour]))
        if tick.held:
            rerun.log("space/sent", rerun.Clear(recursive=False))
            return
        rerun.log("space/sent", rerun.Arrows3D(origins=[tick.estimate], vectors=[tick.sent], colors=[SENT]))
        self._scalars("error_mm", goal_by_camera=1e3 * tick.error_m)
        if has_encoders:
            seen_mm = 1e3 * float(np.linalg.norm(tick.estimate - tick.tcp_at_frame))
            to_goal_mm = 1e3 * float(np.linalg.norm(tick.tcp - tick.goal))
            self._scalars("error_mm", goal_by_encoders=to_goal_mm, estimate=seen_mm)

    def close(self) -> None:
        """Send all remaining data."""
        self._rerun.disconnect()

    def _boxes(self, path: str, ends: dict[str, tuple[Array, Array]], colour: str) -> None:
        if ends:
            lows, highs = map(np.array, zip(*ends.values(), strict=True))
            boxes = self._rerun.Boxes3D(mins=lows, sizes=highs - lows, labels=list(ends), colors=[to_rgba(colour)])
            self._rerun.log(path, boxes, static=True)

    def _place(self, joints_rad: Vector) -> None:
        """Show the arm at joints ``(7,)`` rad; for NaN it stays as it is shown, or hidden."""
        if not np.all(np.isfinite(joints_rad)):
            return
        turns, places = self._shapes.poses(joints_rad)
        for link, name in enumerate(LINKS):
            path = f"space/arm/{name}"
            if not self._has_arm:
                self._rerun.log(path, self._mesh(link), static=True)
            self._rerun.log(path, self._rerun.Transform3D(translation=places[link + 1], mat3x3=turns[link + 1]))
        self._has_arm = True

    def _mesh(self, link: int) -> Any:
        parts = [outward_triangles(piece.vertices) for piece in self._shapes.pieces if piece.link == link]
        corners = np.concatenate(parts).reshape(-1, 3)
        indices = np.arange(len(corners)).reshape(-1, 3)
        return self._rerun.Mesh3D(vertex_positions=corners, triangle_indices=indices, albedo_factor=to_rgba(ARM))

    def _scalars(self, group: str, **values: float) -> None:
        for name, value in values.items():
            self._rerun.log(f"{group}/{name}", self._rerun.Scalars(value))
