"""Quality against cost: a mark for each variant, and the front of those that no other beats on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from ganbench import charts_style as style
from ganbench.charts_scales import Vertical, vertical
from ganbench.charts_style import AXIS, AXIS_NAMES, AXIS_TITLES, Plot, Spec
from ganbench.standings import records, times_compare, trials_of
from ganbench.statistics import once
from ganbench.terms import AXES
from ganbench.views import format_number, one_line

TITLE = "Quality against cost"
TIME = "device_seconds"
"""The axis that means another thing on another device, or where steps are taken in another way."""

SHARED = "Seeds that trained together share their time equally, so how much it varies is not known."
FEW = 2
"""Variants that are named; of more there is the number."""

VARIANT = ["variant", "recipe"]

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


@dataclass(frozen=True)
class Quality:
    """The score of a plot: its name, how seeds are averaged, which direction is better, and what real data score."""

    score: str
    mean: str
    direction: str
    floor: float | None = None


@dataclass(frozen=True)
class Times:
    """What a reader of device seconds must know: why variants do not compare by them, and whether seeds shared them."""

    apart: str = ""
    shared: bool = False


def cost_plot(
    rows: pd.DataFrame,
    axes: Sequence[str],
    quality: Quality,
    times: Times,
    names: Mapping[int, str] | None = None,
) -> Plot:
    """Quality against cost, a mark a variant, and the front for each of `axes`; drawn with the first of them.

    `rows` has the columns `place` (from 0, the best), `label`, `mean`, `low`, `high`, `ok`, `attempted`, and for each
    of `axes` the cost and its range over seeds, as `with_spread` gives it. Over times that do not compare there is no
    front.
    """
    whole = (rows["ok"] == rows["attempted"]).to_numpy(dtype=bool)
    spread = [name for axis in axes for name in (least(axis), most(axis))]
    data = rows[["place", "label", "mean", "low", "high", *axes, *spread]].assign(whole=whole)
    data = data[data["mean"].notna()]  # a variant of which every seed failed has no place in a plot
    fronts = {axis: _front(data, axis, quality.direction) for axis in axes if not (times.apart and axis == TIME)}
    values = style.all_of(data, "mean", "low", "high")
    up = vertical(values, quality.mean, f"{quality.score} ({quality.direction} is better)", quality.floor)
    fact = f"Quality against {AXIS_TITLES[axes[0]]}. {_told(fronts.get(axes[0]), axes[0], quality.score)}"
    headings = ("variant", quality.score, "95 % interval", *(AXIS_NAMES[axis] for axis in axes))
    table = tuple(
        (row["label"], format_number(row["mean"]), _interval(row), *(_cost(row, axis) for axis in axes))
        for row in records(data)
    )
    about = _about(data, axes, up, times)
    return Plot(TITLE, about, fact, _chart(data, fronts, axes, up, names), tuple(axes), headings, table)


def _about(data: pd.DataFrame, axes: Sequence[str], up: Vertical, times: Times) -> str:
    told = ["Line: the front, than which no variant is both better and cheaper."]
    if data["low"].notna().any():
        told.append("Upright: the mean's 95 % interval.")
    if _is_spread(data, axes):
        told.append("Level: the costs from the lowest to the highest seed.")
    if not data["whole"].all():
        told.append("Hollow: seeds failed, so the mean is of the others, and it is not on the front.")
    if TIME in axes:
        told.append(times.apart or (SHARED if times.shared else ""))
    return " ".join(text for text in (*told, up.words) if text)


def least(axis: str) -> str:
    """The column of the lowest cost of a seed."""
    return f"{axis}_least"


def most(axis: str) -> str:
    """The column of the highest cost of a seed."""
    return f"{axis}_most"


def with_spread(rows: pd.DataFrame, runs: pd.DataFrame, score: str) -> pd.DataFrame:
    """`rows` of a ranking with the lowest and the highest cost over the seeds that have a score, on each axis.

    `runs` are the rows of its trials in the table of results.
    """
    seeds = once(runs)
    seeds = seeds[seeds[score].notna()] if score in seeds else seeds.head(0)
    found = seeds.groupby(VARIANT)[list(AXES)].agg(["min", "max"])
    found.columns = pd.Index([name for axis in AXES for name in (least(axis), most(axis))])
    return rows.merge(found.reset_index(), on=VARIANT, how="left")


def times_of(ranking: pd.DataFrame, runs: pd.DataFrame) -> Times:
    """What is to be known of the device seconds of `ranking`, which has the column `label`.

    `runs` are the rows of its trials in the table of results.
    """
    shared = bool(runs["driver"].str.startswith("vectorised").any())
    return Times("" if times_compare(runs, ranking) else _apart(ranking, runs), shared)


def _apart(ranking: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Which variants trained how, in a sentence."""
    own = (
        runs.assign(way=_ways(runs))
        .merge(trials_of(ranking)[[*VARIANT, "label"]], on=VARIANT)
        .groupby("way")["label"]
        .unique()
    )
    groups = sorted(((str(way), list(labels)) for way, labels in own.items()), key=lambda group: len(group[1]))
    told = [_these(labels) for _, labels in groups]
    in_one_way = sum(len(labels) for _, labels in groups) == own.explode().nunique()
    if in_one_way and len(groups[-1][1]) > 1:
        told[-1] = "the others"
    told[0] += " trained"
    parts = [f"{these} {way}" for these, (way, _) in zip(told, groups, strict=True)]
    return f"Device seconds do not compare here, so they have no front: {', '.join(parts)}."


