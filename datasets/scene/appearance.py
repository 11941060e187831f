"""How a scene looks, whatever the arm does: colours, textures, lights, clutter."""

from dataclasses import dataclass

import mujoco
import numpy as np

from datasets.arm.model import colour_groups
from datasets.rig.projection import Array
from datasets.scene.randomization import LookRandomization
from datasets.scene.world import CLUTTER_SLOTS, FURNITURE_SHAPES, LIGHTS, TEXTURES

SURFACES = (
    "table",
    "floor",
    "wall",
    *(f"clutter{slot}" for slot in range(CLUTTER_SLOTS)),
    "side",
    *(f"furniture{slot}" for slot in range(len(FURNITURE_SHAPES))),
    "occluder",
)
CLUTTER = slice(SURFACES.index("clutter0"), SURFACES.index("side"))
FURNITURE = slice(SURFACES.index("furniture0"), SURFACES.index("occluder"))
ARM_COLOURS = {"arm_white": 0.92, "arm_gray": 0.72, "arm_black": 0.15}
"""Grey level of the arm's painted groups, as UFACTORY delivers it."""

_BOXES, _LIMBS, _CABLE = (0, 1), (2, 3, 4), 5
"""Furniture by slot: a cabinet, a screen, the three limbs of another robot, a cable."""
_PEDESTAL_BELOW_M = 0.1
_LEVEL = np.array([1.0, 0.0, 0.0, 0.0])
_HIDDEN = np.array([0.0, 0.0, -5.0])
_TABLE_LOW, _TABLE_HIGH = np.array([-0.35, -0.6]), np.array([0.8, 0.6])
_ARMS_OWN_LOW, _ARMS_OWN_HIGH = np.array([-0.25, -0.55]), np.array([0.85, 0.55])
"""Where the arm moves: no furniture stands there."""
_PAINT = np.array([[level] * 3 for level in ARM_COLOURS.values()])


@dataclass(frozen=True)
class Appearance:
    """Everything in view besides the arm's posture. Arrays by surface follow ``SURFACES``, arm colours ``ARM_COLOURS``.

    Attributes:
        positions: ``(S, 3)`` m; ``yaws``: ``(S,)`` rad about base z (clutter) ; ``sizes``: ``(S, 3)`` m half-extents.
        furniture_quats: ``(F, 4)``, wxyz.
        colours: ``(S, 3)``; ``textures``: ``(S,)`` index, -1 plain.
        arm_colours: ``(3, 3)``; ``arm_gloss``: index of the arm's material.
        light_positions, light_directions: ``(L, 3)``; light_colours ``(L, 3)``; ``ambient``: ``(3,)``.
    """

    positions: Array
    yaws: Array
    sizes: Array
    furniture_quats: Array
    colours: Array
    textures: np.ndarray
    arm_colours: Array
    arm_gloss: int
    light_positions: Array
    light_directions: Array
    light_colours: Array
    ambient: Array


