"""Scores of different data sets on one scale: 0 is noise, 1 is real data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from ganbench.seedruns import RUN_COLUMNS, seed_runs
from ganbench.standings import rankings, trials_of
from ganbench.tables import REAL, TEXT, Column

NORMALISED_COLUMNS: dict[str, Column] = {
    "dataset": RUN_COLUMNS["dataset"],
    "protocol": RUN_COLUMNS["protocol"],
    "variant": RUN_COLUMNS["variant"],
    "recipe": RUN_COLUMNS["recipe"],
    "generator": RUN_COLUMNS["generator"],
    "discriminator": RUN_COLUMNS["discriminator"],
    "loss": RUN_COLUMNS["loss"],
    "seed": RUN_COLUMNS["seed"],
    "value": RUN_COLUMNS["value"],
    "score": Column(TEXT, "name of the score that ranks"),
    "scale": Column(TEXT, "what is linear between noise and real data: the score's log, or the score"),
    "unclipped": Column(REAL, "where the score lies between noise and real data; missing where there is none"),
    "normalised": Column(REAL, "the same, from 0 to 1: beyond the ends as at the ends, 0 where there is none"),
}

LEFT_OUT_COLUMNS: dict[str, Column] = {
    "dataset": RUN_COLUMNS["dataset"],
    "protocol": RUN_COLUMNS["protocol"],
    "reason": Column(TEXT, "why this ranking takes no part"),
}

OTHER_RANKING = "another ranking of this data set has more variants"


def typed(rows: list[dict[str, Any]], columns: dict[str, Column]) -> pd.DataFrame:
    """`rows` as a table of `columns`."""
    return pd.DataFrame(rows, columns=list(columns)).astype({name: column.dtype for name, column in columns.items()})


def normalised_runs(table: pd.DataFrame, ranked: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials of `table` on the scale from noise to real data, and the rankings of `ranked` that have no scale.

    `ranked` is a board of `table`; columns are those of `NORMALISED_COLUMNS` and of `LEFT_OUT_COLUMNS`. Of a data set
    with several rankings, the one with the most variants takes part.
    """
    found, left_out, taken = [], [], _fullest(ranked)
    for number, ranking in enumerate(rankings(ranked)):
        reason = why_no_scale(ranking) or (
            "" if number in taken else "another ranking of this data set has more variants"
        )
        if reason:
            first = ranking.iloc[0]
            left_out.append({"dataset": first["dataset"], "protocol": first["protocol"], "reason": reason})
        else:
            found.append(_normalised(seed_runs(table, ranking), ranking.iloc[0]))
    runs = pd.concat(found, ignore_index=True) if found else typed([], NORMALISED_COLUMNS)
    return runs, typed(left_out, LEFT_OUT_COLUMNS)


def why_no_scale(ranking: pd.DataFrame) -> str:
    """Why the scores of `ranking` cannot be normalised; empty where they can."""
    if trials_of(ranking).empty:
        return "nothing was trained on it"
    first = ranking.iloc[0]
    if trials_of(ranking)["mean"].isna().all():
        return "no trial has a score"
    missing = [said for name, said in (("real_floor", "real data"), ("noise", "noise")) if math.isnan(first[name])]
    if missing:
        return f"no {first['score']} of {' and of '.join(missing)} was measured"
    sign = 1 if first["direction"] == "lower" else -1
    if sign * (first["noise"] - first["real_floor"]) <= 0:
        return f"by {first['score']}, noise is as good as real data"
    return ""


def between(values: Any, noise: float, floor: float, logarithmic: bool) -> Any:
    """Where `values` lie between `noise`, 0, and `floor`, 1: by their logs, or as they are."""
    if not logarithmic:
        return (noise - values) / (noise - floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (math.log(noise) - np.log(values)) / (math.log(noise) - math.log(floor))


def _fullest(ranked: pd.DataFrame) -> set[int]:
    """Of each data set, the number of the ranking with the most variants among those that have a scale."""
    best: dict[str, tuple[int, int]] = {}
    for number, ranking in enumerate(rankings(ranked)):
        dataset, size = str(ranking["dataset"].iloc[0]), len(trials_of(ranking))
        if not why_no_scale(ranking) and (dataset not in best or size > best[dataset][1]):
            best[dataset] = (number, size)
    return {number for number, _ in best.values()}


def _normalised(runs: pd.DataFrame, first: pd.Series[Any]) -> pd.DataFrame:
    """`runs` of one ranking, with their place on the scale; `first` is any row of the ranking."""
    noise, floor = float(first["noise"]), float(first["real_floor"])
    logarithmic = bool(first["mean_rule"] == "geometric" and noise > 0 and floor > 0)
    place = between(runs["value"].to_numpy(), noise, floor, logarithmic)
    runs = runs.assign(
        score=first["score"], scale="log" if logarithmic else "linear",
        unclipped=place, normalised=np.nan_to_num(place.clip(0, 1), nan=0.0),
    )  # fmt: skip
    return runs[list(NORMALISED_COLUMNS)].astype({name: column.dtype for name, column in NORMALISED_COLUMNS.items()})
