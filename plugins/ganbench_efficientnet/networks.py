"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, ReLU6 in place of swish (arXiv:1905.11946)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

RESOLUTION = 224
WIDTH = 1280
CLASSES = 1000

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of each stage: blocks, kernel, stride of the first block, expansion, width (Table 1 of the paper)."""


class EfficientNetLite0(nn.Module):
    """Pixels 0 to 255, (N, 3, 224, 224), to features (N, 1280), averaged over places, and ImageNet logits (N, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*_convolution(3, 32, 3, 2), *_blocks(32), *_convolution(320, WIDTH, 1))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and logits."""
        features = self.body((images - 127) / 128).mean(dim=(2, 3))  # (N, 1280)
        return features, self.head(features)


class Block(nn.Module):
    """An inverted bottleneck (arXiv:1801.04381, §3.3): widen, filter each channel, narrow; added to an input alike."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width_in * expansion
        self.added = stride == 1 and width_in == width_out
        self.layers = nn.Sequential(
            *(_convolution(width_in, inner, 1) if expansion > 1 else []),
            *_convolution(inner, inner, kernel, stride, groups=inner),
            *_convolution(inner, width_out, 1)[:-1],
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, width_in, H, W) to (N, width_out, H / stride, W / stride)."""
        changed: torch.Tensor = self.layers(maps)
        return maps + changed if self.added else changed


class SameConvolution(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME does: with a stride, more at the end than at the start."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', ⌈H / stride⌉, ⌈W / stride⌉)."""
        top, bottom = self._padding_of(maps.shape[-2])
        left, right = self._padding_of(maps.shape[-1])
        return super().forward(F.pad(maps, (left, right, top, bottom)))

    def _padding_of(self, size: int) -> tuple[int, int]:
        stride, kernel = self.stride[0], self.kernel_size[0]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2


def _convolution(width_in: int, width_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = SameConvolution(width_in, width_out, kernel, stride, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(width_out, eps=1e-3), nn.ReLU6()]


def _blocks(width: int) -> Iterator[nn.Module]:
    for count, kernel, first_stride, expansion, width_out in STAGES:
        for index in range(count):
            yield Block(width, width_out, kernel, 1 if index else first_stride, expansion)
            width = width_out
