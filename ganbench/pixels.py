"""How far images are from each other, pixel by pixel: exact whatever computes it, in bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 255
"""The difference of white and black."""

CHUNK = 512
"""Images compared with at once."""

EXACT = 1024
"""Pixels whose products float32 adds up without rounding: each is at most 128², and 2^24 is the most that it holds."""


def nearest_images(
    queries: Tensor, others: Tensor, count: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """The Euclidean distances of the `count` nearest of `others` (M, C, H, W) to each of `queries` (N, C, H, W), uint8.

    Pixels count from 0 to 1. Gives distances (N, count) float64 and indices (N, count), the nearest first and of those
    equally near the one that comes first; all M of them where there are fewer. All on the CPU.
    """
    own = _centred(queries, device)  # (N, P)
    kept = torch.empty(len(queries), 0, dtype=torch.int64, device=device)
    for start in range(0, len(others), CHUNK):
        squared = _squared(own, _centred(others[start : start + CHUNK], device))  # (N, m)
        # Distance and index in one whole number: then no two are equal, and the order is the same on every device.
        ranked = squared.mul_(len(others)).add_(torch.arange(start, start + squared.shape[1], device=device))
        kept = torch.cat([kept, ranked], dim=1)
        kept = kept.topk(min(count, kept.shape[1]), largest=False).values
    kept = kept.cpu()
    return (kept // max(len(others), 1)).double().sqrt() / LEVELS, kept % max(len(others), 1)


def _centred(images: Tensor, device: torch.device | str) -> Tensor:
    """Whole numbers from -128 to 127 as float32, (N, P)."""
    return images.flatten(1).to(device).float() - 128


def _squared(left: Tensor, right: Tensor) -> Tensor:
    """Squared distances of (N, P) from (M, P), both whole numbers from -128 to 127: (N, M) int64, exact."""
    products = torch.zeros(len(left), len(right), dtype=torch.float64, device=left.device)
    for mine, theirs in zip(*(torch.split(side, EXACT, dim=1) for side in (left, right)), strict=True):
        products += mine @ theirs.T
    norms = [side.double().square().sum(dim=1) for side in (left, right)]  # (N,), (M,)
    return products.mul_(-2).add_(norms[0][:, None]).add_(norms[1]).long()
