"""Across data sets: which variants do well on all of them, how sure that is, and which cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ganbench.errors import printable
from ganbench.meanranks import MeanRanks, compare_ranks, too_few
from ganbench.normalising import LEFT_OUT_COLUMNS, normalised_runs, typed
from ganbench.resampling import (
    FEWEST,
    Reals,
    Runs,
    bootstrap_improvement,
    bootstrap_mean,
    bootstrap_profile,
    draw,
    interquartile_mean,
)
from ganbench.seedruns import RUN_COLUMNS, VARIANT_KEY
from ganbench.standings import labels
from ganbench.tables import REAL, TEXT, WHOLE, Column

MOST = 24
"""Variants that get intervals, profiles and probabilities: the best ones."""

THRESHOLDS = np.linspace(0, 1, 51)

_PLACE = Column(WHOLE, "row of the variant in `scores`, 0 for the best")

SCORE_COLUMNS: dict[str, Column] = {
    "place": _PLACE,
    "variant": RUN_COLUMNS["variant"],
    "recipe": RUN_COLUMNS["recipe"],
    "label": Column(TEXT, "short name: what tells the variant from the others"),
    "mean": Column(REAL, "interquartile mean of the normalised scores of all its trials, failed ones as 0"),
    "low": Column(REAL, "lower end of its 95 % interval; missing beyond the best 24 and with too few seeds"),
    "high": Column(REAL, "upper end of its 95 % interval; missing in the same cases"),
    "ok": Column(WHOLE, "trials that have a score", "trials"),
    "attempted": Column(WHOLE, "trials on all data sets", "trials"),
}
PROFILE_COLUMNS: dict[str, Column] = {
    "place": _PLACE,
    "threshold": Column(REAL, "a normalised score"),
    "share": Column(REAL, "share of the variant's trials with a normalised score above it"),
    "low": Column(REAL, "lower end of its 95 % interval, for each threshold by itself"),
    "high": Column(REAL, "upper end of its 95 % interval"),
}
IMPROVEMENT_COLUMNS: dict[str, Column] = {
    "place": _PLACE,
    "other": Column(WHOLE, "row of another variant in `scores`, below it"),
    "probability": Column(REAL, "that a trial of the first is better than one of the other, averaged over data sets"),
    "low": Column(REAL, "lower end of its 95 % interval"),
    "high": Column(REAL, "upper end of its 95 % interval"),
}


@dataclass(frozen=True)
class Across:
    """What the results say across data sets; the tables are empty where `reason` says why they say nothing.

    `scores`, `profiles` and `improvements` have the columns of `SCORE_COLUMNS`, `PROFILE_COLUMNS` and
    `IMPROVEMENT_COLUMNS`; of each pair, the better variant comes first. `by_dataset` holds each variant's mean
    normalised score on each data set: a row a place, a column a data set. `ranks` compares these means, its variants
    are places; it is None where `no_ranks` says why. `left_out` names rankings that take no part, with the columns of
    `LEFT_OUT_COLUMNS`. `notes` are sentences that a reader of the numbers must know.
    """

    datasets: tuple[str, ...]
    scores: pd.DataFrame
    profiles: pd.DataFrame
    improvements: pd.DataFrame
    by_dataset: pd.DataFrame
    ranks: MeanRanks | None
    no_ranks: str
    left_out: pd.DataFrame
    notes: tuple[str, ...]
    reason: str = ""


def across(table: pd.DataFrame, ranked: pd.DataFrame) -> Across:
    """The statistics across data sets of the trials in `table`, by the scores that rank `ranked`, a board of it."""
    runs, left_out = normalised_runs(table, ranked)
    runs, apart = _overlapping(runs)
    left_out = pd.concat([left_out, apart], ignore_index=True)
    datasets = tuple(dict.fromkeys(runs["dataset"]))
    common = _common(runs)
    if len(datasets) < 2 or len(common) < 2:
        return _nothing(datasets, left_out, _why_nothing(datasets))
    kept = runs.merge(common, on=VARIANT_KEY)
    by_variant = _by_variant(kept, datasets)
    scores = _scores(kept, by_variant)
    ordered = [by_variant[key] for key in scores[VARIANT_KEY].itertuples(index=False, name=None)]
    names = [" ".join(key) for key in scores[VARIANT_KEY].itertuples(index=False, name=None)][:MOST]
    drawn = [draw(name, trials) for name, trials in zip(names, ordered, strict=False)]
    by_dataset = np.array([[row.mean() for row in trials] for trials in ordered])  # (variants, data sets)
    no_ranks = too_few(len(datasets))
    return Across(
        datasets=datasets,
        scores=_with_intervals(scores, ordered, drawn),
        profiles=typed(list(_profiles(ordered, drawn)), PROFILE_COLUMNS),
        improvements=typed(list(_improvements(ordered, drawn)), IMPROVEMENT_COLUMNS),
        by_dataset=pd.DataFrame(by_dataset, columns=list(datasets)),
        ranks=None if no_ranks else compare_ranks(by_dataset.T),
        no_ranks=no_ranks,
        left_out=left_out,
        notes=tuple(_notes(runs, kept, len(common))),
    )


def _common(runs: pd.DataFrame) -> pd.DataFrame:
    """The variants that were tried on every data set of `runs`."""
    counts = runs.groupby(VARIANT_KEY)["dataset"].nunique()
    return counts[counts == runs["dataset"].nunique()].reset_index()[VARIANT_KEY]


def _overlapping(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`runs` on data sets that share two variants or more, and the data sets that had to go for it.

    One goes at a time: the one without which the others share the most variants, of equals the last.
    """
    gone = []
    while runs["dataset"].nunique() > 2 and len(_common(runs)) < 2:
        datasets = list(dict.fromkeys(runs["dataset"]))[::-1]
        worst = max(datasets, key=lambda name: len(_common(runs[runs["dataset"] != name])))
        rows = runs["dataset"] == worst
        reason = "it shares fewer than two variants with the other data sets"
        gone.append({"dataset": worst, "protocol": runs.loc[rows, "protocol"].iloc[0], "reason": reason})
        runs = runs[~rows]
    return runs, typed(gone, LEFT_OUT_COLUMNS)


