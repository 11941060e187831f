"""The world in which the arm stands: table, floor, walls, lights and clutter around the arm, as one MuJoCo model."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from datasets.arm.model import ArmName, arm_spec
from datasets.arm.tools import ToolParams

CLUTTER_SLOTS = 10
LIGHTS = 3
TEXTURES = 24
_TEXTURE_PX = 128
_CLUTTER_SHAPES = (
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_BOX,
)

FURNITURE_SHAPES = (*(mujoco.mjtGeom.mjGEOM_BOX,) * 2, *(mujoco.mjtGeom.mjGEOM_CAPSULE,) * 4)


def build_world(arm: ArmName = "own", tool: ToolParams | None = None) -> mujoco.MjModel:
    """Compile the world with the arm's base at the origin, its ``tool`` mounted, and the table's top at z = 0.

    Geoms that vary are named: ``table``, ``floor``, ``wall``, ``side``, ``clutter0``.., ``furniture0``..,
    ``occluder``; materials ``texture0``..; lights ``light0``... Their places, sizes and colours are set scene by scene.
    """
    spec = arm_spec(arm, tool)
    spec.stat.extent = 1.0
    spec.visual.map.znear = 0.05
    spec.visual.map.zfar = 8.0
    spec.visual.quality.offsamples = 0
    spec.visual.quality.numslices = 10
    spec.visual.quality.numstacks = 5
    getattr(spec.visual, "global").offwidth = 640
    getattr(spec.visual, "global").offheight = 480
    _add_textures(spec)

    world = spec.worldbody
    passive = {"contype": 0, "conaffinity": 0}
    world.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0.3, 0, -0.02], size=[0.8, 0.8, 0.02], **passive)
    world.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0, 0, -0.75], size=[6, 6, 0.01], **passive)
    # The wall's thin side is its local z, so that flat textures lie on its face.
    world.add_geom(
        name="wall",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[-1, 0, 0],
        size=[3, 6, 0.01],
        quat=[np.sqrt(0.5), 0, np.sqrt(0.5), 0],
        **passive,
    )
    world.add_geom(
        name="side",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0, -2, 0],
        size=[6, 3, 0.01],
        quat=[np.sqrt(0.5), np.sqrt(0.5), 0, 0],
        **passive,
    )
    # Compiled away from the body frame: a geom that coincides with it stays there, even if a pose is written later.
    anywhere = {**passive, "pos": [0, 0, -5], "quat": [0.9, 0.1, 0.1, 0.4]}
    for slot in range(CLUTTER_SLOTS):
        shape = _CLUTTER_SHAPES[slot % len(_CLUTTER_SHAPES)]
        world.add_geom(name=f"clutter{slot}", type=shape, size=[0.03, 0.03, 0.03], **anywhere)
    for slot, shape in enumerate(FURNITURE_SHAPES):
        world.add_geom(name=f"furniture{slot}", type=shape, size=[0.03, 0.03, 0.03], **anywhere)
    world.add_geom(name="occluder", type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.02, 0.3, 0], **anywhere)
    for index in range(LIGHTS):
        world.add_light(name=f"light{index}", pos=[1, 0, 2], dir=[0, 0, -1], castshadow=False)
    return spec.compile()


def _add_textures(spec: mujoco.MjSpec) -> None:
    for index in range(TEXTURES):
        texture = spec.add_texture(
            name=f"texture{index}",
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            width=_TEXTURE_PX,
            height=_TEXTURE_PX,
            nchannel=3,
        )
        texture.data = _texture_image(np.random.default_rng(index)).tobytes()
        material = spec.add_material(name=f"texture{index}", texrepeat=[1.5, 1.5], texuniform=True)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"texture{index}"
    for index, (specular, shininess) in enumerate([(0.1, 0.1), (0.5, 0.4), (0.9, 0.8)]):
        spec.add_material(name=f"gloss{index}", specular=specular, shininess=shininess)


def _texture_image(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A seamless picture of blotches, grain, stripes or checks in two colours: ``(128, 128, 3)``."""
    frequencies = np.hypot(*np.meshgrid(*[np.fft.fftfreq(_TEXTURE_PX) * rng.choice([1.0, 1.0, 8.0])] * 2))
    spectrum = np.fft.fft2(rng.standard_normal((_TEXTURE_PX, _TEXTURE_PX))) / (frequencies + 0.02) ** rng.uniform(
        0.5, 2
    )
    field = np.fft.ifft2(spectrum).real
    phase = np.linspace(0, 2 * np.pi * rng.integers(2, 12), _TEXTURE_PX, endpoint=False)
    kind = rng.integers(3)
    if kind == 1:
        field = np.sin(phase)[None, :] + 0.3 * field / field.std()
    elif kind == 2:
        field = np.sign(np.sin(phase)[None, :] * np.sin(phase)[:, None])
    blend = (field - field.min()) / (np.ptp(field) + 1e-9)
    dark, light = rng.uniform(0, 0.8, 3), rng.uniform(0.4, 1, 3)
    return (255 * (dark + blend[..., None] * (light - dark)).clip(0, 1)).astype(np.uint8)
