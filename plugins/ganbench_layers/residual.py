"""Residual blocks, and the head after them, that the players of SNGAN and BigGAN are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ganbench_layers.critic import Duties, Head, added_projection
from ganbench_layers.shapes import BASE

RESIDUAL_GAIN = 2**0.5

Finish = Callable[[nn.Module, float], nn.Module]
"""Initialises a layer, with a gain, and gives it back, divided by its largest singular value where that is wanted."""

Normalise = Callable[[int], nn.Module]
"""Makes the normalisation of so many channels."""


@dataclass(frozen=True)
class Stage:
    """One block of a critic: its channels, whether it halves the map, and whether it is the image that it sees."""

    inputs: int
    hidden: int
    outputs: int
    halves: bool = True
    first: bool = False


class GeneratorBlock(nn.Module):
    """Maps (N, inputs, S, S) to maps (N, outputs, 2S, 2S), as in arXiv:1802.05957, appendix B.4.

    Where a condition comes with the maps, the normalisations are called with it too.
    """

    def __init__(self, inputs: int, outputs: int, normalise: Normalise, finish: Finish) -> None:
        super().__init__()
        self.before = normalise(inputs)
        self.inner = finish(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), RESIDUAL_GAIN)
        self.between = normalise(outputs)
        self.outer = finish(nn.Conv2d(outputs, outputs, kernel_size=3, padding=1), RESIDUAL_GAIN)
        self.shortcut = finish(nn.Conv2d(inputs, outputs, kernel_size=1), 1)

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, inputs, S, S) to (N, outputs, 2S, 2S)."""
        residual = self.inner(_doubled(_active(self.before, maps, condition)))  # (N, outputs, 2S, 2S)
        residual = self.outer(_active(self.between, residual, condition))
        # A 1×1 convolution gives the same before the doubling as after it, at a quarter of the cost.
        doubled: Tensor = residual + _doubled(self.shortcut(maps))
        return doubled


def to_maps(inputs: int, channels: int, finish: Finish) -> nn.Sequential:
    """(N, inputs) to the generator's first maps, (N, channels, 4, 4): a linear layer."""
    return nn.Sequential(finish(nn.Linear(inputs, channels * BASE**2), 1), nn.Unflatten(1, (channels, BASE, BASE)))


def to_image(channels: int, colours: int, finish: Finish) -> nn.Sequential:
    """(N, channels, H, W) to images (N, colours, H, W): BatchNorm that knows no condition, ReLU, convolution, tanh."""
    convolution = finish(nn.Conv2d(channels, colours, kernel_size=3, padding=1), 1)
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), convolution, nn.Tanh())


class CriticBlock(nn.Module):
    """Maps (N, inputs, S, S) to maps (N, outputs, S/2, S/2), or (N, outputs, S, S) where its stage does not halve.

    As in arXiv:1802.05957, appendix B.4; the first block neither normalises nor rectifies the image. The normalisations
    are identities where a critic has none.
    """

    def __init__(self, stage: Stage, normalise: Normalise, finish: Finish) -> None:
        super().__init__()
        self.before = nn.Identity() if stage.first else nn.Sequential(normalise(stage.inputs), nn.ReLU())
        self.inner = finish(nn.Conv2d(stage.inputs, stage.hidden, kernel_size=3, padding=1), RESIDUAL_GAIN)
        self.between = nn.Identity() if stage.first else normalise(stage.hidden)
        self.outer = finish(nn.Conv2d(stage.hidden, stage.outputs, kernel_size=3, padding=1), RESIDUAL_GAIN)
        self.halve = nn.AvgPool2d(2) if stage.halves else nn.Identity()
        reshapes = stage.halves or stage.inputs != stage.outputs
        self.shortcut = finish(nn.Conv2d(stage.inputs, stage.outputs, kernel_size=1), 1) if reshapes else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, S, S) to (N, outputs, S/2, S/2) or (N, outputs, S, S)."""
        residual = self.outer(F.relu(self.between(self.inner(self.before(maps)))))  # (N, outputs, S, S)
        # The mean of four pixels and a 1×1 convolution may change places: the smaller map is the cheaper one.
        halved: Tensor = self.halve(residual) + self.shortcut(self.halve(maps))
        return halved


class Pooled(nn.Module):
    """Maps (N, F, S, S) to the features that they end in, (N, F): rectified, and summed over all pixels."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, F, S, S) to (N, F)."""
        return F.relu(maps).sum(dim=(2, 3))


def finished_head(duties: Duties, features: int, finish: Finish) -> Head:
    """The head on (N, features), all of whose layers, and a projection's embeddings, are finished."""

    def linear(inputs: int, outputs: int) -> nn.Module:
        return finish(nn.Linear(inputs, outputs), 1)

    final = linear(features, duties.outputs)
    projection = added_projection(duties, features, lambda embedding: finish(embedding, 1))
    return Head(duties, final, features, projection=projection, linear=linear)


def _active(norm: nn.Module, maps: Tensor, condition: Tensor | None) -> Tensor:
    return F.relu(norm(maps) if condition is None else norm(maps, condition))


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2, mode="nearest")