def _by_variant(kept: pd.DataFrame, datasets: tuple[str, ...]) -> dict[tuple[str, ...], Runs]:
    """The normalised scores of each variant, a row for each data set."""
    found: dict[tuple[str, ...], dict[str, Reals]] = {}
    for (variant, recipe, dataset), values in kept.groupby([*VARIANT_KEY, "dataset"])["normalised"]:
        found.setdefault((str(variant), str(recipe)), {})[str(dataset)] = values.to_numpy(np.float64)
    return {key: [rows[dataset] for dataset in datasets] for key, rows in found.items()}


def _scores(kept: pd.DataFrame, by_variant: dict[tuple[str, ...], Runs]) -> pd.DataFrame:
    """The variants with their interquartile means, the best first, equals by their means and then by name."""
    grouped = kept.groupby(VARIANT_KEY)
    parts = grouped[["generator", "discriminator", "loss"]].first()
    counts = grouped["value"].agg(ok="count", attempted="size")
    rows = parts.join(counts).reset_index().assign(kind="trial")
    trials = [by_variant[key] for key in rows[VARIANT_KEY].itertuples(index=False, name=None)]
    rows = rows.assign(
        label=labels(rows),
        mean=[interquartile_mean(runs) for runs in trials],
        plain=[float(np.mean([row.mean() for row in runs])) for runs in trials],
    )
    rows = rows.sort_values(["mean", "plain"], ascending=False, kind="stable").reset_index(drop=True)
    return rows.assign(place=np.arange(len(rows)))


def _with_intervals(scores: pd.DataFrame, ordered: list[Runs], drawn: list[list[Reals]]) -> pd.DataFrame:
    found = [bootstrap_mean(*pair) for pair in zip(ordered, drawn, strict=False)]
    open_ends = [np.nan] * (len(scores) - len(found))
    ends = {name: [float(getattr(one, name)) for one in found] + open_ends for name in ("low", "high")}
    return typed(scores.assign(**ends).to_dict("records"), SCORE_COLUMNS)  # type: ignore[arg-type]


def _profiles(ordered: list[Runs], drawn: list[list[Reals]]) -> Iterator[dict[str, Any]]:
    for place, (runs, counts) in enumerate(zip(ordered, drawn, strict=False)):
        share, low, high = bootstrap_profile(runs, counts, THRESHOLDS)
        for row in zip(THRESHOLDS, share, low, high, strict=True):
            yield {"place": place, **dict(zip(("threshold", "share", "low", "high"), map(float, row), strict=True))}


def _improvements(ordered: list[Runs], drawn: list[list[Reals]]) -> Iterator[dict[str, Any]]:
    for one, other in combinations(range(len(drawn)), 2):
        found = bootstrap_improvement(ordered[one], ordered[other], drawn[one], drawn[other])
        names = ("probability", "low", "high")
        yield {"place": one, "other": other, **dict(zip(names, map(float, found), strict=True))}


def _notes(runs: pd.DataFrame, kept: pd.DataFrame, common: int) -> Iterator[str]:
    """What a reader of the numbers must know."""
    if others := len(runs.drop_duplicates(VARIANT_KEY)) - common:
        yield f"{_count(others, 'variant')} of {others + common} left out: not tried on every data set."
    if failed := int(kept["value"].isna().sum()):
        yield f"{_count(failed, 'trial')} of {len(kept)} failed, and counted as 0: as good as noise."
    if over := int((kept["unclipped"] > 1).sum()):
        yield f"{_count(over, 'trial')} scored better than real data, and counted as 1."
    if under := int((kept["unclipped"] < 0).sum()):
        yield f"{_count(under, 'trial')} scored worse than noise, and counted as 0."
    if common > MOST:
        yield f"Of {common} variants, the best {MOST} have intervals, profiles and probabilities of improvement."
    sizes = kept.groupby([*VARIANT_KEY, "dataset"]).size()
    if sizes.min() < FEWEST:
        yield f"A variant with fewer than {FEWEST} seeds on a data set has no intervals."
    if sizes.groupby("dataset").max().nunique() > 1:
        yield "Data sets have different numbers of seeds, and those with more weigh more in the interquartile mean."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number > 1 else ''}"


def _why_nothing(datasets: tuple[str, ...]) -> str:
    if not datasets:
        return "No data set has trials with scores and both references, so there is nothing to put on one scale."
    if len(datasets) == 1:
        return f"Only {printable(datasets[0])} can be put on the scale from noise to real data; across takes two."
    return f"{' and '.join(map(printable, datasets))} share fewer than two variants, so there is nothing to compare."


def _nothing(datasets: tuple[str, ...], left_out: pd.DataFrame, reason: str) -> Across:
    return Across(
        datasets=datasets,
        scores=typed([], SCORE_COLUMNS),
        profiles=typed([], PROFILE_COLUMNS),
        improvements=typed([], IMPROVEMENT_COLUMNS),
        by_dataset=pd.DataFrame(columns=list(datasets), dtype=REAL),
        ranks=None,
        no_ranks=reason,
        left_out=left_out,
        notes=(),
        reason=reason,
    )
