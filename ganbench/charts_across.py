"""Across data sets: interquartile means, profiles, the leader against the others, and critical differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from ganbench import charts_style as style
from ganbench.aggregates import Across, across
from ganbench.charts_style import Plot, Spec
from ganbench.meanranks import MeanRanks
from ganbench.shortening import shortened
from ganbench.standings import records
from ganbench.views import format_number, one_line

MOST = 24
"""Variants that are drawn, the best ones."""

PROFILES = 6
"""Variants that have a profile drawn: as many as there are colours."""

ROW = 22

TOLD = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Normalised scores of which the profiles are told as numbers."""

NONE_BETTER = "no variant is better than noise: every interquartile mean is 0"


def across_of(table: pd.DataFrame, ranked: pd.DataFrame) -> dict[str, Any] | None:
    """What the page says across data sets of `ranked`, a board of `table`; None where it is of one data set."""
    if ranked.loc[ranked["kind"] == "trial", "dataset"].nunique() < 2:
        return None
    found = across(table, ranked)
    return {
        "reason": found.reason,
        "sentence": _sentence(found),
        "datasets": [one_line(name) for name in found.datasets],
        "notes": found.notes,
        "plots": across_plots(found),
        "no_ranks": found.no_ranks,
        "left_out": [
            {"dataset": one_line(row["dataset"]), "protocol": row["protocol"], "reason": row["reason"]}
            for row in records(found.left_out)
        ],
    }


def _sentence(found: Across) -> str:
    """Which variant does best over all data sets, and which may be as good."""
    if found.scores.empty:
        return ""
    best = records(found.scores.head(1))[0]
    over = f"Over {len(found.datasets)} data sets"
    if not best["mean"] > 0:
        return f"{over}, {NONE_BETTER}."
    told = f"{over}, {best['label']} has the highest interquartile mean: {_told(best, 'mean')}."
    first = found.improvements[found.improvements["place"] == 0]
    even = first[(first["low"] <= 0.5) | first["low"].isna()]["other"]
    names = [str(found.scores["label"].iloc[place]) for place in even]
    if first.empty:
        return told
    if not names:
        return f"{told} A trial of it is probably better than one of any other variant."
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{told} One of its trials need not be better than one of {', '.join(names[:3])}{more}."


def across_plots(found: Across) -> list[Plot]:
    """The plots that there is something for."""
    scores = found.scores.head(MOST)
    if scores.empty:
        return []
    names = dict(zip(scores["place"].tolist(), scores["label"].tolist(), strict=True))
    first = found.improvements[found.improvements["place"] == 0].head(MOST - 1)
    plots = [mean_plot(scores), profile_plot(found.profiles[found.profiles["place"] < PROFILES], names)]
    plots += [improvement_plot(first, names)] if len(first) else []
    return [*plots, *([ranks_plot(found.ranks, names)] if found.ranks else [])]


def mean_plot(scores: pd.DataFrame) -> Plot:
    """The interquartile mean of each variant; `scores` has the columns `place`, `label`, `mean`, `low` and `high`."""
    about = "Mean of the middle half of all trials, on a scale from noise (0) to real data (1); 95 % interval."
    data = scores[["place", "label", "mean", "low", "high"]].astype({"label": object})
    best = records(data)[0]
    highest = f"{best['label']} has the highest, {_told(best, 'mean')}"
    fact = f"Interquartile mean over data sets: {highest if best['mean'] > 0 else NONE_BETTER}."
    alike = len({value for value in style.all_of(data, "mean", "low", "high") if not math.isnan(value)}) == 1
    along = Along("normalised score", (0, 1) if alike else None)
    return _dots("Interquartile mean", about, fact, data.rename(columns={"mean": "value"}), along)


