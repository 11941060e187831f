"""The end-to-end networks before their bottleneck: three convolutions, and a head that narrows to a position."""

import torch as th
from gymnasium import spaces
from torch import nn
from torch.nn import functional

from control.learning.params import Head
from control.policies.picture import CAMERA_SIZE, DEPTH_STEP_M, NEAREST_M
from perception.networks.bfloat16 import bfloat16_is_fast
from perception.networks.regression import conv3
from perception.networks.voting import FEWEST_VALID, STRIDE

MIDDLE_M = (0.4, 0.0, 0.25)
"""Middle of the usual workspace, m: the ``flat`` head's positions are relative to it."""
RANGE_M = 0.2
DISTANCE_M, DISTANCE_RANGE = 1.1, 0.2
"""The ``keypoints`` head gives the logarithm of the distance relative to the first (m), in units of the second."""
OFFSET_M = 0.1


class PictureLocator(nn.Module):
    r"""Finds the TCP's position in a picture, through three convolutions.

    With ``head`` ``flat`` it is the original's network: convolutions of 8, 4 and 3 pixels, flattened, and a hidden
    layer. The other heads keep track of *where* things are: convolutions of 5 pixels, of stride 2, 2 and 1, lead to a
    grid of 21 x 21 cells, over which softmax gives one map of attention :math:`a_k` for each of ``points``.

    ``keypoints`` (soft-argmax: Levine, Finn, Darrell, Abbeel, arXiv 1504.00702) takes each map's mean cell
    :math:`(u_k, v_k)` and a mean value :math:`w_k` of the attended cells; from them and the camera two layers compute
    the TCP's pixel and the logarithm of its distance. The square's rays and the camera's pose transform these into the
    base frame.

    ``votes`` needs depth: cell :math:`i` sees the mean point :math:`p_i` of its pixels in the base frame, and the
    position is :math:`\tfrac1K \sum_k \sum_i a_{ki} (p_i + o_{ki})` with offsets that the network outputs.

    In training mode each picture is shifted by up to ``shift_px``, together with the camera's principal point (random
    shifts: Kostrikov, Yarats, Fergus, arXiv 2004.13649; here the label stays exact).

    :param observation_space: its ``image`` has 3 channels, or 4 with depth; with depth the network adds one more
        channel, which marks the pixels that have a depth
    :param head: the layers after the convolutions
    :param points: number of maps of attention
    :param shift_px: largest random shift
    :param bf16: compute the convolutions in bfloat16 if the processor has instructions for it: this is twice as fast
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        head: Head = "keypoints",
        points: int = 32,
        shift_px: int = 4,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        assert isinstance(observation_space, spaces.Dict)
        channels, size, _ = observation_space["image"].shape or (0, 0, 0)
        self.head, self.points, self.shift_px = head, points, shift_px
        self.bf16 = bf16 and bfloat16_is_fast()
        self.has_depth = channels == 4
        inputs = channels + self.has_depth
        if head == "flat":
            self.convolutions, width, _ = conv3(inputs, size)
            self.answer: nn.Module = nn.Linear(width, 3)
        else:
            maps = nn.Conv2d(64, points * (4 if head == "votes" else 2), 1)
            self.convolutions = nn.Sequential(_block(inputs, 24, 2), _block(24, 48, 2), _block(48, 64, 1), maps)
        if head == "keypoints":
            self.scaled_camera = nn.BatchNorm1d(CAMERA_SIZE, affine=False)
            self.answer = nn.Sequential(nn.Linear(3 * points + CAMERA_SIZE, 128), nn.ReLU(), nn.Linear(128, 3))
        # Channels last: the convolutions' gradients take half the time on a processor, with the same result.
        self.convolutions.to(memory_format=th.channels_last)
        self.grid: th.Tensor
        self.middle: th.Tensor
        cells = th.linspace(-1, 1, -(-size // STRIDE))
        grid = th.stack(th.meshgrid(cells, cells, indexing="xy")).flatten(1)
        self.register_buffer("grid", grid, persistent=False)
        self.register_buffer("middle", th.tensor(MIDDLE_M), persistent=False)

    def forward(self, image: th.Tensor, camera: th.Tensor) -> th.Tensor:
        """Positions ``(B, 3)`` m in the base frame.

        Args:
            image: ``(B, C, S, S)`` uint8.
            camera: ``(B, 16)``; both as :func:`control.policies.picture.take_picture` returns them.
        """
        if self.training and self.shift_px:
            image, camera = shifted(image, camera, self.shift_px)
        # Convert the type first, then the memory order: doing both in one call takes twice as long.
        number = th.bfloat16 if self.bf16 else th.float32
        seen = (image.to(number).contiguous(memory_format=th.channels_last) - 127.5).div_(127.5)
        if self.has_depth:
            seen = th.cat([seen, (image[:, 3:] > 0).to(number)], dim=1)
        with th.autocast(image.device.type, th.bfloat16, enabled=self.bf16):
            maps = self.convolutions(seen).float()
        if self.head == "flat":
            return self.middle + RANGE_M * self.answer(maps)
        if self.head == "votes":
            return self._vote(maps.flatten(2), *points_of(image, camera))
        maps, values = maps.flatten(2).chunk(2, dim=1)
        attention = th.softmax(maps, dim=-1)
        cells = th.einsum("bkn,cn->bkc", attention, self.grid).flatten(1)
        seen_by = self.scaled_camera(camera)
        pixel = self.answer(th.cat([cells, (attention * values).sum(-1), seen_by], dim=1))
        half = image.shape[-1] / 2
        distance = DISTANCE_M * th.exp(DISTANCE_RANGE * pixel[:, 2:])
        return to_base(half * (1 + pixel[:, :2]) - 0.5, distance, camera)

    def _vote(self, maps: th.Tensor, points: th.Tensor, valid: th.Tensor) -> th.Tensor:
        share = functional.avg_pool2d(valid, STRIDE).flatten(2)
        cells = functional.avg_pool2d(points * valid, STRIDE).flatten(2) / share.clamp_min(1e-3)
        maps = maps.unflatten(1, (self.points, 4))
        attention = th.softmax(maps[:, :, 0].masked_fill(share < FEWEST_VALID, -1e4), dim=-1)
        votes = cells[:, None] + OFFSET_M * maps[:, :, 1:]
        return (attention[:, :, None] * votes).sum(-1).mean(1)


def to_base(pixels: th.Tensor, distance: th.Tensor, camera: th.Tensor) -> th.Tensor:
    """Points ``(B, 3)`` m in the base frame for pixels ``(B, 2)`` of the square at distances ``(B, 1)`` m along z."""
    rays = (pixels - camera[:, 14:16]) / camera[:, 12:14]
    pose = camera[:, :12].unflatten(1, (3, 4))
    point = th.cat([rays * distance, distance], dim=1)
    return (pose[:, :, :3] @ point[:, :, None])[:, :, 0] + pose[:, :, 3]


def points_of(image: th.Tensor, camera: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Points ``(B, 3, S, S)`` m of an image's depth channel in the base frame, and a mask of the valid ones.

    The mask is ``(B, 1, S, S)``.
    """
    steps = image[:, 3:].float()
    depth = NEAREST_M + DEPTH_STEP_M * (steps - 0.5)
    along = th.arange(image.shape[-1], dtype=th.float32, device=image.device)
    fx, fy, cx, cy = camera[:, 12:].unsqueeze(-1).unbind(1)
    columns = ((along - cx) / fx)[:, None, None, :].expand_as(depth)
    rows = ((along - cy) / fy)[:, None, :, None].expand_as(depth)
    pose = camera[:, :12].unflatten(1, (3, 4))
    points = th.cat([columns * depth, rows * depth, depth], dim=1).flatten(2)
    points = pose[:, :, :3] @ points + pose[:, :, 3:]
    return points.unflatten(2, image.shape[2:]), (steps > 0).float()


def shifted(image: th.Tensor, camera: th.Tensor, largest_px: int) -> tuple[th.Tensor, th.Tensor]:
    """Shifts each picture and its camera by up to ``largest_px`` whole pixels along each axis, repeating the edges."""
    size = image.shape[-1]
    shifts = th.randint(-largest_px, largest_px + 1, (len(image), 2))
    padded = functional.pad(image, (largest_px,) * 4, mode="replicate")
    moved = th.stack(
        [
            one[:, largest_px - y : largest_px - y + size, largest_px - x : largest_px - x + size]
            for one, (x, y) in zip(padded, shifts.tolist(), strict=True)
        ]
    )
    return moved, th.cat([camera[:, :14], camera[:, 14:] + shifts.to(camera)], dim=1)


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 5, stride, padding=2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
