"""Boards at smaller budgets, worked out before the page is made: what its slider shows at each of its stops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress
from typing import Any, Literal

import numpy as np
import pandas as pd

from ganbench.cells import Cells, Scale, rank_bar, scale_of
from ganbench.cuts import Cut, cut
from ganbench.standings import mean_text, rankings, times_compare, trials_of
from ganbench.statistics import rank_trials
from ganbench.tables import COSTS, score_rules
from ganbench.terms import AXES
from ganbench.views import format_number

MOST_STOPS = 6
"""On each axis, beside the full budget."""

MOST_CELLS = 4_000
"""Rows times stops on all axes: beyond it a page has fewer stops, for it must be made and opened quickly."""

MANY_ROWS = 1_000
"""With more rows only the first axis has stops."""

WIDE = 20.0
"""The ratio of the last recorded point to the first from which stops lie evenly on a logarithmic scale."""

SHARED = 0.25
"""The share of the trials that must have been evaluated at a budget for the slider to stop right there."""

NEAR = 1.01
"""The ratio up to which budgets count as the same: trials end with a whole update, so theirs differ a little."""

LAST = 0.985
"""The share of the longest trial's budget from which a stop would show the full budget again."""

TIMES = ("device_seconds",)
"""Axes that mean another thing on another device."""

UNUSED = (
    "device_kind", "seeds_together", "driver_reason", "precision", "torch", "ganbench", "python", "plugins", "git",
    "extractor", "weights_sha256", "n_fake", "n_real", "split", "started_at",
)  # fmt: skip
"""Columns of results, beside costs, that neither cuts nor boards look at."""

ENOUGH = 0.5
"""The share of the variants with a score that must have been recorded at a stop for it to rank any."""

SOONER: Literal[0] = 0
"""What a row shows whose trials had all ended before a stop; None is a row that was not recorded until later."""

Place = tuple[str, str, str]
Stops = dict[str, list[float]]


