"""A room around the arm, drawn from a seed; its things, materials and lights share nothing with training's rooms.

Every number here is invented, for an ordinary laboratory by day or by lamplight. None was chosen by an estimator's
errors.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import mitsuba as mi
import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Array

Parts = dict[str, Any]
"""Named parts of a scene, as ``mitsuba.load_dict`` takes them."""

_PICTURE_PX = 128
_THINGS = (4, 14)
_FREE_M = 0.15
"""Things on the table keep this far from the base, the TCP and the line of sight between TCP and camera."""
_BASE_RADIUS_M = 0.1
_TABLE_TOP_M = 0.0


def draw_room(rng: np.random.Generator, tcp_m: Array, camera_m: Array) -> Parts:
    """Table with things on it, floor, walls with furniture before them, lamps, a window, and light from outside."""
    back, side = -rng.uniform(0.6, 3.0), rng.choice([-1, 1]) * rng.uniform(1.3, 3.0)
    floor, ceiling = -rng.uniform(0.65, 1.0), rng.uniform(1.8, 2.6)
    middle, height = (floor + ceiling) / 2, (ceiling - floor) / 2
    wall, white = _material(rng, rng.uniform(0.3, 0.9)), _material(rng, 0.8)
    parts: Parts = {
        "floor": _box([0, 0, floor - 0.05], [6, 6, 0.05], 0, _material(rng, rng.uniform(0.1, 0.6), patterned=0.5)),
        "ceiling": _box([0, 0, ceiling + 0.05], [6, 6, 0.05], 0, white),
        "back": _box([back - 0.05, 0, middle], [0.05, 6, height], 0, wall),
        "side": _box([0, side + np.sign(side) * 0.05, middle], [6, 0.05, height], 0, wall),
        "outside": {"type": "constant", "radiance": _light(rng, 0.03, 0.3)},
    }
    parts |= _lamps(rng, side, middle, ceiling)
    parts |= _furniture(rng, back, floor)
    return parts | _table(rng, floor, tcp_m, camera_m)


def _lamps(rng: np.random.Generator, side: float, middle: float, ceiling: float) -> Parts:
    """One to three panels under the ceiling, which saturate when seen, and a window in the side wall."""
    parts = {}
    for index in range(rng.integers(1, 4)):
        place = [rng.uniform(-1.5, 2.5), rng.uniform(-1.2, 1.2), ceiling - 0.01]
        down = _placed(place, [rng.uniform(0.15, 0.6), rng.uniform(0.1, 0.4), 1]).rotate([1, 0, 0], 180)
        parts[f"lamp{index}"] = _emitter(down, _light(rng, 8, 60))
    inwards = _placed([rng.uniform(-1, 2), side - np.sign(side) * 0.01, middle + 0.3], [1, 1, 1])
    inwards = inwards.rotate([1, 0, 0], 90 * np.sign(side)).scale([rng.uniform(0.3, 1.0), rng.uniform(0.3, 0.6), 1])
    parts["window"] = _emitter(inwards, _light(rng, 0.5, 8))
    return parts


def _furniture(rng: np.random.Generator, back: float, floor: float) -> Parts:
    """Cabinets, shelves, screens and posts before the back wall: edges and white surfaces behind the arm."""
    parts = {}
    for index in range(rng.integers(2, 7)):
        half = [rng.uniform(0.02, 0.2), rng.uniform(0.05, 0.5), rng.uniform(0.2, 0.9)]
        place = [back + half[0], rng.uniform(-1.8, 1.8), floor + half[2] + rng.choice([0, rng.uniform(0.2, 1.0)])]
        parts[f"furniture{index}"] = _box(place, half, 0, _material(rng, rng.uniform(0.05, 0.9), patterned=0.4))
    for index in range(rng.integers(0, 4)):
        x, y = back + rng.uniform(0.1, 0.3), rng.uniform(-1.5, 1.5)
        radius = rng.uniform(0.008, 0.06)
        parts[f"post{index}"] = _cylinder([x, y, floor], [x, y, rng.uniform(0.2, 1.5)], radius, _material(rng, 0.7))
    return parts


def _table(rng: np.random.Generator, floor: float, tcp_m: Array, camera_m: Array) -> Parts:
    half = np.array([rng.uniform(0.45, 0.9), rng.uniform(0.5, 1.0), 0.015])
    centre = np.array([rng.uniform(0.15, 0.4), rng.uniform(-0.15, 0.15), _TABLE_TOP_M - half[2]])
    parts = {"table": _box(centre, half, 0, _material(rng, rng.uniform(0.1, 0.85), patterned=0.6))}
    leg = (floor - half[2]) / 2
    parts["stand"] = _box([*centre[:2], leg], [0.3, 0.3, -leg - half[2]], 0, _material(rng, 0.4))
    for index in range(rng.integers(*_THINGS)):
        size = rng.uniform([0.01, 0.01, 0.005], [0.08, 0.08, 0.12])
        place = centre[:2] + rng.uniform(-0.9, 0.9, 2) * half[:2]
        if _from_segment(place, tcp_m[:2], camera_m[:2]) < _FREE_M + size[:2].max() or (
            np.hypot(*place) < _FREE_M + _BASE_RADIUS_M + size[:2].max()
        ):
            continue
        material = _material(rng, rng.uniform(0.03, 0.95), patterned=0.3)
        foot = [*place, _TABLE_TOP_M]
        match rng.integers(4):
            case 0:
                parts[f"thing{index}"] = _box([*place, size[2]], size, rng.uniform(0, 360), material)
            case 1:
                parts[f"thing{index}"] = _cylinder(foot, [*place, 2 * size[2]], size[0], material)
                top = _placed([*place, 2 * size[2]], [size[0], size[0], 1])
                parts[f"top{index}"] = {"type": "disk", "to_world": top, "bsdf": material}
            case 2:
                parts[f"thing{index}"] = {
                    "type": "sphere", "center": [*place, size[0]], "radius": size[0], "bsdf": material,
                }  # fmt: skip
            case 3:  # a cable
                angle = rng.uniform(0, 2 * np.pi)
                end = [*(place + 0.12 * np.array([np.cos(angle), np.sin(angle)])), 0.004]
                parts[f"thing{index}"] = _cylinder([*place, 0.004], end, 0.004, material)
    return parts


def _material(rng: np.random.Generator, level: float, patterned: float = 0.0) -> Parts:
    """Paint, plastic, wood or metal of a grey ``level`` 0..1, slightly tinted, by Disney's principled model."""
    tint = np.clip(level * (1 + rng.normal(0, 0.12, 3) * rng.choice([0.2, 1.0, 3.0])), 0.02, 0.95)
    colour: Mapping[str, Any] = {"type": "rgb", "value": tint.tolist()}
    if rng.random() < patterned:
        repeat = rng.uniform(0.7, 3.0, 2)
        colour = {
            "type": "bitmap",
            "bitmap": mi.Bitmap(_pattern(rng, tint)),
            "raw": True,
            "to_uv": mi.ScalarTransform4f().scale([*repeat, 1]),
        }
    metal = float(rng.random() < 0.15)
    return {
        "type": "twosided",
        "bsdf": {
            "type": "principled",
            "base_color": colour,
            "metallic": metal,
            "roughness": float(rng.uniform(0.15, 0.9)),
            "specular": 0.5,
        },
    }


