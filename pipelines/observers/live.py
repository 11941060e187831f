"""The live view of a run in Rerun: the picture with what perception believes, the arm's space, errors and latencies."""

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from control.arms.fence import Fence
from datasets.common.cli import require_writable
from datasets.common.errors import ConfigError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from pipelines.observers.overlay import ESTIMATE, GOAL, draw_tick
from pipelines.runtime.tick import Tick, Vector

logger = logging.getLogger(__name__)

SENT = (0, 158, 115)
HOST, MEMORY = "127.0.0.1", "1GB"
"""Where the viewer listens: nobody on the network reads the pictures, or writes into the operator's view."""
_PORTS = range(9876, 9976)
_OPENED_S, _STAYS_S = 10.0, 1.0
"""It listens before it has found out that it cannot draw here."""
_ELLIPSOID_SIGMAS = 2.0


def require_live(save: str | None = None) -> None:
    """Refuse now what :class:`LiveView` would stumble over once the devices are open.

    Raises:
        ConfigError: ``rerun-sdk`` is not installed, there is no viewer or display, or ``save`` cannot be written.
    """
    try:
        import rerun  # noqa: F401
    except ImportError as error:
        raise ConfigError("--live needs the package rerun-sdk: pip install -c constraints.txt -e '.[live]'") from error
    if save is not None:
        require_writable(save, "--live", make_folders=False)
        if Path(save).exists():
            raise ConfigError(f"--live {save}: is there already and is not written over; name another file")
        return
    if viewer_path() is None:
        raise ConfigError("--live: Rerun's viewer is not installed; write the view to a file by --live FILE.rrd")
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ConfigError("--live: there is no display to show the run on; write the view to a file by --live FILE.rrd")


def viewer_path() -> str | None:
    """Rerun's viewer: the one of this environment, activated or not, else any other; None without one."""
    return shutil.which("rerun", path=str(Path(sys.executable).parent)) or shutil.which("rerun")


def viewer_command(path: str, port: int) -> list[str]:
    """How the viewer is started: listening on this computer only, in bounded memory."""
    bounded = ["--memory-limit", MEMORY, "--server-memory-limit", MEMORY]
    return [path, "--bind", HOST, "--port", str(port), *bounded, "--hide-welcome-screen"]


def open_viewer(path: str) -> str | None:
    """Start a viewer that outlives the run; the address to send to, None where it does not come up."""
    port = next((port for port in _PORTS if _is_free(port)), _PORTS[0])
    # CI: the viewer has no other variable against storing, and sending, how it is used.
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
    """Observes a run and shows it; Rerun sends from a thread of its own.

    Args:
        t_base_camera: the camera's calibrated pose (4x4).
        save: a ``.rrd`` file to write in place of opening the viewer.

    Raises:
        ConfigError: as :func:`require_live`.
    """

    def __init__(self, fence: Fence, t_base_camera: Vector, intrinsics: Intrinsics, save: str | None = None) -> None:
        require_live(save)
        import rerun

        self._rerun = rerun
        self._t_base_camera, self._intrinsics = t_base_camera, intrinsics
        address = None if save is not None else open_viewer(str(viewer_path()))
        if save is None and address is None:
            logger.warning("no live view: Rerun's viewer did not open; the run goes on")
        rerun.init("sim2real-reach", default_enabled=save is not None or address is not None)
        if save is not None:
            rerun.save(save)
        elif address is not None:
            rerun.connect_grpc(address)
        centre, half = (fence.low_m + fence.high_m) / 2, (fence.high_m - fence.low_m) / 2
        rerun.log("space", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        rerun.log("space/fence", rerun.Boxes3D(centers=[centre], half_sizes=[half], labels=["fence"]), static=True)
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
        picture = draw_tick(frame.rgb, tick, self._t_base_camera, self._intrinsics)
        rerun.log("picture", rerun.Image(picture).compress(jpeg_quality=80))
        rerun.log("space/goal", rerun.Points3D([tick.goal], colors=[GOAL], radii=[0.006]))
        has_encoders = bool(np.all(np.isfinite(tick.tcp)))
        if has_encoders:
            rerun.log("space/encoders", rerun.Points3D([tick.tcp], colors=[(128, 128, 128)], radii=[0.004]))
        self._scalars("latency_ms", frame_age=1e3 * tick.timing.age, frame_to_command=1e3 * tick.timing.reaction)
        if tick.held:
            return
        half = np.maximum(_ELLIPSOID_SIGMAS * tick.sigma, 1e-4)
        rerun.log("space/estimate", rerun.Ellipsoids3D(centers=[tick.estimate], half_sizes=[half], colors=[ESTIMATE]))
        rerun.log("space/sent", rerun.Arrows3D(origins=[tick.estimate], vectors=[tick.sent], colors=[SENT]))
        self._scalars("error_mm", goal_by_camera=1e3 * tick.error_m)
        if has_encoders:
            seen_mm = 1e3 * float(np.linalg.norm(tick.estimate - tick.tcp_at_frame))
            to_goal_mm = 1e3 * float(np.linalg.norm(tick.tcp - tick.goal))
            self._scalars("error_mm", goal_by_encoders=to_goal_mm, estimate=seen_mm)

    def close(self) -> None:
        """Send what waits."""
        self._rerun.disconnect()

    def _scalars(self, group: str, **values: float) -> None:
        for name, value in values.items():
            self._rerun.log(f"{group}/{name}", self._rerun.Scalars(value))
