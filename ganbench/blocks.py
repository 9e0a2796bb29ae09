"""Numbers drawn with block letters, for a terminal: bars and curves that fit into a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> str:
    """A bar over that share of `width` letters, to an eighth of a letter, filled up with spaces."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8) if math.isfinite(share) else 0
    whole, rest = divmod(eighths, 8)
    return (EIGHTHS[8] * whole + (EIGHTHS[rest] if rest else "")).ljust(width)


def span(low: float, value: float, high: float, width: int, mark: float | None = None) -> str:
    """An interval with its value, `  ──●───  `, at shares of `width` letters: what lies beyond an end stands on it.

    A `mark` is drawn where it stands, unless the value is there. Without an interval, NaN, there is the value alone.
    """

    def place(share: float) -> int:
        return round(min(max(share, 0.0), 1.0) * (width - 1))

    if math.isnan(value):
        return ""
    letters = [" "] * width
    if mark is not None:
        letters[place(mark)] = "│"
    if not math.isnan(low) and not math.isnan(high):
        for at in range(place(low), place(high) + 1):
            letters[at] = "┼" if letters[at] == "│" else "─"
    letters[place(value)] = "●"
    return "".join(letters).rstrip()


def sparkline(values: Sequence[float | None], width: int, *, logarithmic: bool = False) -> str:
    """A curve of one letter for each value, or of `width` letters where there are more; a space where one is missing.

    Its lowest value is the lowest block and its highest the highest; a curve that does not change is in the middle.
    `logarithmic` counts where all values are above 0.
    """
    numbers = [math.nan if value is None or not math.isfinite(value) else float(value) for value in values]
    known = [number for number in numbers if not math.isnan(number)]
    if not known:
        return " " * min(len(numbers), width)
    if logarithmic and min(known) > 0:
        numbers, known = [math.log(number) for number in numbers], [math.log(number) for number in known]
    low, high = min(known), max(known)
    return "".join(_level(number, low, high) for number in _sampled(numbers, width))


def _sampled(numbers: Sequence[float], width: int) -> list[float]:
    """At most `width` of the numbers, evenly spaced, the first and the last among them."""
    if len(numbers) <= width:
        return list(numbers)
    return [numbers[round(i * (len(numbers) - 1) / max(width - 1, 1))] for i in range(width)]


def _level(number: float, low: float, high: float) -> str:
    if math.isnan(number):
        return " "
    if high == low:
        return LEVELS[3]
    share = number / (high - low) - low / (high - low)  # two terms: the difference itself may be beyond all numbers
    return LEVELS[min(max(int(share * len(LEVELS)), 0), len(LEVELS) - 1)]
