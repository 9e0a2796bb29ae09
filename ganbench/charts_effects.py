"""Effects: what each part of the variants does to the score, a dot with its interval, and which parts interact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from ganbench import charts_style as style
from ganbench.charts_scales import logarithmic_ticks
from ganbench.charts_style import Plot, Spec
from ganbench.effects import LEVEL, Effects, effects
from ganbench.shortening import shortened
from ganbench.standings import records
from ganbench.views import format_number, one_line

MOST_LEVELS = 24
"""Choices of a part that are drawn, the best ones."""

MOST_INTERACTIONS = 12
"""Combinations that are told, those that differ most from what their parts add up to."""

ROW = 22
"""The height of a choice."""

NARROWEST = 1.02
"""The axis of ratios reaches at least so far to both sides of 1."""

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class EffectPlots:
    """The effects of one ranking: a plot for each part, combinations that do other than their parts, and notes.

    A combination is two choices, what they do beyond their parts, and its interval. `ratio` says whether effects are
    factors; they are differences otherwise. `reason` says why there is nothing, where there is nothing.
    """

    plots: tuple[Plot, ...]
    interactions: Rows
    notes: tuple[str, ...]
    ratio: bool
    reason: str = ""


def effects_of(table: pd.DataFrame, ranking: pd.DataFrame) -> EffectPlots:
    """The effects on the score that ranks `ranking`, which is one ranking of a board of `table`."""
    return effect_plots(effects(table, ranking))


def effect_plots(found: Effects) -> EffectPlots:
    """Plots of `found`, a factor each, all on one scale; nothing where `found` says why there is nothing."""
    known = found.levels[found.levels["effect"].notna()]
    scale = _scale(known, found.scale)
    drawn = [effect_plot(rows.head(MOST_LEVELS), found, scale) for _, rows in known.groupby("factor", sort=False)]
    return EffectPlots(tuple(drawn), _interactions(found), found.notes, found.scale == "ratio", found.reason)


def _scale(levels: pd.DataFrame, kind: str) -> alt.Scale:
    """One scale for all factors: ratios are logarithmic."""
    ends = levels[["effect", "low", "high"]].to_numpy(dtype=float).ravel()
    none = 1.0 if kind == "ratio" else 0.0
    inside = [float(end) for end in ends if abs(end) < 1e12 and (kind != "ratio" or end > 1e-12)]
    near = [none / NARROWEST, none * NARROWEST] if kind == "ratio" else [none]
    domain = [min([*near, *inside]), max([*near, *inside])]
    return alt.Scale(type="log" if kind == "ratio" else "linear", domain=domain, nice=False, padding=12, clamp=True)


def effect_plot(levels: pd.DataFrame, found: Effects, scale: alt.Scale) -> Plot:
    """A dot and an interval for each choice of one factor, the best first; filled where it differs from the average."""
    factor = one_line(levels["factor"].iloc[0])
    unit = "times the average" if found.scale == "ratio" else "beside the average"
    data = pd.DataFrame(
        {
            "level": levels["level"].map(one_line).astype(object),
            **{name: levels[name].astype("float64") for name in ("effect", "low", "high", "p")},
            "decided": (levels["p"] <= LEVEL).to_numpy(dtype=bool),
            "ok": levels["ok"].astype(int),
            "attempted": levels["attempted"].astype(int),
        }
    )
    about = f"{found.score} {unit} of all, {found.direction} is better. {_reading(data, found)}"
    fact = f"Effect of the {factor} on {found.score}: {_decided(data, found)}"
    rows: Rows = tuple(
        (row["level"], _signed(row["effect"], found.scale), _interval(row), format_number(row["p"]),
         f"{row['ok']}/{row['attempted']}")
        for row in records(data)
    )  # fmt: skip
    headings = (factor, "effect", "95 % interval", "p, corrected", "trials ok")
    return Plot(f"Effect of the {factor}", about, fact, _chart(data, scale, found.scale), headings=headings, rows=rows)


def _reading(data: pd.DataFrame, found: Effects) -> str:
    """How intervals and fills are read."""
    if data["low"].isna().all():
        return "No intervals: no seeds are left to tell how much these vary, so no dot is filled."
    own = "Line: 95 % interval of each choice by itself."
    return f"{own} Filled: it differs from the average after Holm's correction for {_tests(found)}."


def _tests(found: Effects) -> str:
    """How many choices the p-values are corrected for: those of all parts together."""
    number = int(found.levels["p"].notna().sum())
    return f"all {number} choices" if found.levels["factor"].nunique() == 1 else f"the {number} choices of all parts"


def _decided(data: pd.DataFrame, found: Effects) -> str:
    """Which choices differ from the average, in a sentence that does not begin one."""
    told = [f"{row['level']} {_signed(row['effect'], found.scale)}" for row in records(data)]
    if data["p"].isna().all():
        return f"from {told[0]} to {told[-1]}, and no seeds are left to tell whether they differ."
    decided = [text for text, differs in zip(told, data["decided"], strict=True) if differs][:6]
    if decided:
        return f"{', '.join(decided)}."
    none = 1.0 if found.scale == "ratio" else 0.0
    alone = data.loc[(data["low"] > none) | (data["high"] < none), "level"].tolist()[:6]
    apart = f"; the interval by itself leaves out {none:.0f} for {', '.join(alone)}" if alone else ""
    return f"no choice differs from the average after Holm's correction for {_tests(found)}{apart}."


def _signed(value: float, kind: str) -> str:
    if kind == "ratio":
        return f"× {format_number(value)}"
    return f"{'+' if value > 0 else ''}{format_number(value)}"


def _interval(row: Any) -> str:
    return "" if pd.isna(row["low"]) else f"{format_number(row['low'])} – {format_number(row['high'])}"


def _interactions(found: Effects) -> Rows:
    """The combinations that do other than their parts add up to, the most remarkable first."""
    cells = found.interactions
    if cells.empty:
        return ()
    none = 1.0 if found.scale == "ratio" else 0.0
    apart = cells[(cells["low"] > none) | (cells["high"] < none)]
    far = apart["effect"].astype("float64").map(lambda value: _distance(value, found.scale))
    chosen = apart.loc[far.sort_values(ascending=False, kind="stable").index[:MOST_INTERACTIONS]]
    return tuple(
        (one_line(row["level"]), one_line(row["other_level"]), _signed(row["effect"], found.scale), _interval(row))
        for row in records(chosen)
    )


def _distance(effect: float, kind: str) -> float:
    """How far an effect is from none: a factor of a half is as far as one of two."""
    return abs(math.log(effect)) if kind == "ratio" and effect > 0 else abs(effect)


def _chart(data: pd.DataFrame, scale: alt.Scale, kind: str) -> Spec:
    shown = style.rounded(data, "effect", "low", "high", "p")
    shown = shown.assign(short=shortened(shown["level"].tolist(), style.LABEL_LETTERS))
    names = list(dict.fromkeys(shown["short"].tolist()))
    title = "times the average" if kind == "ratio" else "difference from the average"
    ticks = logarithmic_ticks(*scale.to_dict()["domain"]) if kind == "ratio" else {"format": ".3~r"}
    axis = alt.Axis(title=title, **ticks)
    base = alt.Chart(shown).encode(
        y=style.row_names(names),
        x=alt.X("effect:Q", scale=scale, axis=axis),
        tooltip=[
            alt.Tooltip("level", title="choice"),
            *(style.number(name) for name in ("effect", "low", "high", "p")),
            alt.Tooltip("ok", title="trials ok"), alt.Tooltip("attempted", title="trials"),
        ],
    )  # fmt: skip
    none = alt.Chart(pd.DataFrame({"none": [1.0 if kind == "ratio" else 0.0]})).mark_rule(
        strokeDash=[5, 4], color=style.SOFT
    ).encode(x=alt.X("none:Q", scale=scale, axis=axis))  # fmt: skip
    layers: list[Any] = [none]
    if shown["low"].notna().any():
        bounded = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        layers.append(bounded.mark_rule(strokeWidth=2, color=style.SOFT).encode(x="low:Q", x2="high:Q"))
    blue = style.colour_of(0)
    for decided in (True, False):
        if (shown["decided"] == decided).any():
            kept = base.transform_filter("datum.decided" if decided else "!datum.decided")
            fill = blue if decided else style.PAPER
            layers.append(kept.mark_point(size=80, fill=fill, stroke=blue, strokeWidth=2, opacity=1))
    return style.drawn(*layers, height=ROW * len(names))
