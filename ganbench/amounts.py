"""What trials scored and spent, as numbers that a reader takes in: rounded, in a unit of their size, without dust."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ganbench.tables import COLUMNS, noise_column, score_rules
from ganbench.views import format_number

WORDS = {
    "steps": "generator updates",
    "steps_per_second": "generator updates per second",
    "petaflops": "floating-point operations",
    "peak_memory_bytes": "peak memory",
    "flops_per_step": "FLOPs per generator update",
    "flops_per_second": "FLOPs per second",
}
"""What a reader calls a column of costs, where its name with spaces would not do."""

UNITS = {
    "steps": "",
    "petaflops": "PFLOP",
    "images_per_second": "images/s",
    "sampling_images_per_second": "images/s",
}
"""Of columns whose own unit says less."""

BINARY = ("bytes", "KiB", "MiB", "GiB", "TiB")
DECIMAL = ("", "k", "M", "G", "T", "P", "E")

DUST = 1e-6
"""The share of a score's scale below which its noise is rounding."""


def cost_words(name: str) -> str:
    """What a reader calls the column."""
    return WORDS.get(name, name.replace("_", " "))


def told_cost(name: str, value: float) -> tuple[str, str]:
    """A value of the column as a number to be read, and its unit: MiB and MFLOP rather than nine digits."""
    if name == "peak_memory_bytes":
        return _scaled(value, 1024, BINARY)
    if name in ("flops_per_step", "flops_per_second"):
        number, prefix = _scaled(value, 1000, DECIMAL)
        return number, f"{prefix}FLOP{'/s' if name == 'flops_per_second' else ''}"
    return told_number(value), UNITS.get(name, COLUMNS[name].unit)


def told_number(value: float) -> str:
    """Three significant digits, or a whole number as it is counted: 8, not 8.00."""
    return f"{value:,.0f}" if math.isfinite(value) and value == round(value) else format_number(value)


def medians(runs: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, float]:
    """The median of each column over the runs that ended well, or over all of them if none did."""
    counted = [run for run in runs if run["status"] == "ok"] or runs
    known = {name: [float(run[name]) for run in counted if not pd.isna(run[name])] for name in names}
    return {name: statistics.median(values) for name, values in known.items() if values}


def noise_without_dust(table: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """The columns of noise, with 0 for what is next to nothing beside the score, or beside what it usually is."""
    cleaned = {}
    for score in score_rules(table):
        if (column := noise_column(score)) in table.columns:
            values = table[score].abs()
            cleaned[column] = table[column].mask(table[column] < DUST * np.maximum(values, values.median()), 0.0)
    return cleaned


def _scaled(value: float, base: int, units: Sequence[str]) -> tuple[str, str]:
    """The value in the first unit in which it has no more than three digits before the point."""
    place = 0
    while place < len(units) - 1 and abs(value) / base**place >= 999.5:
        place += 1
    return told_number(value / base**place), units[place]
