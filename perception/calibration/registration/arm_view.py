"""The arm's model at known joints, as a camera sees it: depth, links, surface points, joint axes."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.arm.model import ARM_JOINTS, GRIPPER_JOINTS, ArmName, arm_spec, mesh_of
from datasets.rig.projection import Array, Intrinsics
from datasets.scene.renderer import Renderer

LINKS = ("base", *(f"link{index}" for index in range(1, 8)), "tool")
"""The parts by which residuals are grouped; a pixel's link is an index into them, -1 where there is no arm."""
TOOL = LINKS.index("tool")
FINE = 2
"""How many pixels may be drawn per pixel of the camera, along each side."""
_GRIPPER = "xarm_gripper_base_link"


@dataclass(frozen=True)
class Surface:
    """Points spread evenly over the arm's surface at one posture, base frame.

    Attributes:
        points: ``(N, 3)`` m.
        normals: ``(N, 3)``, outward.
        links: ``(N,)`` index in ``LINKS``.
    """

    points: Array
    normals: Array
    links: NDArray[np.intp]


class _LinkRenderer(Renderer):
    """Draws each geom in a colour that encodes its number, as MuJoCo's own renderer does for segmentation."""

    def __init__(self, model: mujoco.MjModel, width_px: int, height_px: int) -> None:
        super().__init__(model, width_px, height_px)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = 1
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1

    def geoms(self) -> NDArray[np.intp]:
        """The model's geom of each colour, -1 for none: the first entry is the background."""
        table = np.full(self._scene.ngeom + 1, -1, dtype=np.intp)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0:
                table[geom.segid + 1] = geom.objid
        return table


class ArmView:
    """One arm model with a GL context of its own; belongs to the thread that made it.

    Args:
        size_px: width and height of the largest picture that is asked for.
        arm: "own", or "menagerie" for the official meshes.
        tool: False for a bare flange.
    """

    def __init__(self, size_px: tuple[int, int], arm: ArmName = "own", *, tool: bool = True) -> None:
        spec = arm_spec(arm)
        spec.stat.extent = 1.0
        spec.visual.map.znear, spec.visual.map.zfar = 0.05, 8.0
        spec.visual.quality.offsamples = 0
        shown = getattr(spec.visual, "global")
        shown.offwidth, shown.offheight = buffer = FINE * size_px[0], FINE * size_px[1]
        if not tool:
            for element in (*spec.equalities, *(each for each in spec.actuators if each.name == "gripper")):
                spec.delete(element)
            spec.delete(spec.body(_GRIPPER))
        self._model = model = spec.compile()
        self._data = mujoco.MjData(model)
        self._renderer = _LinkRenderer(model, *buffer)
        self._joints = np.array([model.joint(name).id for name in ARM_JOINTS])
        self._places = model.jnt_qposadr[self._joints]
        self._fingers = [model.joint(name).qposadr[0] for name in GRIPPER_JOINTS] if tool else []
        bodies = {model.body(name).id: index for index, name in enumerate(("link_base", *(LINKS[1:-1])))}
        self._links = np.array([bodies.get(int(body), TOOL) for body in model.geom_bodyid], dtype=np.intp)
        self._colours = np.append(model.mat_rgba[model.geom_matid][:, :3], np.zeros((1, 3)), axis=0)

    def place(self, joints_rad: ArrayLike, gripper_rad: float = 0.0) -> None:
        """Bring the arm to seven joint angles and the gripper to its own, 0 open."""
        self._data.qpos[self._places] = joints_rad
        self._data.qpos[self._fingers] = gripper_rad
        mujoco.mj_kinematics(self._model, self._data)
        self._renderer.update(self._data)

    @property
    def axes(self) -> tuple[Array, Array]:
        """Directions and anchors ``(7, 3)`` of the joints at the present posture, base frame, m."""
        return self._data.xaxis[self._joints].copy(), self._data.xanchor[self._joints].copy()

    def draw(self, t_base_camera: Array, intrinsics: Intrinsics) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Depth ``(H, W)`` m, 0 where the arm is not, and the link of each pixel ``(H, W)``, -1 there."""
        depth, geoms = self._draw(t_base_camera, intrinsics)
        return depth, np.append(self._links, -1)[geoms]

    def paint(
        self, t_base_camera: Array, intrinsics: Intrinsics
    ) -> tuple[NDArray[np.float32], NDArray[np.intp], Array]:
        """As :meth:`draw`, and the linear colour of each pixel's material ``(H, W, 3)``, black where no arm is."""
        depth, geoms = self._draw(t_base_camera, intrinsics)
        return depth, np.append(self._links, -1)[geoms], self._colours[geoms]

    def _draw(self, t_base_camera: Array, intrinsics: Intrinsics) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        colours, depth = self._renderer.render(t_base_camera, intrinsics)
        number = colours[..., :2].astype(np.intp) @ np.array([1, 256])
        return depth, self._renderer.geoms()[number]

    def draw_finer(
        self, t_base_camera: Array, k: Intrinsics, times: int = FINE
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """As :meth:`draw`, with ``times`` the pixels along each side; pixel u is at ``times * u + (times - 1) / 2``."""
        centre = times * k.cx + (times - 1) / 2, times * k.cy + (times - 1) / 2
        size = times * k.width, times * k.height
        return self.draw(t_base_camera, Intrinsics(*size, times * k.fx, times * k.fy, *centre))

    def surface(self, count: int) -> Surface:
        """About ``count`` points at the present posture, the same ones of each link at every posture."""
        model, rng = self._model, np.random.default_rng(0)
        corners, owners = [], []
        for geom in range(model.ngeom):
            vertices, faces = mesh_of(model, geom)
            triangles = vertices[faces]
            rotation = self._data.geom_xmat[geom].reshape(3, 3)
            corners.append(triangles @ rotation.T + self._data.geom_xpos[geom])
            owners.append(np.full(len(triangles), self._links[geom]))
        a, b, c = np.moveaxis(np.concatenate(corners), 1, 0)
        cross = np.cross(b - a, c - a)
        area = np.linalg.norm(cross, axis=1)
        chosen = rng.choice(len(area), count, p=area / area.sum())
        u, v = rng.random((2, count, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        points = a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen]
        return Surface(points, cross[chosen] / area[chosen, None], np.concatenate(owners)[chosen])

    def close(self) -> None:
        """Free the GL context; idempotent."""
        self._renderer.close()
