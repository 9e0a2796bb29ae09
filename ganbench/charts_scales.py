"""Scales of plots: logarithmic or linear, where their ticks stand, and whether real data lie near."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from ganbench.charts_style import FONT, SOFT
from ganbench.views import format_number

WIDE = 5.0
"""The ratio of the largest to the smallest value from which geometric means have a logarithmic scale."""

VERY_WIDE = 10.0
"""The same for any other values, where a few large ones would flatten the rest."""

MOST_ROOM = 1 / 3
"""The share of an axis that the line of real data may cost."""

FEWEST_TICKS = 3


@dataclass(frozen=True)
class Vertical:
    """A vertical scale with its title; `floor` is the score of real data where its line is drawn.

    `words` say where real data lie if they are too far away for that.
    """

    scale: alt.Scale
    axis: alt.Axis
    floor: float | None = None
    words: str = ""

    def y(self, field: str) -> alt.Y:
        """That field on this scale."""
        return alt.Y(field, axis=self.axis, scale=self.scale)

    def line(self) -> Sequence[alt.Chart]:
        """A dashed line where real data lie, with its name."""
        if self.floor is None:
            return ()
        base = alt.Chart(pd.DataFrame({"floor": [self.floor]})).encode(y="floor:Q")
        look: dict[str, Any] = {"align": "right", "baseline": "bottom", "dy": -3, "font": FONT, "fontSize": 11}
        text = base.mark_text(text="real data", color=SOFT, **look).encode(x=alt.value("width"))
        return (base.mark_rule(strokeDash=[5, 4], color=SOFT), text)


def vertical(values: Iterable[float], mean: str, title: str, floor: float | None = None) -> Vertical:
    """The scale for `values`, of which the means are geometric or arithmetic; `floor` is the score of real data."""
    known = [float(value) for value in values if math.isfinite(value)]
    logarithmic = is_logarithmic(known, mean)
    near = floor is not None and math.isfinite(floor) and _room(known, floor, logarithmic) <= MOST_ROOM
    shown = floor if near else None
    words = (
        "" if near or floor is None or not known else f"Real data score {format_number(floor)}, {_where(known, floor)}."
    )
    if not logarithmic:
        return Vertical(alt.Scale(zero=False, nice=True, padding=8), alt.Axis(title=title), shown, words)
    ends = [*known, shown] if shown is not None else known
    axis = alt.Axis(title=f"{title}, logarithmic", **logarithmic_ticks(min(ends), max(ends)))
    return Vertical(alt.Scale(type="log", nice=False, padding=10), axis, shown, words)


def is_logarithmic(values: Sequence[float], mean: str) -> bool:
    """Whether a logarithmic scale shows more of `values`.

    That of geometric means does where they are wide. Of others it does where they are very wide and a few large ones
    would flatten the rest: where their median is nearer to the middle of a logarithmic axis than of a linear one.
    """
    if not values or min(values) <= 0:
        return False
    low, high = min(values), max(values)
    if mean == "geometric":
        return high > WIDE * low
    if high <= VERY_WIDE * low:
        return False
    middle = float(np.median(values))
    linear, logarithmic = (middle - low) / (high - low), math.log(middle / low) / math.log(high / low)
    return abs(logarithmic - 0.5) < abs(linear - 0.5)


def _room(values: Sequence[float], floor: float, logarithmic: bool) -> float:
    """The share of the axis that is there for `floor` only."""
    if logarithmic and floor <= 0:
        return 1.0
    low, high, at = (
        map(math.log, (min(values), max(values), floor)) if logarithmic else (min(values), max(values), floor)
    )
    whole = max(high, at) - min(low, at)
    return (whole - (high - low)) / whole if whole > 0 else 0.0


def _where(values: Sequence[float], floor: float) -> str:
    return "below this axis" if floor < min(values) else "above this axis"


def logarithmic_ticks(low: float, high: float) -> dict[str, Any]:
    """What an axis takes to have the ticks of `log_ticks`, each with its label."""
    ticks = log_ticks(low, high)
    return {"values": ticks, "tickCount": len(ticks), "format": "~r", "labelOverlap": False}


def log_ticks(low: float, high: float) -> list[float]:
    """Three places or more on a logarithmic axis from `low` to `high`, as round as can be; 1 is one if it lies there.

    Fewer only where the ends are less than a twentieth apart.
    """
    found: list[float] = []
    for grid in _grids(low, high):
        found = [float(f"{tick:.6g}") for tick in grid if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(found) >= FEWEST_TICKS:
            break
    return found


def _grids(low: float, high: float) -> Iterator[Iterable[float]]:
    """Places for ticks around and beyond both ends, from few to many; 1 is in each grid."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for apart in (24, 12, 6, 4, 3, 2, 1):
        yield (10.0**power for power in range(apart * math.floor(first / apart), last + 1, apart))
    for digits in ((1, 2, 5), (1, 2, 3, 5, 7)):
        yield (digit * 10.0**power for power in range(first, last + 1) for digit in digits)
    for step in (2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01):
        size = step * 10.0 ** math.floor(math.log10(high))
        yield (place * size for place in range(math.floor(low / size), math.ceil(high / size) + 1))
