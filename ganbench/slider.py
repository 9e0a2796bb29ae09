"""Boards at smaller budgets, worked out before the page is made: what its slider shows at each of its stops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ganbench.cells import Cells, Scale, rank_bar, scale_of
from ganbench.cuts import Cut, cut
from ganbench.standings import mean_text, rankings, times_compare
from ganbench.statistics import rank_trials
from ganbench.tables import COSTS, score_rules
from ganbench.terms import AXES
from ganbench.views import format_number

MOST_STOPS = 6
"""On each axis, beside the full budget."""

MOST_CELLS = 6_000
"""Rows times stops on all axes: beyond it a page has fewer stops, for it must be made and opened quickly."""

MANY_ROWS = 1_000
"""With more rows only the first axis has stops."""

WIDE = 20.0
"""The ratio of the last recorded point to the first from which stops lie evenly on a logarithmic scale."""

SHARED = 0.25
"""The share of the trials that must have been evaluated at a budget for the slider to stop right there."""

LAST = 0.985
"""The share of the longest trial's budget from which a stop would show the full budget again."""

TIMES = ("device_seconds",)
"""Axes that mean another thing on another device."""

UNUSED = (
    "device_kind", "seeds_together", "driver_reason", "precision", "torch", "ganbench", "python", "plugins", "git",
    "extractor", "weights_sha256", "n_fake", "n_real", "split", "started_at",
)  # fmt: skip
"""Columns of results, beside costs, that neither cuts nor boards look at."""

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
    known = recorded[axis].to_numpy(dtype=float, na_value=np.nan)
    known = known[np.isfinite(known) & (known > 0)]
    if known.size == 0:
        return []
    low, high = float(known.min()), float(known.max())
    shared = [value for value in _shared(known, recorded.groupby(["suite", "key"]).ngroups) if value < LAST * high]
    if shared:
        return [shared[int(place)] for place in np.unique(np.linspace(0, len(shared) - 1, most).round())]
    spaced = np.geomspace if high / low > WIDE else np.linspace
    places = sorted({_rounded(value) for value in spaced(low, high, most + 1)})
    return [value for value in places if value < LAST * high]


def _shared(known: np.ndarray[Any, Any], trials: int) -> list[float]:
    """The budgets at which many trials were evaluated, where trials share such."""
    values, counts = np.unique([_rounded(value) for value in known], return_counts=True)
    return [float(value) for value in values[counts >= SHARED * trials]]


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def slider(table: pd.DataFrame, curves: pd.DataFrame, ranked: pd.DataFrame) -> tuple[Stops, list[Cells]]:
    """The stops, and for each ranking of `ranked`, a board, by axis what its rows show at each stop.

    A row's cells are those of `row_at`, None where it is not ranked or was not recorded that far. An axis is None where
    the rows' budgets cannot be compared on it.
    """
    sections = rankings(ranked)
    scores = list(dict.fromkeys(name for name in ranked["score"] if name))
    curves = curves.replace([np.inf, -np.inf], np.nan)  # no budget lies between points without end
    table = _needed(table)
    stops = stops_of(curves, scores, len(ranked))
    scales = [scale_of(ranking) for ranking in sections]
    shown: list[Cells] = [{} for _ in sections]
    for axis, values in stops.items():
        comparable = [axis not in TIMES or times_compare(table, ranking) for ranking in sections]
        places = [_place(ranking) for ranking, told in zip(sections, comparable, strict=True) if told]
        cuts = [_ranked_at(table, curves, Cut(axis, value), places) for value in values]
        for cells, ranking, scale, told in zip(shown, sections, scales, comparable, strict=True):
            cells[axis] = [_at(ranking, boards.get(_place(ranking)), scale) for boards in cuts] if told else None
    return stops, shown


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


def _at(ranking: pd.DataFrame, there: Sequence[Cells] | None, scale: Scale | None) -> list[list[Any] | None]:
    """For each row of `ranking` what it shows where its trials are ranked as `there`."""
    if there is None:
        return [None] * len(ranking)
    above = int((ranking["kind"] == "trial").argmax())  # references
    rows = [row for row in there if not math.isnan(row["mean"])]
    found = {
        (row["variant"], row["recipe"]): row_at(row, above + place, len(rows), scale) for place, row in enumerate(rows)
    }
    keys = zip(ranking["kind"], ranking["variant"], ranking["recipe"], strict=True)
    return [found.get((variant, recipe)) if kind == "trial" else None for kind, variant, recipe in keys]


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
