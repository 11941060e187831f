"""One look as a module: raw pixels in, position and sigma in metres out; what is trained is what is exported."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from datasets.common.errors import ConfigError
from datasets.rig.landmarks import LANDMARKS
from datasets.rig.rig import Rig
from perception.networks import Answer, build_backbone
from perception.networks.preprocess import REACH_CENTRE_M, Pixels, View, facing, fovea_view, glance_view, reach_view

LookName = Literal["glance", "parafovea", "fovea", "base"]
Channels = Literal["rgb", "rgbd"]
CHANNEL_COUNT = {"rgb": 3, "rgbd": 7}

GLANCE_ORIGIN_M = (0.0, 0.0, 1.2)
"""Origin of the glance's positions: a point of the camera's frame, in the middle of the distances that it serves."""
GLANCE_UNIT_M = 0.6
FOVEA_UNIT_M = {"parafovea": 0.3, "fovea": 0.125, "base": 0.125}
FOVEA_DEPTH_M = {"parafovea": 0.4, "fovea": 0.15, "base": 0.15}
"""What lies farther than this from the coarse estimate, along the view, is background."""
OFFSET_M = {"glance": 0.2, "parafovea": 0.1, "fovea": 0.1, "base": 0.1}
"""Unit of the networks' outputs: about the spread of what each look has to find."""


LARGEST_LOG_SIGMA = 0.7
"""Two metres, which means that nothing is known."""


@dataclass(frozen=True)
class LookSettings:
    """What one look's network is built from.

    Attributes:
        look: ``glance`` works about a point before the camera; ``parafovea``, ``fovea`` and ``base``, about a coarse
            estimate of the TCP and of the arm's base; all along the axes of
            :func:`perception.networks.preprocess.facing`.
        backbone: see :func:`perception.networks.build_backbone`.
        channels: ``rgb``: colour alone; ``rgbd``: colour, point map and validity.
        size_px: of the window's picture.
        landmarks: a voting look also finds its ``LANDMARKS``: it has to understand the arm. Such a glance relies
            on the given pose, to some centimetres, and looks at what lies within the arm's reach.
    """

    look: LookName
    backbone: str
    channels: Channels
    size_px: int
    landmarks: bool = False

    def __post_init__(self) -> None:
        if self.landmarks and not (self.look in LANDMARKS and self.voting):
            raise ConfigError(
                f"landmarks are found by a {' or '.join(LANDMARKS)} with a 'voting' backbone only; leave landmarks out"
            )

    @property
    def voting(self) -> bool:
        """Whether the network's cells vote; only then may there be several targets."""
        return self.backbone.startswith("voting")

    @property
    def targets(self) -> tuple[str, ...]:
        """What is to be found: the TCP, by a voting glance the arm's base as well, and landmarks where asked for."""
        base = ("base",) if self.look == "glance" and self.voting else ()
        return ("tcp", *base, *(LANDMARKS[self.look] if self.landmarks else ()))

    @classmethod
    def for_rig(
        cls, look: LookName, backbone: str, channels: Channels, rig: Rig, landmarks: bool = False
    ) -> "LookSettings":
        """The settings that follow from the rig."""
        return cls(look, backbone, channels, rig.input_px, landmarks)


class Locator(nn.Module):
    """View and network of one look."""

    def __init__(self, settings: LookSettings) -> None:
        super().__init__()
        if settings.channels not in CHANNEL_COUNT:
            raise ConfigError(f"channels must be one of {sorted(CHANNEL_COUNT)}, got {settings.channels!r}")
        self.settings = settings
        self.net = build_backbone(
            settings.backbone,
            CHANNEL_COUNT[settings.channels],
            settings.size_px,
            OFFSET_M[settings.look],
            len(settings.targets),
        )

    def view(self, pixels: Pixels, pose: Tensor, estimate: Tensor) -> View:
        """What the network sees; the glance uses no estimate, and without landmarks only the pose's rotation."""
        if self.settings.look == "glance" and self.settings.landmarks:
            return reach_view(pixels, pose, GLANCE_UNIT_M)
        if self.settings.look == "glance":
            return glance_view(pixels, pose, pixels.depth.new_tensor(GLANCE_ORIGIN_M), GLANCE_UNIT_M)
        look = self.settings.look
        return fovea_view(pixels, pose, estimate, FOVEA_UNIT_M[look], FOVEA_DEPTH_M[look])

    def answer(self, view: View) -> Answer:
        """The network's answer about the view's origin."""
        answer: Answer = self.net(view)
        return answer


def sigma(answer: Answer) -> Tensor:
    """Standard deviations ``(B, K, 3)`` m, kept finite where a network knows nothing."""
    return answer.log_sigma.clamp(-10.0, LARGEST_LOG_SIGMA).exp()


