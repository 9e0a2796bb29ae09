"""What stands in a heat map: a cell for each generator, discriminator and loss that were tried together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ganbench.standings import PARTS, trials_of
from ganbench.views import format_number, one_line

MOST_LEVELS = 24
"""Choices of a factor that are shown, those of the best variants; of the factor that makes several maps a quarter."""

ANCHORS = ((42, 24, 92), (45, 78, 138), (33, 133, 141), (62, 181, 118), (160, 214, 74), (250, 232, 72))
"""The colours from the worst score to the best, each lighter than the one before: a copy in grey says the same."""

DARK, LIGHT = "#000000", "#ffffff"
NETWORKS = "networks"
"""What generator and discriminator are called where one goes with the other: a factor, not two."""


def varying(trials: pd.DataFrame) -> list[str]:
    """The factors of which there is more than one choice: of `generator`, `discriminator`, `loss`.

    Where each generator has a discriminator of its own, and the other way round, the two are one factor, `networks`.
    """
    found = [name for name in PARTS if trials[name].nunique() > 1]
    pairs = len(trials[["generator", "discriminator"]].drop_duplicates())
    if {"generator", "discriminator"} <= set(found) and pairs == trials["generator"].nunique() == trials[
        "discriminator"
    ].nunique():
        return [NETWORKS, *(name for name in found if name == "loss")]
    return found


def fill_of(share: float) -> str:
    """The colour of a cell, from 0 for the worst to 1 for the best."""
    place = min(max(share, 0.0), 1.0) * (len(ANCHORS) - 1)
    start = min(int(place), len(ANCHORS) - 2)
    low, high = np.array(ANCHORS[start]), np.array(ANCHORS[start + 1])
    return "#" + "".join(f"{round(value):02x}" for value in low + (place - start) * (high - low))


def ink_on(fill: str) -> str:
    """The colour of text that is read best on `fill`, dark or light."""
    return max((DARK, LIGHT), key=lambda ink: contrast(ink, fill))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21, as the Web Content Accessibility Guidelines 2.1 define it."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def cells_of(ranking: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell, the best first: `column`, `row`, `facet` (empty unless three factors vary), `mean`, `text`,
    `share` (0 the worst, 1 the best), `fill`, `ink`, `ok`, `attempted`.

    A cell of several variants, which differ by their training, has the mean of their means.
    """
    trials = with_networks(ranking)
    row, column, facet = axes_of(trials)
    data = pd.DataFrame({"row": _named(trials, row), "column": _named(trials, column), "facet": _named(trials, facet)})
    rule = str(ranking["mean_rule"].iloc[0])
    means = trials["mean"].astype("float64")
    scaled = np.log(means.where(means > 0)) if rule == "geometric" else means
    data = data.assign(scaled=scaled, ok=trials["ok"], attempted=trials["attempted"])
    by = data.groupby(["row", "column", "facet"], sort=False)
    found = by.agg(scaled=("scaled", "mean"), ok=("ok", "sum"), attempted=("attempted", "sum")).reset_index()
    found["mean"] = np.exp(found["scaled"]) if rule == "geometric" else found["scaled"]
    found = found.drop(columns="scaled")
    return _coloured(_fewer(found), rule, str(ranking["direction"].iloc[0]))


def axes_of(trials: pd.DataFrame) -> tuple[str, str, str]:
    """Which factor makes the rows, which the columns, which several maps; empty where there are fewer factors.

    Rows have the most choices, for their names are long.
    """
    factors = sorted(varying(trials) or ["loss"], key=lambda name: -trials[name].nunique())
    row, column, facet = (*factors, "", "")[:3]
    return row, column, facet


def with_networks(ranking: pd.DataFrame) -> pd.DataFrame:
    """The ranked rows, with what generator and discriminator are called together."""
    trials = trials_of(ranking).reset_index(drop=True)
    pairs = zip(trials["generator"], trials["discriminator"], strict=True)
    return trials.assign(**{NETWORKS: [one if one == other else f"{one} / {other}" for one, other in pairs]})


def _named(trials: pd.DataFrame, factor: str) -> Any:
    return trials[factor].map(one_line).to_numpy(dtype=object) if factor else ""


def _fewer(cells: pd.DataFrame) -> pd.DataFrame:
    for name, most in (("row", MOST_LEVELS), ("column", MOST_LEVELS), ("facet", MOST_LEVELS // 4)):
        cells = cells[cells[name].isin(list(dict.fromkeys(cells[name]))[:most])]
    return cells.reset_index(drop=True)


def _coloured(cells: pd.DataFrame, rule: str, direction: str) -> pd.DataFrame:
    means = cells["mean"].to_numpy(dtype=float)
    scaled = np.log(np.maximum(means, 1e-300)) if rule == "geometric" else means
    scaled = -scaled if direction == "lower" else scaled
    known = scaled[np.isfinite(scaled)]
    low, width = (known.min(), np.ptp(known)) if known.size else (0.0, 0.0)
    shares = (scaled - low) / width if width > 0 else np.where(np.isnan(scaled), np.nan, 1.0)
    fills = ["" if math.isnan(share) else fill_of(share) for share in shares]
    return cells.assign(
        share=shares,
        fill=fills,
        ink=[ink_on(fill) if fill else "" for fill in fills],
        text=["failed" if math.isnan(mean) else format_number(mean) for mean in means],
        seeds=[
            f"{ok}/{tried}" if ok < tried else "" for ok, tried in zip(cells["ok"], cells["attempted"], strict=True)
        ],
    )


def left_out(trials: pd.DataFrame, cells: pd.DataFrame, factors: Sequence[str]) -> str:
    """How many choices of each factor there was no room for; empty where all are shown."""
    told = []
    for part, factor in zip(("row", "column", "facet"), factors, strict=True):
        if factor and (hidden := trials[factor].map(one_line).nunique() - cells[part].nunique()) > 0:
            told.append(f"{hidden} of {factor}")
    return ", ".join(told)
