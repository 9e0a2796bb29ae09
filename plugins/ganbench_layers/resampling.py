"""Doubling, halving and blurring of feature maps with the filter (1, 3, 3, 1), zeros beyond the borders.

The filter is that of the code of arXiv:1912.04958 and arXiv:2501.05441: at a factor of two it interpolates bilinearly,
and (1, 1) ∗ (1, 2, 1) is what it is made of. Its numbers are exact in every floating type.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = (1.0, 3.0, 3.0, 1.0)


class _Filter(nn.Module):
    """Holds the filter as a buffer that follows the network's device and type, and is no part of its state."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(TAPS) / sum(TAPS)
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None], persistent=False)  # (1, 1, 4, 4)

    def per_channel(self, channels: int) -> Tensor:
        """The filter for each channel alone: (C, 1, 4, 4)."""
        return self.kernel.expand(channels, -1, -1, -1)


class Doubled(_Filter):
    """(N, C, H, W) to (N, C, 2H, 2W): each pixel between four others, weighted 9, 3, 3 and 1 sixteenths."""

    def forward(self, features: Tensor) -> Tensor:
        kernel = 4 * self.per_channel(features.shape[1])
        return F.conv_transpose2d(features, kernel, stride=2, padding=1, groups=features.shape[1])


class Halved(_Filter):
    """(N, C, H, W) to (N, C, H/2, W/2)."""

    def forward(self, features: Tensor) -> Tensor:
        kernel = self.per_channel(features.shape[1])
        return F.conv2d(features, kernel, stride=2, padding=1, groups=features.shape[1])


class Blurred(_Filter):
    """(N, C, H, W) to (N, C, H + 2 · padding − 3, W + 2 · padding − 3), each pixel times `gain`."""

    def __init__(self, padding: int, gain: float = 1.0) -> None:
        super().__init__()
        self.padding = padding
        self.gain = gain

    def forward(self, features: Tensor) -> Tensor:
        kernel = self.gain * self.per_channel(features.shape[1])
        return F.conv2d(features, kernel, padding=self.padding, groups=features.shape[1])
