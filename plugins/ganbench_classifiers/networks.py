"""The classifiers' network: convolutions down to one layer of features, and the logits above it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from ganbench.datasets import fit


@dataclass(frozen=True)
class Architecture:
    """What fixes the shape of a classifier: its own resolution, (width, stride) of each convolution, and its channels.

    With one channel it is blind to colour.
    """

    resolution: int
    blocks: tuple[tuple[int, int], ...]
    features: int = 64
    classes: int = 10
    channels: int = 1


DIGITS = Architecture(8, ((32, 1), (32, 1), (64, 2), (64, 1)))
MNIST = Architecture(32, ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (64, 2), (64, 1)))


class Classifier(nn.Module):
    """Images with pixels 0 to 255, (N, 1 or 3, H, W), to features (N, features) and logits (N, classes).

    Channels are averaged where the architecture has one, and images brought to its resolution by
    `ganbench.datasets.fit` (28² is framed to 32², all else is resized). Features come from a ReLU and are divided by
    the RMS deviation that they have on the training images, so that KID's kernel has its intended scale. `deviation`
    holds it, with the weights, as `mean` and `spread` hold the pixels'.
    """

    mean: torch.Tensor
    spread: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.body = nn.Sequential(*_blocks(architecture.channels, architecture.blocks), nn.Flatten())
        side = architecture.resolution // math.prod(stride for _, stride in architecture.blocks)
        self.neck = nn.Linear(architecture.blocks[-1][0] * side**2, architecture.features)
        self.head = nn.Linear(architecture.features, architecture.classes)
        for name, value in (("mean", 0.0), ("spread", 255.0), ("deviation", 1.0)):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, features), of RMS deviation 1 on the training images, and logits (N, classes)."""
        seen = self._channels(images.float())  # (N, channels, H, W)
        pixels = (fit(seen, self.architecture.resolution) - self.mean) / self.spread
        features = torch.relu(self.neck(self.body(pixels)))  # (N, features)
        return features / self.deviation, self.head(features)

    def _channels(self, images: torch.Tensor) -> torch.Tensor:
        if self.architecture.channels == 1:
            return images.mean(dim=1, keepdim=True)
        return images.expand(-1, self.architecture.channels, -1, -1)


def _blocks(channels: int, blocks: tuple[tuple[int, int], ...]) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for width, stride in blocks:
        convolution = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        modules += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return modules
