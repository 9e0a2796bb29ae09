"""Curves: a score or a signal of training over the budget, a line a variant, with the band of its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from scipy import stats

from ganbench import charts_style as style
from ganbench.charts_scales import Vertical, vertical
from ganbench.charts_style import AXIS, AXIS_TITLES, COLOURS, ISOLATED, Plot, Spec
from ganbench.standings import records
from ganbench.terms import AXES
from ganbench.views import format_number

MOST_POINTS = 100
"""Points of a line that are drawn: an evaluation may have had a thousand."""

MOST_FAILED = 48
"""Failed seeds that are drawn, each as a line of its own."""

MARKED = 8
"""Points of a line that carry the variant's mark."""

BANDS = "Line: {mean} mean over seeds. Band: lowest to highest seed."
CROSSES = "Dashed, ending in a cross: one seed that failed."
KEYS = ["suite", "key"]
COLUMNS = ["place", "label", "line", *AXES, "y", "low", "high", "failed", "last", "mark"]


def trials_shown(shown: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The points of the curves of `shown`, variants with their `place` and `label`, in the order of training.

    To the curves' columns come `place`, `label`, `status` and `point`, its number in the curve.
    """
    facts = runs[[*KEYS, "variant", "recipe", "status"]].drop_duplicates("key")
    places = facts.merge(shown[["variant", "recipe", "place", "label"]], on=["variant", "recipe"])
    known = curves.drop(columns=["dataset", "variant", "seed"], errors="ignore").merge(
        places.drop(columns=["variant", "recipe"]), on=KEYS
    )
    return known.assign(point=known.groupby("key").cumcount())


def points_of(known: pd.DataFrame, name: str, mean: str) -> pd.DataFrame:
    """The points of every curve of `name`, as `curve_plot` takes them; `known` is what `trials_shown` gives.

    Seeds are averaged by `mean`, which `mean_of` gives.
    """
    if name not in known.columns:
        return pd.DataFrame(columns=COLUMNS)
    told = known[["key", "place", "label", "status", "point", *AXES, name]].rename(columns={name: "y"})
    told = told.dropna(subset=["y"])
    told = told[np.isfinite(told["y"].to_numpy(dtype=float))]
    good, bad = told[told["status"] == "ok"], told[told["status"] != "ok"]
    parts = [part for part in (_means(good, mean), _ends(bad)) if part.size]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def mean_of(known: pd.DataFrame, name: str, wished: str) -> str:
    """How the seeds of a curve are averaged: as is wished for, but arithmetically where a value is not positive."""
    if name not in known.columns:
        return wished
    values = known.loc[known["status"] == "ok", name].dropna()
    return wished if (values > 0).all() else "arithmetic"


def _means(good: pd.DataFrame, mean: str) -> pd.DataFrame:
    """For each variant, the mean of its seeds at each point, and the lowest and the highest."""
    together: Any = stats.gmean if mean == "geometric" else "mean"
    spread = {"y": ("y", together), "low": ("y", "min"), "high": ("y", "max")}
    by = good.groupby(["place", "label", "point"])
    means = by.agg(**{axis: (axis, "mean") for axis in AXES}, **spread).reset_index()
    means = means.assign(line=means["place"].astype(str), failed=False, last=False)
    return _thinned(means)


def _ends(bad: pd.DataFrame) -> pd.DataFrame:
    """Each failed seed by itself, to where it failed."""
    kept = bad.drop_duplicates("key").sort_values("place", kind="stable")["key"].head(MOST_FAILED)
    drawn = bad[bad["key"].isin(kept)]
    last = drawn["point"] == drawn.groupby("key")["point"].transform("max")
    return _thinned(drawn.assign(line=drawn["key"], failed=True, last=last, low=drawn["y"], high=drawn["y"]))


def _thinned(lines: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_POINTS` of each line, its first and its last among them, some of which carry the mark."""
    number = lines.groupby("line").cumcount()
    count = lines.groupby("line")["line"].transform("size")
    kept = _spaced(number, count, MOST_POINTS)
    marked = _spaced(number, count, MARKED) & ~lines["failed"] & (lines["place"] < COLOURS)
    return lines.assign(mark=marked)[kept][COLUMNS]


def _spaced(number: pd.Series[Any], count: pd.Series[Any], most: int) -> pd.Series[bool]:
    """A mask: `most` of so many, evenly spaced from the last one backwards; all where there are fewer."""
    left = count - 1 - number
    step = (count / most).clip(lower=1)
    chosen = (left / step).astype("int64") != ((left - 1) / step).apply(np.floor).astype("int64")
    return chosen | (number == 0)


def curve_plot(
    points: pd.DataFrame,
    axes: Sequence[str],
    name: str,
    mean: str,
    floor: float | None = None,
    names: Mapping[int, str] | None = None,
) -> Plot:
    """A score or a signal of training over the budget, a line a variant; drawn with the first of `axes`.

    `points` has the columns `place`, `label`, `line` (one value for each line), each of `axes`, `y`, `low`, `high` (the
    band, from the lowest seed to the highest), `mark` (the point carries the variant's mark), `failed` and `last`: such
    a line is one seed's, and ends in a cross.
    """
    failed = bool(points["failed"].any())
    up = vertical(style.all_of(points, "y", "low", "high"), mean, name, floor)
    told = [BANDS.format(mean=mean), CROSSES if failed else "", up.words]
    about = " ".join(text for text in told if text)
    ends = records(points[~points["failed"].astype(bool)].groupby("place").agg(
        label=("label", "first"), count=("y", "size"), first=("y", "first"), last=("y", "last"),
        low=("low", "last"), high=("high", "last"),
    ).reset_index())  # fmt: skip
    rows = tuple(
        (row["label"], str(row["count"]), *(format_number(row[key]) for key in ("first", "last", "low", "high")))
        for row in ends
    )
    headings = ("variant", "points", "first", "last", "lowest seed at the end", "highest seed at the end")
    specification = _chart(points, axes, name, up, names)
    return Plot(f"{name} while training", about, _told(ends, name, mean), specification, tuple(axes), headings, rows)


def _told(ends: Sequence[Mapping[str, Any]], name: str, mean: str) -> str:
    if not ends:
        return f"{name} of seeds that failed: no variant has a seed that came to the end."
    told = [f"{row['label']} from {format_number(row['first'])} to {format_number(row['last'])}" for row in ends[:5]]
    more = f"; and {len(ends) - 5} more" if len(ends) > 5 else ""
    return f"{name} while training, {mean} mean over seeds: {'; '.join(told)}{more}."


def _chart(
    points: pd.DataFrame,
    axes: Sequence[str],
    title: str,
    up: Vertical,
    names: Mapping[int, str] | None,
) -> Spec:
    hovered = alt.selection_point(name="hovered", fields=["place"], on="pointerover", clear="pointerout", empty=True)
    data = style.rounded(points, *axes, "y", "low", "high").drop(columns=[axis for axis in AXES if axis not in axes])
    data = data.sort_values("place", ascending=False, kind="stable")  # the best is drawn last, above the others
    lit = style.lit("hovered")
    base = (
        alt.Chart(data)
        .transform_calculate(x=f"datum[{AXIS}]")
        .transform_filter("isValid(datum.x)")
        .encode(
            x=alt.X("x:Q", title=None, scale=alt.Scale(nice=False), axis=style.amounts()),
            y=up.y("y:Q"),
            color=style.colour(points["place"], names),
            detail="line:N",
            tooltip=[
                alt.Tooltip("label", title="variant"),
                *(alt.Tooltip(axis, title=AXIS_TITLES[axis], format=".4~r") for axis in axes),
                style.number("y", title),
            ],
        )
    )
    few = f"(datum.place < {COLOURS} || datum.place === {ISOLATED})"  # more bands than these hide each other
    bands = base.transform_filter(f"!datum.failed && {few}").mark_area(clip=True).encode(
        y="low:Q", y2="high:Q", opacity=lit.then(alt.value(0.16)).otherwise(alt.value(0.03)),
        tooltip=alt.value(None),
    )  # fmt: skip
    lines = base.mark_line(clip=True, cursor="pointer").encode(
        strokeDash=alt.when("datum.failed").then(alt.value([3, 3])).otherwise(alt.value([1, 0])),
        strokeWidth=alt.when(few).then(alt.value(2)).otherwise(alt.value(1.8)),
        opacity=lit.then(alt.value(1)).otherwise(alt.value(0.12)),
    )
    marks = base.transform_filter("datum.mark").mark_point(size=42, filled=True).encode(
        shape=style.shape(points["place"], names), opacity=lit.then(alt.value(1)).otherwise(alt.value(0.12))
    )  # fmt: skip
    touched = base.mark_point(size=90, filled=True, opacity=0, clip=True, cursor="pointer")
    ends = base.transform_filter("datum.last").mark_point(shape="cross", angle=45, size=90, filled=True).encode(
        opacity=lit.then(alt.value(1)).otherwise(alt.value(0.12))
    )  # fmt: skip
    crosses = [ends] if points["failed"].any() else []
    return style.drawn(
        bands, lines, marks.add_params(hovered, *style.parameters(axes[0])), *crosses, touched,
        *up.line(), style.axis_title(),
    )  # fmt: skip
