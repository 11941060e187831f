"""What happens to training frames between the store and the network, besides what the renderer randomized.

Colours are changed by albumentations, which works on single images: groups of frames are stacked into one tall image,
so that the cost is paid once a group. A share of frames is corrupted on purpose (blacked out, without depth, occluded,
looking elsewhere), so that the network learns to say when it cannot know.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

CORRUPTIONS = {"black": 1.0, "no_depth": 1.0, "occluded": 3.0, "elsewhere": 1.0, "capped": 1.0}
"""Each with its weight: something before the gripper is the commonest in a laboratory, and the hardest to notice."""


@dataclass(frozen=True)
class AugmentSettings:
    """How much is changed.

    Attributes:
        colour: share of the groups of frames whose colours are changed.
        group: frames that share one change of colour.
        spoilt: share of frames that no longer show the TCP.
        holes: share of frames that lose a rectangle of depth.
    """

    colour: float = 0.5
    group: int = 8
    spoilt: float = 0.08
    holes: float = 0.1


class ColourChange:
    """Brightness, contrast, hue, gamma, noise and blur that a camera of another make or setting would bring."""

    def __init__(self, settings: AugmentSettings, seed: int) -> None:
        import albumentations  # late, for a quick --help

        self._settings = settings
        self._change = albumentations.Compose(
            [
                albumentations.RandomBrightnessContrast(0.25, 0.25, p=0.7),
                albumentations.HueSaturationValue(12, 30, 15, p=0.4),
                albumentations.RandomGamma((75, 130), p=0.3),
                albumentations.GaussNoise((0.01, 0.05), p=0.3),
                albumentations.ToGray(p=0.05),
            ],
            seed=seed,
        )
        self._drawing = [self._change, *self._change.transforms]  # each has random numbers of its own

    @property
    def random_state(self) -> list[dict[str, Any]]:
        """The state of all random numbers, in plain values; set it to draw the same changes again."""
        return [
            {"numpy": each.random_generator.bit_generator.state, "python": each.py_random.getstate()}
            for each in self._drawing
        ]

    @random_state.setter
    def random_state(self, state: list[dict[str, Any]]) -> None:
        for each, its in zip(self._drawing, state, strict=True):
            each.random_generator.bit_generator.state = its["numpy"]
            each.py_random.setstate(its["python"])

    def __call__(self, rgb: Tensor) -> Tensor:
        """Frames ``(B, S, S, 3)`` uint8 with changed colours."""
        groups = []
        for group in rgb.split(self._settings.group):
            image = group.reshape(-1, *group.shape[2:]).numpy()
            if torch.rand(()) < self._settings.colour:
                image = np.ascontiguousarray(self._change(image=image)["image"])
            groups.append(torch.from_numpy(image).view(group.shape))
        return torch.cat(groups)


def punch_holes(depth: Tensor, share: float) -> Tensor:
    """Depth ``(B, S, S)`` of which a ``share`` of frames lose the readings of a random rectangle."""
    inside = _rectangles(len(depth), depth.shape[-1], 0.1, 0.4)
    inside &= (torch.rand(len(depth)) < share)[:, None, None]
    return depth.masked_fill(inside, 0.0)


def corrupt(rgb: Tensor, depth: Tensor, tcp_pixel: Tensor, share: float) -> tuple[Tensor, Tensor, Tensor]:
    """Make a ``share`` of frames unusable.

    Args:
        rgb: ``(B, S, S, 3)`` uint8.
        depth: ``(B, S, S)`` m.
        tcp_pixel: ``(B, 2)`` where the TCP lies in these pictures.
        share: of the frames.

    Returns:
        The pictures, and ``seen (B,)``: 1 where the TCP can still be found.
    """
    batch, size = depth.shape[:2]
    names = [*CORRUPTIONS]
    drawn = torch.multinomial(torch.tensor([*CORRUPTIONS.values()]), batch, replacement=True)
    kind = torch.where(torch.rand(batch) < share, drawn, -1)
    rgb, depth = rgb.clone(), depth.clone()
    for index in torch.nonzero(kind >= 0)[:, 0].tolist():
        corruption = names[int(kind[index])]
        if corruption in ("black", "capped"):
            rgb[index] = torch.randint(0, 12, (1,), dtype=torch.uint8)
        if corruption in ("no_depth", "capped"):
            depth[index] = 0.0
        if corruption == "occluded":
            _occlude(rgb[index], depth[index], tcp_pixel[index])
        if corruption == "elsewhere":
            rows, columns = _elsewhere(tcp_pixel[index], size)
            rgb[index] = rgb[index][rows][:, columns]
            depth[index] = depth[index][rows][:, columns]
    # Without colour, the point map may still show the TCP. A network that sees colour alone learns from its likelihood
    # that it cannot know.
    blind = (kind >= 0) & (kind != names.index("black"))
    return rgb, depth, (~blind).to(depth.dtype)


def _occlude(rgb: Tensor, depth: Tensor, centre: Tensor) -> None:
    """Hold a plain board before the TCP and most of what surrounds it, in place."""
    size = depth.shape[0]
    half = torch.empty(2).uniform_(0.25, 0.6) * size
    low = (centre - half).round().long().clamp(0, size - 1)
    high = (centre + half).round().long().clamp(1, size)
    board = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
    rgb[board] = torch.randint(0, 256, (3,), dtype=torch.uint8)
    reading = depth[depth > 0]
    distance = float(reading.median()) if len(reading) else 1.0
    depth[board] = distance * float(torch.empty(1).uniform_(0.5, 0.95))


def _elsewhere(centre: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of a part of the picture, blown up, that leaves out the TCP by a quarter of the picture."""
    margin = size / 4
    column, row = (float(value) for value in centre)
    spans = {
        "left": column - margin,
        "right": size - 1 - column - margin,
        "top": row - margin,
        "bottom": size - 1 - row - margin,
    }
    side = max(spans, key=lambda name: spans[name] * float(torch.rand(())))
    extent = max(spans[side], 4.0)
    span = torch.linspace(0, extent, size).round().long().clamp(0, size - 1)
    if side in ("right", "bottom"):
        span = size - 1 - span.flip(0)
    everything = torch.arange(size)
    return (everything, span) if side in ("left", "right") else (span, everything)


def _rectangles(batch: int, size: int, smallest: float, largest: float) -> Tensor:
    """Masks ``(B, S, S)`` of one random rectangle each; sides are fractions of the picture."""
    sides = torch.empty(batch, 2).uniform_(smallest, largest) * size
    corner = torch.rand(batch, 2) * (size - sides)
    pixel = torch.arange(size)
    within = (pixel >= corner[..., None]) & (pixel < (corner + sides)[..., None])
    return within[:, 1, :, None] & within[:, 0, None, :]