def stops_of(curves: pd.DataFrame, scores: Sequence[str], rows: int) -> Stops:
    """Where the slider stops on each axis before the full budget: at most `MOST_STOPS` places, fewer for many rows.

    `scores` are those that rank. Where few budgets were recorded, the stops are these.
    """
    axes = AXES if rows <= MANY_ROWS else AXES[:1]
    most = max(min(MOST_STOPS, MOST_CELLS // (max(rows, 1) * len(axes))), 1)
    found = {axis: _places(curves, axis, [score for score in scores if score in curves], most) for axis in axes}
    return {axis: values for axis, values in found.items() if values}


def _places(curves: pd.DataFrame, axis: str, scores: Sequence[str], most: int) -> list[float]:
    if not scores or axis not in curves:
        return []
    recorded = curves[curves[scores].notna().any(axis=1)]
    points = recorded[["suite", "key"]].assign(at=recorded[axis].to_numpy(dtype=float, na_value=np.nan))
    points = points[np.isfinite(points["at"]) & (points["at"] > 0)]
    if points.empty:
        return []
    trials = points.groupby(["suite", "key"])["at"]
    high = float(points["at"].max())
    shared = [value for value in _shared(points["at"], trials.ngroups) if value < LAST * high]
    if shared:
        return [shared[int(place)] for place in np.unique(np.linspace(0, len(shared) - 1, most).round())]
    low = float(trials.min().max())  # where the last trial begins: below it rows are missing
    low = low if low < LAST * high else float(points["at"].min())
    spaced = np.geomspace if high / low > WIDE else np.linspace
    places = {rounded(value): float(value) for value in spaced(low, high, most + 1)}
    return [value for value in sorted(places.values()) if value < LAST * high]


def _shared(known: pd.Series[float], trials: int) -> list[float]:
    """The budgets at which many trials were evaluated, where trials share such; of nearly equal ones the largest.

    At the largest no trial of them has yet to be evaluated.
    """
    shared, values = [], np.sort(known.to_numpy())
    while values.size:
        near = values[values <= NEAR * values[0]]
        shared += [float(near[-1])] if near.size >= SHARED * trials else []
        values = values[near.size :]
    return shared


def rounded(value: float) -> float:
    """The value as a stop is called: three digits of it."""
    return float(f"{value:.3g}")


def slider(table: pd.DataFrame, curves: pd.DataFrame, ranked: pd.DataFrame) -> tuple[Stops, list[Cells]]:
    """The stops, and for each ranking of `ranked`, a board, by axis what its rows show at each stop.

    A row's cells are those of `row_at`; `SOONER` where its trials had ended by then, None where it is not ranked or was
    not recorded until later. A stop is None where most variants are missing, for a rank among few would say little, and
    an axis where the rows' budgets cannot be compared on it. Stops with nothing to show are left out.
    """
    sections = rankings(ranked)
    scores = list(dict.fromkeys(name for name in ranked["score"] if name))
    curves = curves.replace([np.inf, -np.inf], np.nan)  # no budget lies between points without end
    table = _needed(table)
    scales = [scale_of(ranking) for ranking in sections]
    shown: list[Cells] = [{} for _ in sections]
    kept: Stops = {}
    for axis, values in stops_of(curves, scores, len(ranked)).items():
        comparable = [axis not in TIMES or times_compare(table, ranking) for ranking in sections]
        places = [_place(ranking) for ranking, told in zip(sections, comparable, strict=True) if told]
        cuts = [Cut(axis, value) for value in values]
        boards = [_ranked_at(table, curves, at, places) for at in cuts]
        found = [
            [_at(ranking, there.get(_place(ranking), []), at, scale) for there, at in zip(boards, cuts, strict=True)]
            for ranking, scale in zip(sections, scales, strict=True)
        ]
        telling = [any(stops) for stops in zip(*found, strict=True)]
        if any(telling):
            kept[axis] = list(compress(values, telling))
            for cells, stops, told in zip(shown, found, comparable, strict=True):
                cells[axis] = list(compress(stops, telling)) if told else None
    return kept, shown


def _needed(table: pd.DataFrame) -> pd.DataFrame:
    """`table` without what neither a cut nor a board looks at: each of many cuts would copy it."""
    slim = table.drop(columns=[name for name in (*COSTS, *UNUSED) if name != "images_per_second"])
    slim.attrs = table.attrs
    return slim


def _ranked_at(table: pd.DataFrame, curves: pd.DataFrame, at: Cut, places: Sequence[Place]) -> dict[Place, list[Cells]]:
    """The ranked rows at a budget, the best first, of those of `places` that were recorded there."""
    if not places:
        return {}
    rules = score_rules(table)
    known, _ = cut(table, curves, at)
    known["protocol"] = table["protocol"].reindex(known.index)  # which the cut has renamed: here it names the board
    trials = dict(list(known[known["kind"] == "trial"].groupby(["dataset", "protocol"])))
    there = [place for place in places if place[:2] in trials and place[2]]
    return {place: rank_trials(trials[place[:2]], place[2], rules[place[2]]) for place in there}


def _place(ranking: pd.DataFrame) -> Place:
    """The data set, the protocol and the score of a ranking."""
    first = ranking.iloc[0]
    return str(first["dataset"]), str(first["protocol"]), str(first["score"])


def _at(
    ranking: pd.DataFrame, there: Sequence[Cells], at: Cut, scale: Scale | None
) -> list[list[Any] | Literal[0] | None] | None:
    """For each row of `ranking` what it shows at a budget where its trials are ranked as `there`."""
    above = int((ranking["kind"] == "trial").argmax())  # references
    rows = [row for row in there if not math.isnan(row["mean"])]
    if not rows or len(rows) < ENOUGH * trials_of(ranking)["mean"].notna().sum():
        return None
    found: dict[tuple[str, str], list[Any] | Literal[0]] = {
        (row["variant"], row["recipe"]): row_at(row, above + place, len(rows), scale) for place, row in enumerate(rows)
    }
    ended = (ranking["kind"] == "trial") & (ranking[at.axis] < at.value)  # references have no budget
    keys = zip(ranking["variant"], ranking["recipe"], ended, strict=True)
    return [found.get((variant, recipe)) or (SOONER if sooner else None) for variant, recipe, sooner in keys]


def row_at(row: Cells, place: int, ranked: int, scale: Scale | None) -> list[Any]:
    """What changes in a row with the budget.

    Its place, then as text rank, mean, interval and seeds; the mean; the bar of the rank; low, mean and high on the
    scale of the strip, None where the mean lies beyond its ends.
    """
    mean, low, high = (float(row[name]) for name in ("mean", "low", "high"))
    interval = "" if math.isnan(low) else f"[{format_number(low)}, {format_number(high)}]"
    ranks = rank_bar(row, ranked)
    inside = scale is not None and scale.holds(mean)
    ends = [low, mean, high] if not math.isnan(low) else [mean] * 3
    strip = [scale.place(value) for value in ends] if scale and inside else None
    known = float(f"{mean:.6g}") if math.isfinite(mean) else None
    seeds = f"{row['ok']}/{row['attempted']}"
    return [place, row["rank"], mean_text(row), interval, seeds, known, ranks, strip]