def improvement_plot(first: pd.DataFrame, names: Mapping[int, str]) -> Plot:
    """How probably a trial of the best variant is better than one of each other, as `Across.improvements` has it."""
    data = first.assign(label=[names.get(other, str(other)) for other in first["other"]])
    data = data.rename(columns={"probability": "value"}).assign(place=first["other"])
    best = names[0]
    about = f"How probably a trial of {best} is better than one of each other, averaged over data sets; 95 % interval."
    undecided = [row["label"] for row in records(data) if not (row["low"] > 0.5 or row["high"] < 0.5)]
    fact = f"Probability that {best} is better. " + (
        f"It may be even with {', '.join(undecided[:5])}{' and others' if len(undecided) > 5 else ''}."
        if undecided
        else "It is beyond one half for every other variant."
    )
    along = Along("probability that the best is better", (0, 1), ".2f", 0.5)  # its name, however long, stands above
    return _dots("The best against the others", about, fact, data, along)


def _told(row: Mapping[str, Any], name: str) -> str:
    interval = "" if pd.isna(row["low"]) else f" [{format_number(row['low'])}, {format_number(row['high'])}]"
    return f"{format_number(row[name])}{interval}"


@dataclass(frozen=True)
class Along:
    """The horizontal axis of dots: its title, its ends unless they are the data's, its numbers, and a line across."""

    title: str
    ends: tuple[float, float] | None
    format: str = ".3~r"
    middle: float | None = None

    def x(self) -> alt.X:
        """The dots' values along it."""
        free: Any = alt.Scale(zero=False, nice=True, padding=8)
        scale = free if self.ends is None else alt.Scale(domain=list(self.ends), nice=False, padding=8)
        return alt.X("value:Q", title=self.title, scale=scale, axis=alt.Axis(format=self.format))