def _pattern(rng: np.random.Generator, tint: Array) -> NDArray[np.float32]:
    """Wood's grain, speckle or print, ``(128, 128, 3)`` about ``tint``: random blocks, sharp or smooth."""
    blocks = rng.random((rng.integers(4, 64), rng.integers(2, 32), 1), dtype=np.float32)
    sharp = cv2.INTER_NEAREST if rng.random() < 0.5 else cv2.INTER_CUBIC
    wide = cv2.resize(blocks, (_PICTURE_PX, _PICTURE_PX), interpolation=sharp)
    contrast = rng.uniform(0.1, 0.8)
    return np.clip(tint * (1 + contrast * (2 * wide[..., None] - 1)), 0, 0.95).astype(np.float32)


def _light(rng: np.random.Generator, low: float, high: float) -> Parts:
    """Between warm lamps and a blue sky."""
    warmth = rng.uniform(-0.2, 0.2)
    strength = np.exp(rng.uniform(np.log(low), np.log(high)))
    return {"type": "rgb", "value": (strength * np.array([1 + warmth, 1.0, 1 - warmth])).tolist()}


def _emitter(placed: Any, radiance: Parts) -> Parts:
    return {"type": "rectangle", "to_world": placed, "emitter": {"type": "area", "radiance": radiance}}


def _placed(place: Any, size: Any) -> Any:
    return mi.ScalarTransform4f().translate([float(p) for p in place]).scale([float(s) for s in size])


def _box(centre: Any, half: Any, yaw_deg: float, material: Parts) -> Parts:
    turned = mi.ScalarTransform4f().translate([float(c) for c in centre]).rotate([0, 0, 1], float(yaw_deg))
    return {"type": "cube", "to_world": turned.scale([float(h) for h in half]), "bsdf": material}


def _cylinder(low: Any, high: Any, radius: float, material: Parts) -> Parts:
    ends = {"p0": [float(v) for v in low], "p1": [float(v) for v in high]}
    return {"type": "cylinder", **ends, "radius": float(radius), "bsdf": material}


def _from_segment(point: Array, start: Array, end: Array) -> float:
    """Distance from a point to a segment in the plane, m."""
    along = end - start
    share = np.clip((point - start) @ along / (along @ along + 1e-12), 0, 1)
    return float(np.linalg.norm(point - start - share * along))
