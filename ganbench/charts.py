"""The plots of a report as Vega-Lite specifications, and the JavaScript that draws them without a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
from scipy import stats

from ganbench.standings import named, secondary_scores, trials_of
from ganbench.terms import AXES

Spec = dict[str, Any]

SHOWN = 24
"""How many variants of a ranking are drawn, the best ones: more lines than that show nothing."""

WHISKERS = "Whiskers: the mean's 95 % interval."
BANDS = "Line: mean over seeds. Band: lowest to highest seed."
CROSSES = " Dashed, ending in a cross: one seed that failed."

AXIS_TITLES = {
    "kimg": "real images shown, thousands",
    "steps": "generator updates",
    "device_seconds": "training, device seconds",
    "petaflops": "training, PFLOP",
}
COLOURS = 6
"""Variants with a colour of their own, the best ones; the page's style sheet has the colours, the rest are grey."""

_INK, _FAINT, _RULE, _GREY = "var(--ink-soft)", "var(--ink-faint)", "var(--line)", "var(--grey)"
_FONT = "system-ui, sans-serif"


@dataclass(frozen=True)
class Plot:
    """A plot with its words."""

    title: str
    about: str
    specification: Spec


def javascript() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, safe inside a `<script>` element."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def plots(ranking: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame) -> list[Plot]:
    """Quality against cost, then the curves that were recorded, of the best variants of `ranking`; none without any.

    `runs` are the rows of its trials in the table of results.
    """
    shown = trials_of(named(ranking)).head(SHOWN)
    if shown.empty:
        return []
    score, floor = ranking["score"].iloc[0], _known(ranking["real_floor"].iloc[0])
    rule = ranking["mean_rule"].iloc[0]
    limits = [axis for axis in AXES if runs[f"overshoot_{axis}"].notna().any()]
    cost = "kimg" if "device_seconds" in limits else "device_seconds"
    found = []
    if (measured := shown[shown["mean"].notna()]).size:
        found.append(Plot("Quality against cost", WHISKERS, cost_chart(measured, cost, score, rule, floor)))
    for name in (score, *secondary_scores(ranking)[:1], "discriminator/accuracy"):
        mean = rule if name == score else "arithmetic"
        points = _points(shown, runs, curves, limits[0], name, mean)
        if points.size:
            specification = curve_chart(points, limits[0], name, mean, floor if name == score else None)
            about = f"{BANDS}{CROSSES}" if points["failed"].any() else BANDS
            found.append(Plot(f"{name} while training", about, specification))
    return found


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _points(
    shown: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame, axis: str, name: str, mean: str
) -> pd.DataFrame:
    """The points of every curve of `name`, as `curve_chart` takes them."""
    columns = ["place", "label", "line", "x", "y", "low", "high", "failed", "last"]
    if name not in curves.columns:
        return pd.DataFrame(columns=columns)
    facts = runs[["suite", "key", "variant", "recipe", "status"]].drop_duplicates("key")
    places = facts.merge(shown[["variant", "recipe", "place", "label"]], on=["variant", "recipe"])
    known = curves[["suite", "key", axis, name]].merge(places, on=["suite", "key"])
    known = known.rename(columns={axis: "x", name: "y"}).dropna(subset=["x", "y"])
    known["point"] = known.groupby("key").cumcount()
    good, bad = known[known["status"] == "ok"], known[known["status"] != "ok"]
    together: Any = stats.gmean if mean == "geometric" and (good["y"] > 0).all() else "mean"
    spread = {"x": ("x", "mean"), "y": ("y", together), "low": ("y", "min"), "high": ("y", "max")}
    means = good.groupby(["place", "label", "point"]).agg(**spread).reset_index()
    means = means.assign(line=means["place"].astype(str), failed=False, last=False)
    last = bad["point"] == bad.groupby("key")["point"].transform("max")
    ends = bad.assign(line=bad["key"], failed=True, last=last, low=bad["y"], high=bad["y"])
    return pd.concat([part[columns] for part in (means, ends) if part.size] or [means[columns]], ignore_index=True)


def cost_chart(rows: pd.DataFrame, cost: str, score: str, mean: str, floor: float | None = None) -> Spec:
    """Quality against cost, a mark a variant.

    `rows` has the columns `place` (from 0, the best), `label`, `mean`, `low`, `high` and the one named by `cost`.
    """
    data = rows[["place", "label", "mean", "low", "high", cost]].rename(columns={cost: "cost"})
    data = data.dropna(subset=["mean", "cost"])  # a variant of which every seed failed has no place in a plot
    base = alt.Chart(data).encode(
        x=alt.X("cost:Q", title=AXIS_TITLES[cost], scale=alt.Scale(zero=False, nice=True, padding=8)),
        y=alt.Y("mean:Q", title=score, scale=_scale(_all(data, "mean", "low", "high", also=floor), mean)),
        color=_colour(data["place"]),
        tooltip=[
            alt.Tooltip("label", title="variant"),
            *(_number(name) for name in ("mean", "low", "high")),
            alt.Tooltip("cost", title=AXIS_TITLES[cost], format=".3~s"),
        ],
    )
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5, opacity=0.6).encode(
        y="low:Q", y2="high:Q"
    )  # fmt: skip
    whiskers = [bars] if data["low"].notna().any() else []
    return _drawn(*whiskers, base.mark_circle(size=90, opacity=1), *_floor(floor))


