"""Checks of the sizes that a network is given, and the channels that its maps get from them."""

from __future__ import annotations

from ganbench.errors import ChoiceError
from ganbench.penalties import at_least_one

BASE = 4  # pixels: the side of the smallest map of most networks


def check_sizes(who: str, **sizes: int) -> None:
    """Nothing, if all are 1 or more; else a ChoiceError that begins with `who` and names the first that is not."""
    for name, size in sizes.items():
        at_least_one(who, name, size)


def side_of(who: str, shape: tuple[int, ...]) -> int:
    """The side in pixels of square images with a side of 8, 16, 32, …; for others a ChoiceError that names `who`."""
    side = shape[-1]
    if len(shape) != 3 or shape[1] != side or side < 8 or side.bit_count() != 1:
        raise ChoiceError(f"{who}: samples of shape {shape}, expected square images with a side of 8, 16, 32, …")
    return side


def halvings_of(who: str, shape: tuple[int, ...]) -> int:
    """How often the side of such images must be halved to be 4."""
    return (side_of(who, shape) // BASE).bit_length() - 1


def widths_of(who: str, shape: tuple[int, ...], width: int, widest: int) -> list[int]:
    """The channels of each map from the image down to 4×4: `width`, twice as many with each halving, up to `widest`."""
    check_sizes(who, width=width, widest=widest)
    return [min(width * 2**level, widest) for level in range(halvings_of(who, shape) + 1)]
