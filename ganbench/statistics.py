"""From trials to a board: means over seeds with their intervals, and ranks that admit what cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import pandas as pd
from scipy import stats

from ganbench.comparisons import order, shared_matrix
from ganbench.errors import ResultsError, suggest
from ganbench.tables import COLUMNS, REAL, TEXT, WHOLE, Column, noise_column, score_rules, scores_of
from ganbench.terms import AXES

Mean = Literal["geometric", "arithmetic"]

CONFIDENCE = 0.95
ENOUGH_SEEDS = 5
"""With fewer, what a row says is provisional."""

ROOM = 1e150
"""Numbers below it have squares that can be added up."""

BOARD_COLUMNS: dict[str, Column] = {
    "dataset": Column(TEXT, "dataset with the parameters that were set"),
    "protocol": Column(TEXT, "hash of all that rows must share to be ranked together"),
    "budget": Column(TEXT, "limits of the budget"),
    "conditions": COLUMNS["conditions"],
    "kind": Column(TEXT, "trial; reference, or evaluated: measured, never ranked"),
    "rank": Column(
        TEXT,
        "rank, or the range that the seeds leave open; a dash where every trial failed, empty if not trained",
    ),
    "rank_low": Column(WHOLE, "1 + how many variants are better, decided by the seeds"),
    "rank_high": Column(WHOLE, "how many variants are not decided to be worse, itself among them"),
    "provisional": Column("boolean", f"whether fewer than {ENOUGH_SEEDS} seeds were tried; missing if not trained"),
    "variant": Column(TEXT, "generator / discriminator / loss; the name of what was not trained"),
    "generator": Column(TEXT, "generator with the parameters that were set; what an evaluated row came as"),
    "discriminator": Column(TEXT, "discriminator with the parameters that were set"),
    "loss": Column(TEXT, "loss and what is added to it, with the parameters that were set"),
    "training": Column(TEXT, "training settings that differ from ganbench's own"),
    "recipe": COLUMNS["recipe"],
    "score": Column(TEXT, "name of the score that ranks"),
    "direction": Column(TEXT, "which scores are better: lower or higher"),
    "mean_rule": Column(TEXT, "how seeds are averaged: geometric or arithmetic"),
    "mean": Column(REAL, "mean over the seeds that have a score"),
    "low": Column(REAL, "lower end of the mean's 95 % interval; missing with one seed"),
    "high": Column(REAL, "upper end of the mean's 95 % interval; missing with one seed"),
    "metric_noise": Column(
        REAL, "the score's own deviation over other samples, the median over these seeds; missing where not estimated"
    ),
    "values": Column("object", "the score of each of these seeds, a tuple in the order of the seeds"),
    "seeds": Column("object", "which seeds these are, a tuple; empty if not trained"),
    "ok": Column(WHOLE, "seeds that have a score", "seeds"),
    "attempted": Column(WHOLE, "seeds that were tried", "seeds"),
    **{axis: Column(REAL, f"median {axis} over these seeds") for axis in AXES},
    "images_per_second": Column(REAL, "median training speed over these seeds", "1/s"),
    "real_floor": Column(REAL, "the score of real training data, the same for the whole ranking"),
    "perfect": Column(REAL, "the score of new samples of the known density, the same for the whole ranking"),
    "noise": Column(REAL, "the score of noise, the same for the whole ranking"),
}
"""A board's columns. The median of each score over the seeds, `median_<score>`, stands behind them."""

_LABELS = ["dataset", "protocol", "budget", "generator", "discriminator", "loss", "training"]
_MEDIANS = [*AXES, "images_per_second"]