def sample_appearance(rng: np.random.Generator, ranges: LookRandomization, tcp_m: Array, camera_m: Array) -> Appearance:
    """Draw an appearance; clutter keeps 0.12 m away from the gripper, the occluder crosses the way from camera to TCP.

    Furniture and the wall at the side stand on the side of the arm that is turned away from the camera. A camera
    below the table's top sees an arm on a pedestal, since a table would hide it.
    """
    count = len(SURFACES)
    positions = np.tile(_HIDDEN, (count, 1))
    sizes = np.full((count, 3), 0.03)
    pedestal = rng.random() < ranges.pedestal or camera_m[2] < _PEDESTAL_BELOW_M
    if pedestal:
        sizes[0], positions[0] = [*rng.uniform(0.1, 0.25, 2), 0.02], [0, 0, -0.02]
    else:
        sizes[0] = [rng.uniform(0.5, 1.0), rng.uniform(0.5, 1.2), 0.02]
        positions[0] = [rng.uniform(0.1, 0.5), rng.uniform(-0.2, 0.2), -0.02]
    sizes[1] = [6, 6, 0.01]
    positions[1] = [0, 0, -rng.uniform(0.5, 0.9)]
    sizes[2] = [3, 6, 0.01]
    positions[2] = [-rng.uniform(0.35, 2.0), 0, 0]
    aside = camera_m[1] - tcp_m[1]
    side = SURFACES.index("side")
    sizes[side] = [6, 3, 0.01]
    positions[side] = [0, (-1 if aside > 0 else 1) * rng.uniform(0.6, 2.5), 0]
    if rng.random() < ranges.open_room:
        positions[[2, side]] = _HIDDEN

    shown = 3 + rng.permutation(CLUTTER_SLOTS)[: rng.integers(ranges.clutter[0], ranges.clutter[1] + 1)]
    sizes[CLUTTER] = rng.uniform(0.015, 0.07, (CLUTTER_SLOTS, 3))
    places = _TABLE_LOW + (_TABLE_HIGH - _TABLE_LOW) * rng.random((CLUTTER_SLOTS, 2))
    tall = sizes[shown].max(axis=1)
    place = places[shown - 3]
    near_gripper = (_length(place - tcp_m[:2]) < 0.12) & (tcp_m[2] < 2 * tall + 0.2)
    standing = ~(near_gripper | (_length(place) < 0.2)) & (not pedestal)
    kept = shown[standing]
    positions[kept, :2], positions[kept, 2] = place[standing], sizes[kept, 2]
    yaws = rng.uniform(-np.pi, np.pi, count)
    floor_m = positions[1, 2]
    positions[FURNITURE], sizes[FURNITURE], quats, white = _furniture(rng, ranges.furniture, tcp_m, camera_m, floor_m)
    if rng.random() < ranges.occluder:
        sizes[-1] = [rng.uniform(0.008, 0.03), rng.uniform(0.1, 0.4), 0]
        between = rng.uniform(0.2, 0.75)
        positions[-1] = tcp_m + between * (camera_m - tcp_m) + rng.normal(0, 0.05, 3)

    colours = rng.uniform(0.05, 1.0, (count, 3))
    grey = rng.random(count) < 0.5  # laboratories are greyer than uniform colours
    colours[grey] = colours[grey].mean(axis=1, keepdims=True) + rng.normal(0, 0.03, (int(grey.sum()), 3))
    colours[FURNITURE][white] = rng.uniform(0.8, 1.0)
    pale = rng.random() < ranges.white_on_white
    if pale:
        colours[:] = rng.uniform(0.8, 1.0) + rng.normal(0, 0.03, (count, 1))
    textures = np.where((rng.random(count) < ranges.textured) & (not pale), rng.integers(0, TEXTURES, count), -1)

    shade = rng.uniform(*ranges.arm_shade)
    arm = _PAINT * shade + rng.normal(0, 0.02, (3, 3))
    if rng.random() < ranges.wild_arm:
        arm = rng.uniform(0, 1, (3, 3))

    directions = rng.normal(0, 1, (LIGHTS, 3))
    directions[:, 2] = -np.abs(directions[:, 2]) - 0.4
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    tint = 1 + rng.normal(0, 0.06, (LIGHTS, 3))
    strengths = rng.uniform(*ranges.key_light) * np.array([1.0, *rng.uniform(0, 0.6, LIGHTS - 1)])
    return Appearance(
        positions=positions,
        yaws=yaws,
        sizes=sizes,
        furniture_quats=quats,
        colours=colours.clip(0, 1),
        textures=textures,
        arm_colours=arm.clip(0, 1),
        arm_gloss=int(rng.integers(3)),
        light_positions=tcp_m - 2.0 * directions,
        light_directions=directions,
        light_colours=(strengths[:, None] * tint).clip(0, 1),
        ambient=(rng.uniform(*ranges.ambient) * tint[0]).clip(0, 1),
    )


