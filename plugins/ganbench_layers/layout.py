"""The channels of a residual generator's maps and the stages of a residual critic, read from a table of layouts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from ganbench_layers.residual import Stage

LARGEST = 256  # pixels: the side of the largest images that a table has a layout for

GeneratorTable = Mapping[int, tuple[int, ...]]
"""By the image's side: the multiples of the width that maps of 4×4, 8×8, … up to the image have."""

CriticTable = Mapping[int, tuple[tuple[int, ...], int]]
"""By the image's side: the multiples of the width that blocks give, and how many of the blocks, the first, halve."""


def generator_channels(table: GeneratorTable, side: int, width: int) -> list[int]:
    """The channels at 4×4, 8×8, …, `side`: beyond 256, `width` for each further doubling (as BigGAN's at 512)."""
    multiples = table[min(side, LARGEST)] + (1,) * _beyond(side)
    return [multiple * width for multiple in multiples]


def critic_stages(table: CriticTable, shape: tuple[int, ...], width: int, *, wide: bool) -> list[Stage]:
    """The blocks from the image on: beyond 256, one of `width` channels more for each further halving.

    A `wide` block widens with its first convolution, as SAGAN's and BigGAN's; the others with the second.
    """
    side = shape[-1]
    multiples, halving = table[min(side, LARGEST)]
    further = _beyond(side)
    outputs = [multiple * width for multiple in (1,) * further + multiples]
    return [
        Stage(given, after if wide or number == 0 else given, after, number < halving + further, number == 0)
        for number, (given, after) in enumerate(pairwise([shape[0], *outputs]))
    ]


def _beyond(side: int) -> int:
    """How often `LARGEST` must be doubled to give `side`."""
    return max(0, side.bit_length() - LARGEST.bit_length())