class GlanceGraph(nn.Module):
    """The glance as it is exported: ``xyz`` in the camera's frame, ``sigma`` along the base's axes; ``(B, K, 3)`` m.

    K = 2: the TCP and the arm's base; 5 with landmarks.
    """

    inputs = ("rgb", "depth", "columns", "rows", "intrinsics", "pose")

    def __init__(self, locator: Locator) -> None:
        super().__init__()
        self.locator = locator

    def forward(
        self, rgb: Tensor, depth: Tensor, columns: Tensor, rows: Tensor, intrinsics: Tensor, pose: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Pixels as :class:`perception.networks.preprocess.Pixels` documents them, ``T_base_camera`` ``(B, 4, 4)``."""
        pixels = Pixels(rgb, depth, columns, rows, intrinsics)
        answer = self.locator.answer(self.locator.view(pixels, pose, pose[:, :3, 3]))
        xyz = glance_to_camera(answer.xyz, pose, within_reach=self.locator.settings.landmarks)
        return xyz, sigma_in_base(sigma(answer), pose)


class FoveaGraph(nn.Module):
    """The fovea, and the look at the base, as exported: base-frame ``xyz`` and ``sigma``, each ``(B, 1, 3)`` m."""

    inputs = ("rgb", "depth", "columns", "rows", "intrinsics", "pose", "estimate")

    def __init__(self, locator: Locator) -> None:
        super().__init__()
        self.locator = locator

    def forward(
        self,
        rgb: Tensor,
        depth: Tensor,
        columns: Tensor,
        rows: Tensor,
        intrinsics: Tensor,
        pose: Tensor,
        estimate: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Pixels, ``T_base_camera`` ``(B, 4, 4)`` and the coarse estimate ``(B, 3)`` m in the base frame."""
        view = self.locator.view(Pixels(rgb, depth, columns, rows, intrinsics), pose, estimate)
        answer = self.locator.answer(view)
        xyz = torch.einsum("bji,bkj->bki", facing(pose), answer.xyz) + estimate[:, None]
        return xyz, sigma_in_base(sigma(answer), pose)


def sigma_in_base(sigma: Tensor, pose: Tensor) -> Tensor:
    """Deviations ``(B, K, 3)`` m along the base frame's axes, from independent ones along :func:`facing`'s axes."""
    return torch.einsum("bji,bkj->bki", facing(pose) ** 2, sigma**2).sqrt()


def glance_to_camera(xyz: Tensor, pose: Tensor, *, within_reach: bool = False) -> Tensor:
    """The glance's answers ``(B, K, 3)`` m as points of the camera's frame; ``within_reach`` with landmarks."""
    turn, rotation = facing(pose), pose[:, :3, :3]
    if within_reach:
        base = torch.einsum("bji,bkj->bki", turn, xyz + xyz.new_tensor(REACH_CENTRE_M))
        return torch.einsum("bji,bkj->bki", rotation, base - pose[:, None, :3, 3])
    return torch.einsum("bji,bkj->bki", turn @ rotation, xyz) + xyz.new_tensor(GLANCE_ORIGIN_M)


def glance_from_camera(points: Tensor, pose: Tensor, *, within_reach: bool = False) -> Tensor:
    """Points ``(B, K, 3)`` m of the camera's frame as the glance answers them."""
    turn, rotation = facing(pose), pose[:, :3, :3]
    if within_reach:
        base = torch.einsum("bij,bkj->bki", rotation, points) + pose[:, None, :3, 3]
        return torch.einsum("bij,bkj->bki", turn, base) - points.new_tensor(REACH_CENTRE_M)
    return torch.einsum("bij,bkj->bki", turn @ rotation, points - points.new_tensor(GLANCE_ORIGIN_M))


def graph(locator: Locator) -> GlanceGraph | FoveaGraph:
    """The exported form of a look."""
    return GlanceGraph(locator) if locator.settings.look == "glance" else FoveaGraph(locator)


def zero_inputs(settings: LookSettings, batch: int = 1) -> dict[str, Tensor]:
    """Inputs of the right shapes and types for a look's exported graph."""
    size = settings.size_px
    inputs = {
        "rgb": torch.zeros(batch, size, size, 3, dtype=torch.uint8),
        "depth": torch.ones(batch, size, size),
        "columns": torch.arange(size).float().expand(batch, size).contiguous(),
        "rows": torch.arange(size).float().expand(batch, size).contiguous(),
        "intrinsics": torch.tensor([[600.0, 600.0, 320.0, 240.0]]).repeat(batch, 1),
        "pose": torch.eye(4).repeat(batch, 1, 1),
        "estimate": torch.tensor([[0.0, 0.0, 1.0]]).repeat(batch, 1),
    }
    return {name: inputs[name] for name in (GlanceGraph if settings.look == "glance" else FoveaGraph).inputs}
