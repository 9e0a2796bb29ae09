"""Classes and modes: what share of each variant's samples falls in each, beside the data's share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from ganbench import charts_style as style
from ganbench.charts_style import Plot, Spec

MOST_VARIANTS = 9
"""Variants that are drawn, each in a picture of its own, the best ones."""

MOST_CLASSES = 50
"""Classes that are drawn: those that the data have most of."""

COVERED = 0.2
"""A class is covered by so large a part of its share in the data, as the score `modes_20pct` has it."""


@dataclass(frozen=True)
class Shares:
    """A variant's mean share of samples in each class over its seeds, lowest and highest, in the order of the names."""

    place: int
    label: str
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def covered(shares: Sequence[float], data: Sequence[float]) -> int:
    """How many of the data's classes have at least a fifth of their share."""
    return sum(share >= COVERED * expected for share, expected in zip(shares, data, strict=True) if expected > 0)


def modes_plot(names: Sequence[str], data: Sequence[float], variants: Sequence[Shares]) -> Plot:
    """A histogram for each variant over the classes `names`, with a line where the data's share lies."""
    shown = variants[:MOST_VARIANTS]
    kept = sorted(sorted(range(len(names)), key=lambda i: -data[i])[:MOST_CLASSES])
    counts = {variant.label: covered(variant.mean, data) for variant in shown}
    there = sum(share > 0 for share in data)
    about = "Bars: mean share of samples over seeds. Thin lines: lowest to highest seed. Dashes: the data."
    if len(kept) < len(names):
        about += f" Only the {len(kept)} largest of {len(names)} classes."
    if len(shown) < len(variants):
        about += f" Only the {len(shown)} best of {len(variants)} variants."
    fact = f"Of {there} classes of the data, with at least a fifth of the data's share: " + "; ".join(
        f"{label} {count}" for label, count in counts.items()
    )
    titles = {variant.place: f"{variant.label}: {counts[variant.label]} of {there}" for variant in shown}
    rows = [
        {"place": variant.place, "title": titles[variant.place], "class": names[i], "data": data[i],
         "share": variant.mean[i], "low": variant.low[i], "high": variant.high[i]}
        for variant in shown
        for i in kept
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    told = tuple((variant.label, str(counts[variant.label])) for variant in shown)
    specification = _chart(frame, list(titles.values()), [names[i] for i in kept])
    headings = ("variant", "classes covered")
    return Plot("Classes covered", about, f"{fact}.", specification, headings=headings, rows=told, wide=True)


def _chart(frame: pd.DataFrame, titles: Sequence[str], names: Sequence[str]) -> Spec:
    data = style.rounded(frame, "share", "low", "high", "data")
    crowded = len(names) > 12 or max(map(len, names)) > 3
    axis: Mapping[str, Any] = {"labelAngle": -90 if crowded else 0, "labelLimit": 80, "ticks": False, "title": None}
    base = alt.Chart(data).encode(x=alt.X("class:N", sort=list(names), axis=alt.Axis(**axis)))
    share = alt.Y("share:Q", title="share of samples", axis=alt.Axis(format="%"))
    tooltip = [
        alt.Tooltip("class", title="class"), alt.Tooltip("share", title="samples", format=".1%"),
        alt.Tooltip("data", title="data", format=".1%"),
    ]  # fmt: skip
    bars = base.mark_bar(width={"band": 0.76}).encode(y=share, color=style.colour(frame["place"]), tooltip=tooltip)
    seeds = base.mark_rule(color=style.SOFT).encode(y="low:Q", y2="high:Q")
    expected = base.mark_tick(color=style.INK, thickness=2, width={"band": 0.96}).encode(y="data:Q")
    width = max(150, min(340, 16 * len(names)))
    layered = alt.layer(bars, seeds, expected).properties(width=width, height=130)
    header = alt.Header(title=None, labelOrient="top")
    faceted = layered.facet(facet=alt.Facet("title:N", header=header, sort=list(titles)), columns=3)
    return style.styled(faceted.resolve_axis(x="independent"))