def curve_chart(points: pd.DataFrame, axis: str, title: str, mean: str, floor: float | None = None) -> Spec:
    """A score or a signal of training over the budget, a line a variant.

    `points` has the columns `place`, `label`, `line` (one value for each line), `x`, `y`, `low`, `high` (the band, from
    the lowest seed to the highest) and `failed`: such a line is one seed's, and ends in a cross.
    """
    hovered = alt.selection_point(fields=["place"], on="pointerover", clear="pointerout", empty=True)
    lit = alt.when(hovered)
    base = alt.Chart(points).encode(
        x=alt.X("x:Q", title=AXIS_TITLES[axis], scale=alt.Scale(nice=False)),
        y=alt.Y("y:Q", title=title, scale=_scale(_all(points, "y", "low", "high", also=floor), mean)),
        color=_colour(points["place"]),
        detail="line:N",
        tooltip=[
            alt.Tooltip("label", title="variant"),
            alt.Tooltip("x", title=axis, format=".4~r"),
            _number("y", title),
        ],
    )
    bands = base.transform_filter("!datum.failed").mark_area(clip=True).encode(
        y="low:Q", y2="high:Q", opacity=lit.then(alt.value(0.16)).otherwise(alt.value(0.03)),
        tooltip=alt.value(None),
    )  # fmt: skip
    lines = base.mark_line(strokeWidth=2, clip=True).encode(
        strokeDash=alt.when("datum.failed").then(alt.value([3, 3])).otherwise(alt.value([1, 0])),
        opacity=lit.then(alt.value(1)).otherwise(alt.value(0.2)),
    )
    dots = base.mark_circle(size=28, clip=True).encode(opacity=lit.then(alt.value(1)).otherwise(alt.value(0.2)))
    failed = points["failed"].any()
    ends = base.transform_filter("datum.last").mark_point(shape="cross", angle=45, size=90, filled=True)
    return _drawn(bands, lines, dots.add_params(hovered), *([ends] if failed else []), *_floor(floor))


def _number(name: str, title: str | None = None) -> alt.Tooltip:
    return alt.Tooltip(name, title=title or name, format=".3~r")


def _colour(places: pd.Series[Any]) -> alt.Color:
    domain = sorted(int(place) for place in places.unique())
    colours = [f"var(--colour-{place})" if place < COLOURS else _GREY for place in domain]
    return alt.Color("place:N", scale=alt.Scale(domain=domain, range=colours), legend=None)


def _all(data: pd.DataFrame, *names: str, also: float | None) -> list[float]:
    return [*data[list(names)].to_numpy(dtype=float).ravel(), *([] if also is None else [also])]


def _scale(values: Iterable[float], mean: str) -> alt.Scale:
    """Logarithmic for what is averaged geometrically, where the largest value is five times the smallest."""
    known = [value for value in values if not math.isnan(value)]
    wide = bool(known) and 0 < 5 * min(known) < max(known)
    if mean == "geometric" and wide:
        return alt.Scale(type="log", nice=False, padding=10)
    return alt.Scale(zero=False, nice=True, padding=8)


def _floor(value: float | None) -> Sequence[alt.Chart]:
    """A dashed line where real data lies."""
    if value is None or pd.isna(value):
        return ()
    base = alt.Chart(pd.DataFrame({"floor": [value]})).encode(y="floor:Q")
    text = base.mark_text(
        text="real data", align="right", baseline="bottom", dy=-3, color=_INK, font=_FONT, fontSize=11
    )
    return (base.mark_rule(strokeDash=[5, 4], color=_INK), text.encode(x=alt.value("width")))


def _drawn(*layers: alt.Chart) -> Spec:
    axis: Mapping[str, Any] = {
        "labelColor": _INK, "titleColor": _INK, "gridColor": _RULE, "domainColor": _FAINT, "tickColor": _FAINT,
        "labelFont": _FONT, "titleFont": _FONT, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 12,
        "gridOpacity": 0.6, "labelOverlap": True, "labelFlush": False, "tickCount": 5, "domain": False,
    }  # fmt: skip
    chart = alt.layer(*layers).properties(width="container", height=240)
    styled = chart.configure(background="transparent", axis=axis, view={"stroke": None}, font=_FONT)
    specification: Spec = styled.to_dict()
    return specification
