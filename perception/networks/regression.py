"""Networks that regress the position from pooled or flattened features: the original's, and any of timm's."""

import torch
from torch import Tensor, nn

from datasets.common.errors import ConfigError
from perception.networks.answer import Answer
from perception.networks.preprocess import View

INITIAL_LOG_SIGMA = -3.0


class RegressionNet(nn.Module):
    """``features`` (giving ``width`` numbers an image), then one linear layer to position and log sigma."""

    def __init__(self, features: nn.Module, width: int, channels: int, offset_m: float) -> None:
        super().__init__()
        self.channels = channels
        self.features = features
        self.head = nn.Linear(width, 6)
        self.offset_m = offset_m

    def forward(self, view: View) -> Answer:
        """The answer to a batch of views; a net of three channels sees colour alone."""
        out = self.head(self.features(view.image[:, : self.channels])).float()
        return Answer(self.offset_m * out[:, None, :3], INITIAL_LOG_SIGMA + out[:, None, 3:])


def conv3(channels: int, size_px: int) -> tuple[nn.Module, int, int]:
    """The original project's extractor: three convolutions, flattened (the network of Mnih et al., Nature 2015)."""
    features = nn.Sequential(
        nn.Conv2d(channels, 32, 8, stride=4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3),
        nn.ReLU(),
        nn.Flatten(),
    )
    with torch.no_grad():
        flat = features(torch.zeros(1, channels, size_px, size_px)).shape[1]
    head = nn.Sequential(features, nn.Linear(flat, 512), nn.ReLU())
    return head, 512, channels


def timm_features(name: str, channels: int) -> tuple[nn.Module, int, int]:
    """A timm model from scratch, pooled; raises ConfigError when timm has no such model."""
    import timm  # here, since with torchvision it takes longer to import than torch, and every command would wait

    if name not in timm.list_models():
        near = timm.list_models(f"*{name[:6]}*")[:3]
        raise ConfigError(f"timm has no model {name!r}; names like it: {near}; see timm.list_models()")
    model = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=0)

    def width(tensor: Tensor) -> int:
        return int(tensor.shape[1])

    model.eval()
    with torch.no_grad():
        features = width(model(torch.zeros(1, channels, 84, 84)))
    return model.train(), features, channels
