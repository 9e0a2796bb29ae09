"""What augmentations of images are made of: random numbers for each sample, mirroring, shifting and resampling.

All of it is made of indexing and sums, so that it can be differentiated twice, as a gradient penalty beside an
augmentation asks; and each row depends on the sample of that row alone.
"""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(samples: Tensor, rng: torch.Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    """One number of U[low, high) a sample: (N, 1, ...)."""
    numbers = torch.rand(_one_each(samples), generator=rng, dtype=samples.dtype, device=samples.device)
    return low + (high - low) * numbers


def normal(samples: Tensor, rng: torch.Generator) -> Tensor:
    """One number of N(0, 1) a sample: (N, 1, ...)."""
    return torch.randn(_one_each(samples), generator=rng, dtype=samples.dtype, device=samples.device)


def whole_number(samples: Tensor, rng: torch.Generator, lowest: int, highest: int) -> Tensor:
    """One of lowest … highest a sample, all alike likely: (N, 1, ...) int64."""
    return torch.randint(lowest, highest + 1, _one_each(samples), generator=rng, device=samples.device)


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Images (N, C, H, W), mirrored left to right where `which` (N, 1, 1, 1) holds."""
    return torch.where(which, images.flip(3), images)


def turned(images: Tensor, quarters: Tensor) -> Tensor:
    """Images (N, C, H, W), turned by 0 to 3 `quarters` (N, 1, 1, 1) of a circle; by halves alone if not square."""
    half = torch.where(quarters >= 2, images.flip(2, 3), images)
    if images.shape[2] != images.shape[3]:
        return half
    return torch.where(quarters % 2 == 1, half.transpose(2, 3).flip(2), half)


def shifted(images: Tensor, down: Tensor, right: Tensor, *, reflect: bool) -> Tensor:
    """Images (N, C, H, W), moved by whole pixels `down` and `right`, (N, 1, 1, 1) each.

    What comes in over the border is the image reflected at it, or 0 without `reflect`.
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device).reshape(-1, 1) - down  # (N, 1, H, 1)
    columns = torch.arange(width, device=images.device) - right  # (N, 1, 1, W)
    moved = images.gather(2, _reflected(rows, height).expand(images.shape))
    moved = moved.gather(3, _reflected(columns, width).expand(images.shape))
    if reflect:
        return moved
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)  # (N, 1, H, W)
    return moved.masked_fill(~inside, 0.0)


def resampled(images: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Images (N, C, H, W) seen through a linear map: the pixel at p is what was at `matrix` · p + `offset`.

    Positions are (x, y) in pixels from the centre; `matrix` is (N, 2, 2), `offset` (N, 2). Between pixels it is
    bilinear, beyond the border the image is reflected. The identity gives the very same image.
    """
    height, width = images.shape[2:]
    x, y = _seen(matrix, offset, height, width)  # (N, 1, HW), (N, 1, HW)
    left, top = x.floor(), y.floor()
    across, along = x - left, y - top
    columns = [_reflected(left.long() + step, width) for step in (0, 1)]
    rows = [_reflected(top.long() + step, height) for step in (0, 1)]
    pixels = images.flatten(start_dim=2)  # (N, C, HW)

    def at(right: int, down: int) -> Tensor:
        return pixels.gather(2, (rows[down] * width + columns[right]).expand(pixels.shape))

    upper = (1 - across) * at(0, 0) + across * at(1, 0)
    lower = (1 - across) * at(0, 1) + across * at(1, 1)
    return ((1 - along) * upper + along * lower).reshape(images.shape)


def product(left: Tensor, right: Tensor) -> Tensor:
    """The product of small matrices (N, I, J) and (N, J, K): (N, I, K), in full precision under autocast as well."""
    return (left.unsqueeze(3) * right.unsqueeze(1)).sum(dim=2)


def _seen(matrix: Tensor, offset: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Which position each pixel of an image shows, in pixels from the upper left one: x and y, (N, 1, HW) each."""
    across, down = (width - 1) / 2, (height - 1) / 2
    pixel = torch.arange(height * width, device=matrix.device)  # (HW,)
    position = torch.stack([pixel % width - across, pixel // width - down]).to(matrix.dtype)  # (2, HW)
    seen = product(matrix, position.unsqueeze(0)) + offset.unsqueeze(2)  # (N, 2, HW)
    return seen[:, :1] + across, seen[:, 1:] + down


def _one_each(samples: Tensor) -> tuple[int, ...]:
    return (len(samples), *[1] * (samples.dim() - 1))


def _reflected(index: Tensor, size: int) -> Tensor:
    """The index of the pixel that is seen there where an axis goes on by reflection at its outermost pixels."""
    period = max(2 * (size - 1), 1)
    return size - 1 - (size - 1 - index % period).abs()