_UNSCORED = ""
"""Ranks where nothing was measured: every trial failed."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Summary:
    """A mean over `n` seeds with its 95 % interval. The ends are NaN for fewer than two seeds, the mean for none."""

    mean: float
    low: float
    high: float
    n: int


def summarise(values: Sequence[float], mean: Mean) -> Summary:
    """The mean of `values` and its t-interval: of their logarithms for the geometric mean, which takes values > 0."""
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    if n == 0:
        return Summary(np.nan, np.nan, np.nan, 0)
    if mean == "geometric" and sample.min() <= 0:
        raise ValueError(f"a geometric mean takes values above 0, got {sample.min()}")
    scaled = np.log(sample) if mean == "geometric" else sample
    unit = _unit(scaled)
    centre, margin = float((scaled / unit).mean()) * unit, _margin(scaled / unit) * unit
    if mean == "arithmetic":
        return Summary(centre, centre - margin, centre + margin, n)
    with np.errstate(over="ignore"):  # seeds that lie very far apart leave the upper end open: it is infinite
        low, high = np.exp(centre - margin), np.exp(centre + margin)
    return Summary(float(np.exp(centre)), float(low), float(high), n)


def _unit(sample: np.ndarray[Any, Any]) -> float:
    """What to count in, 1 but where squares would be beyond float64: then a power of two, which rounds nothing."""
    largest = float(np.abs(sample).max())
    return 1.0 if largest < ROOM else 2.0 ** (math.frexp(largest)[1] - 1)


def _margin(sample: np.ndarray[Any, Any]) -> float:
    """Half the width of the t-interval: Student, The probable error of a mean, Biometrika 6 (1908)."""
    n = len(sample)
    if n < 2:
        return float("nan")
    return _quantile(n - 1) * float(sample.std(ddof=1)) / math.sqrt(n)


@cache
def _quantile(freedom: int) -> float:
    """The two-sided quantile of Student's distribution."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def board(table: pd.DataFrame, score: str | None = None) -> pd.DataFrame:
    """Variants ranked by `score`, for each dataset and protocol by itself; by default its first score.

    Takes a table of `load_results`. A variant counts with its recipe. One whose seeds all have a score ranks before any
    that failed; those go by the share of seeds that did not fail. Within a share, one variant is better than another
    where their shared seeds decide it (`comparisons.order`); variants that share one seed cannot be told apart.
    In each ranking the rows `real_floor` and `perfect` come first, what was only evaluated after the variants, by its
    score, and `noise` last; none of these is ranked. What was evaluated where nothing like it was trained makes a
    ranking of its own.
    Raises ResultsError where nothing was measured by `score`.
    """
    rules = score_rules(table)
    if score is not None and score not in rules:
        raise ResultsError(f"no score '{score}' in these results.{suggest(score, rules)}")
    plain = table.assign(**{_UNSCORED: np.nan})
    plain.attrs = {}  # pandas copies them at every step
    rows: list[Row] = []
    for (dataset, _), group in _competing(plain).groupby(["dataset", "protocol"], sort=True):
        names = scores_of(group, table.attrs["measured"], str(dataset))
        name = score or next(iter(names), _UNSCORED)
        if name == _UNSCORED or name in names:
            rows += _ranking(_beside(plain, group), name, rules.get(name), names)
    medians = [f"median_{name}" for name in rules]
    kinds = {name: column.dtype for name, column in BOARD_COLUMNS.items()} | dict.fromkeys(medians, REAL)
    return pd.DataFrame(rows, columns=[*BOARD_COLUMNS, *medians]).astype(kinds)


def once(group: pd.DataFrame) -> pd.DataFrame:
    """Each seed of a variant once, as it ran last: the same trial may lie in several suites' folders."""
    rows = _by_end(group)
    return rows.drop_duplicates(["variant", "recipe", "seed"], keep="last").sort_values("seed", kind="stable")


