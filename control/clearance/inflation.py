"""How much each convex piece must be thickened to hold the official meshes: ``python -m control.clearance.inflation``.

Every triangle of the official meshes, cut to ``EDGE_M``, must lie entirely in one thickened piece of its link. If its
three corners lie in a convex piece, so does the triangle. The thickening of
one piece of a link after the other is made as small as possible, until none can be reduced. The pieces hold the gripper
at every opening.
"""

import mujoco
import numpy as np
import yaml
from scipy.spatial import ConvexHull

from control.clearance.shapes import FLANGE, INFLATION_PATH, LINKS, OPENINGS, Piece, bare_pieces
from datasets.arm.model import GRIPPER_CLOSED_RAD, GRIPPER_JOINTS, arm_spec, mesh_of
from datasets.common.cli import CommandParser, command_line
from datasets.common.errors import DataError
from datasets.rig.projection import Array

EDGE_M = 0.004
STEP_M = 1e-4
OPENINGS_HELD = 2 * OPENINGS - 1
"""Number of openings at which the gripper is checked: those whose hulls make the pieces, and those half way between."""

HEADING = """\
# How much each convex piece of the arm is thickened, mm, so that the official meshes lie within: made by
# python -m control.clearance.inflation (which says how) from the model of MuJoCo Menagerie; not to be edited by hand.
"""


def official_triangles(edge_m: float = EDGE_M) -> dict[int, Array]:
    """Triangles ``(T, 3, 3)`` m of the official meshes in each link's frame, cut to ``edge_m``; gripper at any opening.

    Raises:
        DataError: the official model or trimesh is not available.
    """
    try:
        from trimesh.remesh import subdivide_to_size
    except ImportError as error:
        raise DataError("cutting the official meshes needs trimesh: install the extra 'menagerie'") from error
    model = arm_spec("menagerie", decimate=False).compile()
    data = mujoco.MjData(model)
    joints = [model.joint(name).qposadr[0] for name in GRIPPER_JOINTS]
    found: dict[int, list[Array]] = {}
    for geom in range(model.ngeom):
        vertices, faces = mesh_of(model, geom)
        cut, cut_faces = subdivide_to_size(vertices.astype(float), faces, edge_m, max_iter=20)
        name = model.body(model.geom_bodyid[geom]).name
        link = LINKS.index(name) if name in LINKS else LINKS.index(FLANGE)
        moves = name not in LINKS and name.startswith(("left_", "right_"))
        for angle in np.linspace(0, GRIPPER_CLOSED_RAD, OPENINGS_HELD if moves else 1):
            data.qpos[joints] = angle
            mujoco.mj_kinematics(model, data)
            frame = data.body(LINKS[link])
            turn = frame.xmat.reshape(3, 3).T
            pose = turn @ data.geom_xmat[geom].reshape(3, 3)
            found.setdefault(link, []).append(
                (cut @ pose.T + turn @ (data.geom_xpos[geom] - frame.xpos))[np.asarray(cut_faces)]
            )
    return {link: np.concatenate(parts) for link, parts in found.items()}


def distances(points: Array, piece: Piece) -> Array:
    """How far points ``(N, 3)`` lie outside the hull of a piece, ``(N,)`` m; 0 inside."""
    from trimesh.triangles import closest_point

    hull = ConvexHull(piece.vertices)
    beyond = np.max(points @ hull.equations[:, :3].T + hull.equations[:, 3], axis=1)
    distance = np.zeros(len(points))
    outside = np.flatnonzero(beyond > 0)
    corners = piece.vertices[hull.simplices]
    for part in np.array_split(outside, max(1, len(outside) // 2000)):
        pairs = np.repeat(part, len(corners))
        near = closest_point(np.tile(corners, (len(part), 1, 1)), points[pairs])
        distance[part] = np.linalg.norm(near - points[pairs], axis=1).reshape(len(part), -1).min(axis=1)
    return distance


def needed(pieces: list[Piece], triangles: Array) -> Array:
    """Thickness ``(P,)`` m that each piece of one link needs so that together they hold all of the triangles."""
    corners, inverse = np.unique(np.round(triangles.reshape(-1, 3), 7), axis=0, return_inverse=True)
    missing = np.stack([distances(corners, piece)[inverse.reshape(-1, 3)].max(axis=1) for piece in pieces], axis=1)
    missing = missing[missing.min(axis=1) > 0]
    thickness = np.full(len(pieces), missing.min(axis=1).max(initial=0.0))
    while True:
        thinned = False
        for index in np.argsort([-len(piece.vertices) for piece in pieces]):
            others = np.delete(thickness, index)
            alone = ~(np.delete(missing, index, axis=1) <= others).any(axis=1)
            least = missing[alone, index].max(initial=0.0)
            if least < thickness[index] - STEP_M / 10:
                thickness[index], thinned = max(least, thickness[index] - 2 * STEP_M), True
        if not thinned:
            return np.ceil(thickness / STEP_M) * STEP_M


def main(arguments: list[str] | None = None) -> None:
    """Write ``inflation.yaml``."""
    parser = CommandParser(prog="python -m control.clearance.inflation", description=(__doc__ or "").split("\n\n")[0])
    with command_line(parser.prog, parser.parse_args(arguments)):
        official, bare = official_triangles(), bare_pieces()
        inflation = {}
        for link, triangles in official.items():
            pieces = [piece for piece in bare if piece.link == link]
            for piece, thickness in zip(pieces, needed(pieces, triangles), strict=True):
                inflation[piece.key] = round(float(thickness) * 1000, 1)
        lines = yaml.safe_dump({piece.key: inflation[piece.key] for piece in bare}, sort_keys=False)
        INFLATION_PATH.write_text(HEADING + lines)


if __name__ == "__main__":
    main()