def _ways(runs: pd.DataFrame) -> list[str]:
    """How each of `runs` took steps, and on which device, as far as they differ: `eager on NVIDIA H200`."""
    drivers, devices = (runs[name].map(one_line).tolist() for name in ("driver", "device"))
    several, apart = len(set(drivers)) > 1, len(set(devices)) > 1
    said = zip((driver * several for driver in drivers), (f"on {device}" * apart for device in devices), strict=True)
    return [" ".join(filter(None, parts)) for parts in said]


def _these(labels: Sequence[str]) -> str:
    return " and ".join(labels) if len(labels) <= FEW else f"{len(labels)} variants"


def _cost(row: Mapping[str, Any], axis: str) -> str:
    """`3.01 (2.98 – 3.10)`, or the cost alone where all seeds have the same."""
    low, high = (format_number(row[name]) for name in (least(axis), most(axis)))
    return format_number(row[axis]) + (f" ({low} – {high})" if low != high else "")


def _interval(row: Mapping[str, Any]) -> str:
    return "" if np.isnan(row["low"]) else f"{format_number(row['low'])} – {format_number(row['high'])}"


def _front(data: pd.DataFrame, axis: str, direction: str) -> pd.DataFrame:
    """The rows on the front, the cheapest first."""
    whole = data[data["whole"]]
    return whole[on_front(whole[axis].to_numpy(), whole["mean"].to_numpy(), direction)].sort_values(axis)


def _told(front: pd.DataFrame | None, axis: str, score: str) -> str:
    if front is None:
        return "Times do not compare here, so there is no front."
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
    up: Vertical,
    names: Mapping[int, str] | None,
) -> Spec:
    data = style.rounded(
        data, "mean", "low", "high", *(name for axis in axes for name in (axis, least(axis), most(axis)))
    )
    data = data.sort_values("place", ascending=False, kind="stable")  # the best is drawn last, above the others
    base = (
        alt.Chart(data)
        .transform_calculate(cost=f"datum[{AXIS}]", least=f"datum[{AXIS} + '_least']", most=f"datum[{AXIS} + '_most']")
        .transform_filter("isValid(datum.cost)")
        .encode(
            x=alt.X("cost:Q", title=None, scale=alt.Scale(zero=False, nice=True, padding=8), axis=style.amounts()),
            y=up.y("mean:Q"),
            color=style.colour(data["place"], names),
            opacity=style.lit().then(alt.value(1)).otherwise(alt.value(0.2)),
            tooltip=[
                alt.Tooltip("label", title="variant"),
                *(style.number(name) for name in ("mean", "low", "high")),
                *(alt.Tooltip(axis, title=AXIS_TITLES[axis], format=".3~r") for axis in axes),
            ],
        )
    )
    marks = _marks(base, data, names)
    line = _front_line(fronts, data)
    return style.drawn(
        *([line] if line else []), *_whiskers(base, data, axes), marks[0].add_params(*style.parameters(axes[0])),
        *marks[1:], *up.line(), style.axis_title(),
    )  # fmt: skip


def _marks(base: alt.Chart, data: pd.DataFrame, names: Mapping[int, str] | None) -> list[alt.Chart]:
    """Filled where every seed has a score, hollow elsewhere."""
    filled = base.transform_filter("datum.whole").mark_point(size=90, filled=True, cursor="pointer")
    hollow = base.transform_filter("!datum.whole").mark_point(size=90, filled=False, strokeWidth=2, cursor="pointer")
    there = [layer for layer, whole in ((filled, True), (hollow, False)) if (data["whole"] == whole).any()]
    return [layer.encode(shape=style.shape(data["place"], names)) for layer in there]


def _whiskers(base: alt.Chart, data: pd.DataFrame, axes: Sequence[str]) -> list[alt.Chart]:
    """Upright the interval of each mean, level the costs of its seeds, where there are several."""
    upright = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    level = (
        base.transform_filter("datum.most > datum.least").mark_rule(strokeWidth=1.5).encode(x="least:Q", x2="most:Q")
    )
    return [*([upright] if data["low"].notna().any() else []), *([level] if _is_spread(data, axes) else [])]


def _is_spread(data: pd.DataFrame, axes: Sequence[str]) -> bool:
    """Whether seeds of a variant have different costs."""
    return any((data[most(axis)] > data[least(axis)]).any() for axis in axes)


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