def _by_end(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as they ended, in one order whatever theirs was; first those that do not tell when."""
    return rows.sort_values(["finished_at", "suite", "key", "attempt"], na_position="first", kind="stable")


def _competing(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that make rankings: trials, and what was evaluated where no trial was measured alike."""
    trials = table[table["kind"] == "trial"]
    alone = ~table["evaluation_protocol"].isin(trials["evaluation_protocol"])
    return pd.concat([trials, table[_is_evaluated(table) & alone]])


def _is_evaluated(table: pd.DataFrame) -> pd.Series[bool]:
    """A mask: what was evaluated with success. Where that failed, there is nothing to show."""
    return (table["kind"] == "evaluated") & (table["status"] == "ok")


class _Rows(NamedTuple):
    """What stands in one ranking, each a part of the table; `first` is a row whose protocol is everyone's."""

    first: pd.Series[Any]
    trials: pd.DataFrame
    evaluated: pd.DataFrame
    references: pd.DataFrame


def _beside(table: pd.DataFrame, group: pd.DataFrame) -> _Rows:
    """The trials of `group`, and all that was measured as they were: of a reference the one measured last."""
    same = table[table["evaluation_protocol"].isin(group["evaluation_protocol"])]
    references = _by_end(same[same["kind"] == "reference"])
    return _Rows(
        group.iloc[0],
        once(group[group["kind"] == "trial"]),
        once(same[_is_evaluated(same)]),
        references.drop_duplicates("variant", keep="last"),
    )


def _ranking(rows: _Rows, score: str, rule: dict[str, str] | None, names: list[str]) -> Iterator[Row]:
    """The rows of one ranking: real data, the perfect sampler, variants, what was only evaluated, noise."""
    direction = rule["direction"] if rule else "lower"
    mean = _mean_of(rows.trials, score, rule)
    ranked = _ranked(_summary_rows(rows.trials, score, mean, names), direction, mean)
    evaluated = _by_score(_summary_rows(rows.evaluated, score, "arithmetic", names), direction)
    found = {row["variant"]: row for row in _summary_rows(rows.references, score, "arithmetic", names)}
    shared = {
        **{name: rows.first[name] for name in ("dataset", "protocol", "budget", "conditions")},
        "score": score, "direction": direction, "mean_rule": mean,
        **{name: found[name]["mean"] for name in ("real_floor", "perfect", "noise") if name in found},
    }  # fmt: skip
    floor, perfect, noise = ([found[name]] if name in found else [] for name in ("real_floor", "perfect", "noise"))
    for row in (*floor, *perfect, *ranked, *evaluated, *noise):
        yield row | shared


def rank_trials(trials: pd.DataFrame, score: str, rule: dict[str, str]) -> list[Row]:
    """The rows of one ranking's trials as `board` has them, the best first, without references and other scores.

    `rule` is the score's, as `score_rules` tells.
    """
    rows = once(trials)
    mean = _mean_of(rows, score, rule)
    return _ranked(_summary_rows(rows, score, mean, []), rule["direction"], mean)


def _mean_of(trials: pd.DataFrame, score: str, rule: dict[str, str] | None) -> Mean:
    """How seeds are averaged: arithmetically also where a value is not positive."""
    positive = bool((trials[score].dropna() > 0).all())
    return "geometric" if positive and rule and rule["mean"] == "geometric" else "arithmetic"


def _by_score(rows: list[Row], direction: str) -> list[Row]:
    """`rows`, the best first, those without a score last."""
    sign = 1 if direction == "lower" else -1
    return sorted(rows, key=lambda row: math.inf if math.isnan(row["mean"]) else sign * row["mean"])


def _summary_rows(rows: pd.DataFrame, score: str, mean: Mean, names: list[str]) -> list[Row]:
    """Each variant's row but for its rank. A seed without a score has failed, whatever its status."""
    by = ["variant", "recipe"]
    labels = rows.groupby(by)[[*_LABELS, "kind"]].first()
    attempted = rows.groupby(by).size()
    finished = rows[rows[score].notna()]
    good = finished.groupby(by)
    medians = good[[*_MEDIANS, *names]].median().rename(columns={name: f"median_{name}" for name in names})
    if (own := noise_column(score)) in rows:
        medians["metric_noise"] = good[own].median()
    found = _by_variant(finished, score)
    told = cast("list[Row]", labels.assign(attempted=attempted).join(medians).reset_index().to_dict("records"))
    keys = [(row["variant"], row["recipe"]) for row in told]
    cells = (_mean_cells(found.get(key, []), mean) for key in keys)
    return [{**row, **own} for row, own in zip(told, cells, strict=True)]


def _by_variant(rows: pd.DataFrame, score: str) -> dict[tuple[str, str], list[tuple[int | None, float]]]:
    """The seeds and scores of each variant with its recipe, in the order of the rows; no seed of what has none."""
    found: dict[tuple[str, str], list[tuple[int | None, float]]] = {}
    seeds = (None if pd.isna(seed) else int(seed) for seed in rows["seed"])
    for variant, recipe, seed, value in zip(rows["variant"], rows["recipe"], seeds, rows[score].tolist(), strict=True):
        found.setdefault((variant, recipe), []).append((seed, value))
    return found


def _mean_cells(scored: Sequence[tuple[int | None, float]], mean: Mean) -> Row:
    values = tuple(value for _, value in scored)
    summary = summarise(values, mean)
    return {
        "seeds": tuple(seed for seed, _ in scored if seed is not None),
        "mean": summary.mean,
        "low": summary.low,
        "high": summary.high,
        "values": values,
        "ok": summary.n,
        "rank": "",
    }


def _ranked(rows: list[Row], direction: str, mean: Mean) -> list[Row]:
    """`rows` with their ranks, the best first."""
    if not rows:
        return []
    sign = 1 if direction == "lower" else -1
    share = np.array([row["ok"] / row["attempted"] for row in rows])
    scores = shared_matrix([dict(zip(row["seeds"], row["values"], strict=True)) for row in rows], mean)
    better = (share[:, None] > share) | order(scores, direction, share)  # (variants, variants): row better than column
    lows, highs = 1 + better.sum(axis=0), len(rows) - better.sum(axis=1)
    for row, low, high in zip(rows, lows, highs, strict=True):
        text = f"{low}" if low == high else f"{low}–{high}"
        row |= {"rank_low": low, "rank_high": high, "rank": text if share.any() else "–"}  # nothing measured, no rank
        row["provisional"] = row["attempted"] < ENOUGH_SEEDS
    means = np.array([sign * row["mean"] for row in rows])
    return [rows[i] for i in np.lexsort((means, -share))]  # stable: equals stay in the order of their names