def _furniture(
    rng: np.random.Generator, share: float, tcp_m: Array, camera_m: Array, floor_m: float
) -> tuple[Array, Array, Array, Array]:
    """Cabinets, a screen, another robot, a cable behind the arm: positions, sizes, quaternions, and which are white."""
    count = len(FURNITURE_SHAPES)
    positions, sizes, quats = np.tile(_HIDDEN, (count, 1)), np.full((count, 3), 0.03), np.tile(_LEVEL, (count, 1))
    white = np.zeros(count, bool)
    away = tcp_m[:2] - camera_m[:2]
    bearing = np.arctan2(away[1], away[0])

    def place(spread_rad: float) -> Array | None:
        """A place on the floor behind the arm; None where the arm itself moves."""
        angle, distance = bearing + rng.uniform(-spread_rad, spread_rad), rng.uniform(0.5, 2.0)
        found = tcp_m[:2] + distance * np.array([np.cos(angle), np.sin(angle)])
        return None if np.all((found > _ARMS_OWN_LOW) & (found < _ARMS_OWN_HIGH)) else found

    for slot in _BOXES:  # the second one is flat and bright as a screen is
        where = place(1.0)
        if rng.random() < share and where is not None:
            tall = rng.uniform(0.3, 1.0)
            flat = slot == _BOXES[-1]
            sizes[slot] = [0.02, rng.uniform(0.15, 0.4), 0.3 * tall] if flat else [*rng.uniform(0.1, 0.4, 2), tall]
            positions[slot] = [*where, rng.uniform(0.0, 0.5) if flat else floor_m + tall]
            quats[slot] = _turned(bearing + rng.uniform(-0.7, 0.7) if flat else rng.uniform(-np.pi, np.pi), 0.0)
            white[slot] = rng.random() < 0.5
    foot = place(0.8)
    if rng.random() < share and foot is not None:
        start, radius = np.array([*foot, rng.choice([0.0, floor_m])]), rng.uniform(0.035, 0.075)
        white[list(_LIMBS)] = rng.random() < 0.7
        for slot, lean in zip(_LIMBS, (0.2, 1.2, 2.4), strict=True):
            half, yaw, lean_rad = rng.uniform(0.1, 0.25), rng.uniform(-np.pi, np.pi), lean * rng.uniform(0.3, 1.0)
            along = np.array([np.sin(lean_rad) * np.cos(yaw), np.sin(lean_rad) * np.sin(yaw), np.cos(lean_rad)])
            positions[slot], sizes[slot], quats[slot] = start + half * along, [radius, half, 0], _turned(yaw, lean_rad)
            start, radius = start + 2 * half * along, 0.9 * radius
    end = place(1.2)
    if rng.random() < share and end is not None:
        yaw, lean_rad = rng.uniform(-np.pi, np.pi), rng.uniform(0, np.pi / 2)
        positions[_CABLE], sizes[_CABLE] = [*end, rng.uniform(-0.3, 0.6)], [rng.uniform(0.004, 0.012), 0.4, 0]
        quats[_CABLE] = _turned(yaw, lean_rad)
    return positions, sizes, quats, white


def _turned(yaw_rad: float, lean_rad: float) -> Array:
    """Quaternion (wxyz) that leans z by ``lean_rad`` towards the direction ``yaw_rad`` about z."""
    a, b = yaw_rad / 2, lean_rad / 2
    return np.array([np.cos(a) * np.cos(b), -np.sin(a) * np.sin(b), np.cos(a) * np.sin(b), np.sin(a) * np.cos(b)])


def _length(vectors: Array) -> Array:
    return np.sqrt(np.einsum("nk,nk->n", vectors, vectors))


class AppearanceWriter:
    """Writes an appearance into a compiled world."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._surfaces = np.array([model.geom(name).id for name in SURFACES])
        self._wall = SURFACES.index("wall")
        self._occluder = SURFACES.index("occluder")
        groups = colour_groups(model)
        self._arm = [np.asarray(groups.get(name, ()), dtype=int) for name in ARM_COLOURS]
        self._textures = np.array([model.material(f"texture{index}").id for index in range(TEXTURES)])
        self._gloss = np.array([model.material(f"gloss{index}").id for index in range(3)])
        self._upright = model.geom_quat[self._surfaces].copy()

    def write(self, appearance: Appearance) -> None:
        """Set places, sizes, colours and lights; call before MuJoCo's kinematics."""
        model, surfaces = self._model, self._surfaces
        model.geom_pos[surfaces] = appearance.positions
        model.geom_size[surfaces] = appearance.sizes
        model.geom_rgba[surfaces, :3] = appearance.colours
        model.geom_matid[surfaces] = np.where(appearance.textures >= 0, self._textures[appearance.textures], -1)
        turned = self._upright.copy()
        half = appearance.yaws / 2
        turned[CLUTTER] = np.stack([np.cos(half), *np.zeros((2, len(surfaces))), np.sin(half)], axis=1)[CLUTTER]
        turned[FURNITURE] = appearance.furniture_quats
        # The occluder is a bar: lying across the view, it turns about the base's x axis.
        bar = half[self._occluder]
        turned[self._occluder] = [np.cos(bar), np.sin(bar), 0, 0]
        model.geom_quat[surfaces] = turned
        for geoms, colour in zip(self._arm, appearance.arm_colours, strict=True):
            model.geom_rgba[geoms, :3] = colour
            model.geom_rgba[geoms, 3] = 1
            model.geom_matid[geoms] = self._gloss[appearance.arm_gloss]
        model.light_pos[:] = appearance.light_positions
        model.light_dir[:] = appearance.light_directions
        model.light_diffuse[:] = appearance.light_colours
        model.light_specular[:] = 0.3 * appearance.light_colours
        model.light_ambient[:] = 0
        model.vis.headlight.ambient[:] = appearance.ambient
        model.vis.headlight.diffuse[:] = 0.5 * appearance.ambient
