"""Quality against cost: a mark for each variant, and the front of those that no other beats on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from ganbench import charts_style as style
from ganbench.charts_style import AXIS, AXIS_TITLES, Plot, Spec
from ganbench.standings import records
from ganbench.views import format_number

Array = np.ndarray[Any, Any]


def on_front(costs: Sequence[float] | Array, scores: Sequence[float] | Array, direction: str) -> Array:
    """A mask: those than which none is better in one and as good in the other. What has no number is not among them."""
    cost, score = np.asarray(costs, dtype=float), np.asarray(scores, dtype=float)
    loss = score if direction == "lower" else -score
    known = np.flatnonzero(~(np.isnan(cost) | np.isnan(loss)))
    order = known[np.lexsort((loss[known], cost[known]))]  # the cheapest first, and of those the best
    front = np.zeros(len(cost), dtype=bool)
    best, at = np.inf, -np.inf
    for i in order:
        if loss[i] < best or (loss[i] == best and cost[i] == at):  # equals are not beaten by each other
            front[i], best, at = True, loss[i], cost[i]
    return front


def cost_plot(
    rows: pd.DataFrame,
    axes: Sequence[str],
    score: str,
    mean: str,
    direction: str,
    floor: float | None = None,
    names: Mapping[int, str] | None = None,
) -> Plot:
    """Quality against cost, a mark a variant, and the front for each of `axes`; drawn with the first of them.

    `rows` has the columns `place` (from 0, the best), `label`, `mean`, `low`, `high`, `ok`, `attempted`, and one for
    each of `axes`.
    """
    whole = (rows["ok"] == rows["attempted"]).to_numpy(dtype=bool)
    data = rows[["place", "label", "mean", "low", "high", *axes]].assign(whole=whole)
    data = data[data["mean"].notna()]  # a variant of which every seed failed has no place in a plot
    fronts = {axis: _front(data, axis, direction) for axis in axes}
    about = "Line: the front, than which no variant is both better and cheaper. Whiskers: the mean's 95 % interval."
    if not data["whole"].all():
        about += " Hollow: seeds failed, so the mean is of the others, and it is not on the front."
    best = fronts[axes[0]]
    fact = f"Quality against {AXIS_TITLES[axes[0]]}. {_told(best, axes[0], score)}"
    specification = _chart(data, fronts, axes, score, mean, direction, floor, names)
    headings = ("variant", score, "95 % interval", *axes)
    table = tuple(
        (row["label"], format_number(row["mean"]), _interval(row), *(format_number(row[axis]) for axis in axes))
        for row in records(data)
    )
    return Plot("Quality against cost", about, fact, specification, tuple(axes), headings, table)


def _interval(row: Mapping[str, Any]) -> str:
    return "" if np.isnan(row["low"]) else f"{format_number(row['low'])} – {format_number(row['high'])}"


def _front(data: pd.DataFrame, axis: str, direction: str) -> pd.DataFrame:
    """The rows on the front, the cheapest first."""
    whole = data[data["whole"]]
    return whole[on_front(whole[axis].to_numpy(), whole["mean"].to_numpy(), direction)].sort_values(axis)


def _told(front: pd.DataFrame, axis: str, score: str) -> str:
    if front.empty:
        return "No variant has a score for every one of its seeds, so there is no front."
    told = [
        f"{row['label']} ({score} {format_number(row['mean'])} at {format_number(row[axis])})" for row in records(front)
    ]
    shown = "; ".join(told[:5]) + (f"; and {len(told) - 5} more" if len(told) > 5 else "")
    return f"On the front, from the cheapest: {shown}."


def _chart(
    data: pd.DataFrame,
    fronts: Mapping[str, pd.DataFrame],
    axes: Sequence[str],
    score: str,
    mean: str,
    direction: str,
    floor: float | None,
    names: Mapping[int, str] | None,
) -> Spec:
    data = style.rounded(data, "mean", "low", "high", *axes)
    data = data.sort_values("place", ascending=False, kind="stable")  # the best is drawn last, above the others
    scale = style.scale_for(style.all_of(data, "mean", "low", "high", also=floor), mean)
    base = (
        alt.Chart(data)
        .transform_calculate(cost=f"datum[{AXIS}]")
        .transform_filter("isValid(datum.cost)")
        .encode(
            x=alt.X("cost:Q", title=None, scale=alt.Scale(zero=False, nice=True, padding=8)),
            y=alt.Y("mean:Q", title=f"{score} ({direction} is better)", scale=scale),
            color=style.colour(data["place"], names),
            opacity=style.lit().then(alt.value(1)).otherwise(alt.value(0.2)),
            tooltip=[
                alt.Tooltip("label", title="variant"),
                *(style.number(name) for name in ("mean", "low", "high")),
                *(alt.Tooltip(axis, title=AXIS_TITLES[axis], format=".3~s") for axis in axes),
            ],
        )
    )
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    whiskers = [bars] if data["low"].notna().any() else []
    filled = base.transform_filter("datum.whole").mark_point(size=90, filled=True, cursor="pointer")
    hollow = base.transform_filter("!datum.whole").mark_point(size=90, filled=False, strokeWidth=2, cursor="pointer")
    there = [layer for layer, whole in ((filled, True), (hollow, False)) if (data["whole"] == whole).any()]
    marks = [layer.encode(shape=style.shape(data["place"], names)) for layer in there]
    line = _front_line(fronts, data)
    return style.drawn(
        *([line] if line else []), *whiskers, marks[0].add_params(*style.parameters(axes[0])), *marks[1:],
        *style.floor(floor), style.axis_title(),
    )  # fmt: skip


def _front_line(fronts: Mapping[str, pd.DataFrame], data: pd.DataFrame) -> alt.Chart | None:
    """Steps through the front of each axis, on to the dearest variant: that much is reached for the price."""
    parts = []
    for axis, front in fronts.items():
        if front.empty:
            continue
        steps = pd.DataFrame({"axis": axis, "cost": front[axis], "mean": front["mean"]})
        end = steps.tail(1).assign(cost=data[axis].max())
        parts.append(pd.concat([steps, end]))
    if not parts:
        return None
    known = style.rounded(pd.concat(parts), "cost", "mean")
    line: alt.Chart = (
        alt.Chart(known)
        .transform_filter(f"datum.axis === {AXIS}")
        .mark_line(interpolate="step-after", color=style.SOFT, strokeWidth=1.5, tooltip=None)
        .encode(x="cost:Q", y="mean:Q")
    )
    return line
