"""What a look might see: noise, the same every time."""

import torch

from perception.networks.preprocess import View

SIZE = 84


def view(batch: int = 2, valid: float = 1.0) -> View:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(batch, 7, SIZE, SIZE, generator=generator)
    mask = torch.full((batch, 1, SIZE, SIZE), valid)
    return View(image, torch.randn(batch, 3, SIZE, SIZE, generator=generator) * mask, mask)
