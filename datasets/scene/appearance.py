"""How a scene looks, whatever the arm does: colours, textures, lights, clutter."""

from dataclasses import dataclass

import mujoco
import numpy as np

from datasets.arm.model import colour_groups
from datasets.rig.projection import Array
from datasets.scene.randomization import LookRandomization
from datasets.scene.world import CLUTTER_SLOTS, LIGHTS, TEXTURES

SURFACES = ("table", "floor", "wall", *(f"clutter{slot}" for slot in range(CLUTTER_SLOTS)), "occluder")
ARM_COLOURS = {"arm_white": 0.92, "arm_gray": 0.72, "arm_black": 0.15}
"""Grey level of the arm's painted groups, as UFACTORY delivers it."""

_HIDDEN = np.array([0.0, 0.0, -5.0])
_TABLE_LOW, _TABLE_HIGH = np.array([-0.35, -0.6]), np.array([0.8, 0.6])
_PAINT = np.array([[level] * 3 for level in ARM_COLOURS.values()])


@dataclass(frozen=True)
class Appearance:
    """Everything in view besides the arm's posture. Arrays by surface follow ``SURFACES``, arm colours ``ARM_COLOURS``.

    Attributes:
        positions: ``(S, 3)`` m; ``yaws``: ``(S,)`` rad about base z (clutter) ; ``sizes``: ``(S, 3)`` m half-extents.
        colours: ``(S, 3)``; ``textures``: ``(S,)`` index, -1 plain.
        arm_colours: ``(3, 3)``; ``arm_gloss``: index of the arm's material.
        light_positions, light_directions: ``(L, 3)``; light_colours ``(L, 3)``; ``ambient``: ``(3,)``.
    """

    positions: Array
    yaws: Array
    sizes: Array
    colours: Array
    textures: np.ndarray
    arm_colours: Array
    arm_gloss: int
    light_positions: Array
    light_directions: Array
    light_colours: Array
    ambient: Array


def sample_appearance(rng: np.random.Generator, ranges: LookRandomization, tcp_m: Array, camera_m: Array) -> Appearance:
    """Draw one; clutter keeps 0.12 m away from the gripper, the occluder crosses the way from camera to TCP."""
    count = len(SURFACES)
    positions = np.tile(_HIDDEN, (count, 1))
    sizes = np.full((count, 3), 0.03)
    sizes[0] = [rng.uniform(0.5, 1.0), rng.uniform(0.5, 1.2), 0.02]
    positions[0] = [rng.uniform(0.1, 0.5), rng.uniform(-0.2, 0.2), -0.02]
    sizes[1] = [6, 6, 0.01]
    positions[1] = [0, 0, -rng.uniform(0.5, 0.9)]
    sizes[2] = [3, 6, 0.01]
    positions[2] = [-rng.uniform(0.35, 2.0), 0, 0]

    shown = 3 + rng.permutation(CLUTTER_SLOTS)[: rng.integers(ranges.clutter[0], ranges.clutter[1] + 1)]
    sizes[3:-1] = rng.uniform(0.015, 0.07, (CLUTTER_SLOTS, 3))
    places = _TABLE_LOW + (_TABLE_HIGH - _TABLE_LOW) * rng.random((CLUTTER_SLOTS, 2))
    tall = sizes[shown].max(axis=1)
    place = places[shown - 3]
    near_gripper = (_length(place - tcp_m[:2]) < 0.12) & (tcp_m[2] < 2 * tall + 0.2)
    standing = ~(near_gripper | (_length(place) < 0.2))
    kept = shown[standing]
    positions[kept, :2], positions[kept, 2] = place[standing], sizes[kept, 2]
    yaws = rng.uniform(-np.pi, np.pi, count)
    if rng.random() < ranges.occluder:
        sizes[-1] = [rng.uniform(0.008, 0.03), rng.uniform(0.1, 0.4), 0]
        between = rng.uniform(0.2, 0.75)
        positions[-1] = tcp_m + between * (camera_m - tcp_m) + rng.normal(0, 0.05, 3)

    colours = rng.uniform(0.05, 1.0, (count, 3))
    grey = rng.random(count) < 0.5  # laboratories are greyer than uniform colours
    colours[grey] = colours[grey].mean(axis=1, keepdims=True) + rng.normal(0, 0.03, (int(grey.sum()), 3))
    textures = np.where(rng.random(count) < ranges.textured, rng.integers(0, TEXTURES, count), -1)

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
        colours=colours.clip(0, 1),
        textures=textures,
        arm_colours=arm.clip(0, 1),
        arm_gloss=int(rng.integers(3)),
        light_positions=tcp_m - 2.0 * directions,
        light_directions=directions,
        light_colours=(strengths[:, None] * tint).clip(0, 1),
        ambient=(rng.uniform(*ranges.ambient) * tint[0]).clip(0, 1),
    )


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
        turned[3:] = np.stack([np.cos(half), *np.zeros((2, len(surfaces))), np.sin(half)], axis=1)[3:]
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
