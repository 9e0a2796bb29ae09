"""The parts of R3GAN's players (arXiv:2501.05441, §3 and the code of its authors): no normalisation, hardly a bias."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn

from ganbench_layers.resampling import Doubled, Halved
from ganbench_layers.shapes import BASE

LEAK = 0.2
GAIN = math.sqrt(2 / (1 + LEAK**2))  # keeps the second moment through a leaky rectifier (arXiv:1502.01852, §2.2)
CONVOLUTIONS = 3  # in a residual block

_Layer = TypeVar("_Layer", nn.Conv2d, nn.Linear)


class ResidualBlock(nn.Module):
    """(N, channels, H, W), plus what an inverted bottleneck makes of it: nothing at first, for its last layer is zero.

    Fix-up (arXiv:1901.09321, §3): the other layers start smaller by (blocks of the network)^(−1/4).
    """

    def __init__(self, channels: int, expansion: int, group_width: int, blocks: int) -> None:
        super().__init__()
        expanded = channels * expansion
        groups = expanded // group_width
        gain = GAIN * blocks ** (-1 / (2 * CONVOLUTIONS - 2))
        self.branch = nn.Sequential(
            convolution(channels, expanded, 1, gain=gain, bias=True),
            nn.LeakyReLU(LEAK),
            convolution(expanded, expanded, 3, gain=gain, bias=True, groups=groups),
            nn.LeakyReLU(LEAK),
            convolution(expanded, channels, 1, gain=0.0),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W), and so it stays."""
        change: Tensor = self.branch(features)
        return features + change


class GenerativeBasis(nn.Module):
    """(N, Z) to (N, channels, 4, 4): a learned image for each channel, times a number that the latent decides."""

    def __init__(self, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(1, channels, BASE, BASE))
        self.coefficients = linear(latent_dim, channels)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z) to (N, channels, 4, 4)."""
        coefficients: Tensor = self.coefficients(latents)
        return self.basis * coefficients[:, :, None, None]


def upwards(inputs: int, outputs: int) -> nn.Sequential:
    """(N, inputs, H, W) to (N, outputs, 2H, 2W): a 1×1 convolution where the channels change, then interpolation."""
    return nn.Sequential(*_changed(inputs, outputs), Doubled())


def downwards(inputs: int, outputs: int) -> nn.Sequential:
    """(N, inputs, H, W) to (N, outputs, H/2, W/2): interpolation, then a 1×1 convolution where the channels change."""
    return nn.Sequential(Halved(), *_changed(inputs, outputs))


def _changed(inputs: int, outputs: int) -> list[nn.Module]:
    return [] if inputs == outputs else [convolution(inputs, outputs, 1)]


def convolution(
    inputs: int, outputs: int, kernel: int, *, gain: float = 1.0, bias: bool = False, groups: int = 1
) -> nn.Conv2d:
    """A convolution that keeps H and W, with weights from N(0, gain² / fan-in) and a bias, if any, of 0."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=bias)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return _initialised(layer, gain)


def to_point(channels: int) -> nn.Conv2d:
    """(N, channels, 4, 4) to (N, channels, 1, 1): what each channel's learned image says of it."""
    return _initialised(nn.Conv2d(channels, channels, BASE, groups=channels, bias=False), gain=1.0)


def linear(inputs: int, outputs: int, *, gain: float = 1.0) -> nn.Linear:
    """A linear layer without bias, with weights from N(0, gain² / inputs)."""
    return _initialised(nn.Linear(inputs, outputs, bias=False), gain)


def _initialised(layer: _Layer, gain: float) -> _Layer:
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    return layer