def _dots(title: str, about: str, fact: str, data: pd.DataFrame, along: Along) -> Plot:
    """A dot and an interval for each of the variants, which have a `place`, a `label`, `value`, `low` and `high`."""
    shown = style.rounded(data[["place", "label", "value", "low", "high"]], "value", "low", "high")
    shown = shown.assign(short=shortened(shown["label"].tolist(), style.LABEL_LETTERS))
    names = list(dict.fromkeys(shown["short"].tolist()))
    base = alt.Chart(shown).encode(
        y=style.row_names(names),
        x=along.x(),
        color=style.colour(shown["place"]),
        tooltip=[alt.Tooltip("label", title="variant"), *(style.number(name) for name in ("value", "low", "high"))],
    )
    layers: list[Any] = []
    if along.middle is not None:
        line = alt.Chart(pd.DataFrame({"middle": [along.middle]}))
        layers.append(line.mark_rule(strokeDash=[5, 4], color=style.SOFT).encode(x="middle:Q"))
    if shown["low"].notna().any():
        bounded = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        layers.append(bounded.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q"))
    layers.append(base.mark_point(size=80, filled=True, opacity=1).encode(shape=style.shape(shown["place"])))
    rows = tuple((row["label"], _told(row, "value")) for row in records(shown))
    specification = style.drawn(*layers, height=ROW * len(names))
    return Plot(title, about, fact, specification, headings=("variant", along.title), rows=rows)


def profile_plot(profiles: pd.DataFrame, names: Mapping[int, str]) -> Plot:
    """The share of trials above each normalised score; `profiles` has `place`, `threshold`, `share`, `low`, `high`."""
    data = profiles.assign(label=[names.get(place, str(place)) for place in profiles["place"]])
    data = style.rounded(data, "threshold", "share", "low", "high").sort_values(
        ["place", "threshold"], ascending=[False, True], kind="stable"
    )
    about = "Share of a variant's trials above each normalised score. Band: 95 % interval, for each score by itself."
    places = sorted(int(place) for place in profiles["place"].unique())
    halves = [f"{names.get(place, '')} {_median_of(profiles[profiles['place'] == place])}" for place in places]
    fact = f"Profiles over data sets. Half of the trials lie above: {'; '.join(halves)}."
    base = alt.Chart(data).encode(
        x=alt.X("threshold:Q", title="normalised score", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("share:Q", title="share of trials above it", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=style.colour(data["place"]),
        tooltip=[
            alt.Tooltip("label", title="variant"), style.number("threshold", "normalised score"),
            alt.Tooltip("share", format=".0%"), alt.Tooltip("low", format=".0%"), alt.Tooltip("high", format=".0%"),
        ],
    )  # fmt: skip
    bands = base.mark_area(opacity=0.14).encode(y="low:Q", y2="high:Q", tooltip=alt.value(None))
    lines = base.mark_line(strokeWidth=2)
    marked = [threshold for i, threshold in enumerate(sorted(data["threshold"].unique())) if i % 10 == 5]
    marks = base.transform_filter(alt.FieldOneOfPredicate(field="threshold", oneOf=marked)).mark_point(
        size=42, filled=True, opacity=1
    ).encode(shape=style.shape(data["place"]))  # fmt: skip
    headings = ("variant", *(f"above {threshold:.1f}" for threshold in TOLD))
    rows = tuple((names.get(place, ""), *_shares(profiles[profiles["place"] == place])) for place in places)
    return Plot("Profiles", about, fact, style.drawn(bands, lines, marks), headings=headings, rows=rows)


def _shares(rows: pd.DataFrame) -> Iterator[str]:
    """What share of a variant's trials lies above each of the thresholds that are told, with its interval."""
    for threshold in TOLD:
        row = records(rows.iloc[[int((rows["threshold"] - threshold).abs().argmin())]])[0]
        interval = "" if pd.isna(row["low"]) else f" [{row['low']:.0%}, {row['high']:.0%}]"
        yield f"{row['share']:.0%}{interval}"


def _median_of(rows: pd.DataFrame) -> str:
    above = rows[rows["share"] >= 0.5]["threshold"]
    return format_number(above.max()) if len(above) else "0"


def ranks_plot(ranks: MeanRanks, names: Mapping[int, str]) -> Plot:
    """The critical-difference diagram: mean ranks, and a bar beside those that cannot be told apart."""
    order = ranks.order[:MOST]
    labels = [names.get(place, f"variant {place + 1}") for place in order]
    data = pd.DataFrame({"label": labels, "place": order, "rank": [round(rank, 3) for rank in ranks.mean_ranks[:MOST]]})
    bars = [(first, min(last, len(order) - 1)) for first, last in ranks.groups if last > first and first < len(order)]
    told = "differ" if ranks.differ else "do not differ"
    about = (
        f"Mean rank over {ranks.datasets} data sets, 1 is the best. Joined by a bar: less than the critical difference "
        f"of {format_number(ranks.critical_difference)} apart. The variants {told} (p = {format_number(ranks.f_p)})."
    )
    groups = "; ".join(", ".join(labels[first : last + 1]) for first, last in bars)
    fact = f"Mean ranks: {labels[0]} has the lowest, {format_number(ranks.mean_ranks[0])}. " + (
        f"Not told apart: {groups}." if groups else "All are told apart."
    )
    rows = tuple((row["label"], format_number(row["rank"])) for row in records(data))
    specification = _ranks_chart(data, bars)
    return Plot("Critical differences", about, fact, specification, headings=("variant", "mean rank"), rows=rows)


def _ranks_chart(data: pd.DataFrame, bars: Sequence[tuple[int, int]]) -> Spec:
    data = data.assign(short=shortened(data["label"].tolist(), style.LABEL_LETTERS))
    labels = list(dict.fromkeys(data["short"].tolist()))
    y = style.row_names(labels)
    base = alt.Chart(data).encode(
        y=y,
        x=alt.X("rank:Q", title="mean rank", scale=alt.Scale(zero=False, nice=False, padding=12 + 9 * len(bars))),
        color=style.colour(data["place"]),
        tooltip=[alt.Tooltip("label", title="variant"), style.number("rank", "mean rank")],
    )
    layers: list[Any] = [base.mark_point(size=80, filled=True, opacity=1).encode(shape=style.shape(data["place"]))]
    for number, (first, last) in enumerate(bars):
        ends = pd.DataFrame({"short": labels[first : last + 1]})
        line = alt.Chart(ends).mark_line(strokeWidth=4, strokeCap="round", color=style.SOFT)
        layers.append(line.encode(y=y, x=alt.value(alt.ExprRef(f"width - {4 + 9 * number}"))))
    return style.drawn(*layers, height=ROW * len(labels))
