"""Layers with an equalised learning rate (arXiv:1710.10196, §4.1), the modulated convolution among them.

Their weights start as N(0, 1) and are scaled when they are used, so that an optimiser with steps of one size, as Adam,
learns all of them at the same relative speed. Activations keep a variance of about 1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench_layers.resampling import Blurred

LEAK = 0.2
GAIN = math.sqrt(2)
TINY = 1e-8


def activated(features: Tensor) -> Tensor:
    """Leaky rectification times √2, which gives back most of the second moment that it takes."""
    return GAIN * F.leaky_relu(features, LEAK)


def unit(vectors: Tensor) -> Tensor:
    """(N, D), each vector scaled to a mean square of 1: the pixel norm of arXiv:1710.10196, §4.2."""
    return vectors * (vectors.square().mean(dim=1, keepdim=True) + TINY).rsqrt()


class Activation(nn.Module):
    """`activated` as a layer."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, …), and so it stays."""
        return activated(features)


class EqualLinear(nn.Module):
    """(N, inputs) to (N, outputs). `rate` multiplies the learning rate, by shrinking what a parameter stands for."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.weight_scale = rate / math.sqrt(inputs)
        self.rate = rate

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, inputs) to (N, outputs)."""
        return F.linear(vectors, self.weight * self.weight_scale, self.bias * self.rate)


class EqualConvolution(nn.Module):
    """(N, inputs, H, W) to (N, outputs, H, W); halved with a blur before the stride where that is asked for."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True, halving: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.blur = Blurred(padding=kernel // 2 + 1) if halving else None
        self.padding = kernel // 2

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W), or half of H and W."""
        weight = self.weight * self.scale
        if self.blur is None:
            return F.conv2d(features, weight, self.bias, padding=self.padding)
        return F.conv2d(self.blur(features), weight, self.bias, stride=2)


class ModulatedConvolution(nn.Module):
    """A convolution whose input channels each sample's style scales (arXiv:1912.04958, §2.2).

    With `demodulate`, each output channel is divided by the length of its scaled weights (eq. 3), so that white noise
    of unit variance stays so. Scaling a sample's input and output instead of the weights gives the same numbers with
    one convolution for the whole batch. `doubling` convolves at the double resolution and blurs.
    """

    def __init__(
        self, inputs: int, outputs: int, style_dim: int, kernel: int, *, demodulate: bool = True, doubling: bool = False
    ) -> None:
        super().__init__()
        self.style = EqualLinear(style_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.demodulate = demodulate
        self.blur = Blurred(padding=1, gain=4.0) if doubling else None
        self.padding = kernel // 2

    def forward(self, features: Tensor, styles: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, S) to (N, outputs, H, W), or twice H and W."""
        scales = self.style(styles)  # (N, inputs)
        weight = self.weight * self.scale
        convolved: Tensor = self._convolved(features * scales[:, :, None, None], weight)
        if not self.demodulate:
            return convolved
        lengths: Tensor = scales.square() @ weight.square().sum(dim=(2, 3)).T  # (N, outputs), squared
        return convolved * (lengths + TINY).rsqrt()[:, :, None, None]

    def _convolved(self, features: Tensor, weight: Tensor) -> Tensor:
        if self.blur is None:
            return F.conv2d(features, weight, padding=self.padding)
        doubled: Tensor = self.blur(F.conv_transpose2d(features, weight.transpose(0, 1), stride=2))
        return doubled


class Noise(nn.Module):
    """Adds one image of white noise to all channels, times a strength that is learned from 0 (arXiv:1812.04948, §2).

    In training it is drawn anew for every sample; in evaluation it is always the same, so that a latent has one image.
    """

    fixed: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("fixed", torch.randn(1, 1, side, side))
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, side, side), and so it stays."""
        return features + self.strength * (self._fresh(features) if self.training else self.fixed)

    def _fresh(self, features: Tensor) -> Tensor:
        count, _, height, width = features.shape
        return torch.randn(count, 1, height, width, dtype=features.dtype, device=features.device)
