"""Differentiable augmentation with fixed ranges: colour, translation, cutout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from ganbench.errors import ChoiceError
from ganbench_layers.pixels import shifted, uniform, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ganbench.protocols import Remembered


class DiffAugment:
    """Differentiable augmentation: the discriminator sees real and fake images only after random changes.

    Formula: D(T(x)), T = color, translation and cutout in the order of the policy. color: x + U[−½, ½), then distances
    from each pixel's mean times U[0, 2), then distances from the image's mean times U[½, 1½). translation: up to ⅛ of
    the size each way, whole pixels, 0 beyond the border. cutout: a square of half the size becomes 0, its centre
    anywhere in the image.
    Shapes: images (N, C, H, W) in [−1, 1] to the same; every number drawn for each image.
    Paper: arXiv:2006.10738, §3, and its authors' code, from which the ranges are.
    Recipe: all three policies, most useful with little data; translation and cutout where there is plenty.
    Traps: T is in both players' turns, on real and on fake; on real alone, the generator learns to imitate T. The
    square may reach over the border, so that less than a quarter of an image is hidden. With one channel, the middle
    step of color changes nothing.
    Parameters: `policy` says which of color, translation and cutout, and in which order.
    """

    def __init__(
        self,
        policy: tuple[Literal["color", "translation", "cutout"], ...] = ("color", "translation", "cutout"),
    ) -> None:
        if not policy:
            raise ChoiceError(f"diffaugment: policy is empty, expected one or more of {', '.join(POLICIES)}")
        self.policy = policy

    def __call__(self, samples: Tensor, rng: torch.Generator, memory: Remembered) -> Tensor:
        """T(x): (N, C, H, W)."""
        for name in self.policy:
            samples = POLICIES[name](samples, rng)
        return samples


def _color(images: Tensor, rng: torch.Generator) -> Tensor:
    images = images + uniform(images, rng, -0.5, 0.5)
    grey = images.mean(dim=1, keepdim=True)  # (N, 1, H, W)
    images = grey + (images - grey) * uniform(images, rng, 0.0, 2.0)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
    return mean + (images - mean) * uniform(images, rng, 0.5, 1.5)


def _translation(images: Tensor, rng: torch.Generator) -> Tensor:
    down, right = (int(size / 8 + 0.5) for size in images.shape[2:])
    rows, columns = whole_number(images, rng, -down, down), whole_number(images, rng, -right, right)
    return shifted(images, rows, columns, reflect=False)


def _cutout(images: Tensor, rng: torch.Generator) -> Tensor:
    height, width = images.shape[2:]
    rows = _hidden(images, height, rng).reshape(-1, 1, height, 1)
    columns = _hidden(images, width, rng).reshape(-1, 1, 1, width)
    return images.masked_fill(rows & columns, 0.0)


def _hidden(images: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Which of the pixels along one axis a square of half the size covers: (N, size)."""
    side = int(size / 2 + 0.5)
    centre = whole_number(images, rng, 0, size - side % 2).reshape(-1, 1)  # (N, 1)
    position = torch.arange(size, device=images.device) - centre + side // 2  # (N, size)
    return (position >= 0) & (position < side)


POLICIES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
