"""Small pictures of any resolution, made up, for networks to be tried on: a bright stripe at a class's own place."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.protocols import Data, Places
from ganbench.seeding import stream

CLASSES = 4
TRAIN, HELDOUT = 256, 64


def pictures(places: Places, resolution: int = 8, channels: int = 1) -> Data:
    """A horizontal stripe a class, on dim noise: uint8 (N, C, H, W).

    `resolution` is the side and `channels` the number of channels.
    """
    train, train_labels = _drawn("train", TRAIN, resolution, channels)
    heldout, heldout_labels = _drawn("heldout", HELDOUT, resolution, channels)
    names = tuple(str(number) for number in range(CLASSES))
    return Data(train, heldout, train_labels, heldout_labels, names, origin="drawn by the conformance kit")


def _drawn(split: str, count: int, resolution: int, channels: int) -> tuple[Tensor, Tensor]:
    rng = stream(0, f"conformance pictures {split}")
    images = torch.randint(0, 64, (count, channels, resolution, resolution), generator=rng, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (count,), generator=rng)
    rows = labels * resolution // CLASSES  # (N,)
    images[torch.arange(count), :, rows] += 150
    return images, labels
