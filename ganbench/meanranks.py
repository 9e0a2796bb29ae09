"""Mean ranks over data sets, the test of whether they differ at all, and how far apart they must lie.

Demšar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006) 1-30, §3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

Reals = np.ndarray[Any, np.dtype[np.float64]]

LEVEL = 0.05
FEWEST = 6
"""Data sets below which even a variant that wins on all of them is not separable from another at `LEVEL`."""


@dataclass(frozen=True)
class MeanRanks:
    """Mean ranks and what may be said of them.

    `order` lists the variants, by their column, from the lowest mean rank to the highest; `mean_ranks` stands in that
    order, 1 for one that is the best everywhere. `chi_squared` is Friedman's statistic, corrected for ties, and `f` is
    Iman and Davenport's, the less cautious of the two, by which `differ` is decided. Two variants are separable where
    their mean ranks are `critical_difference` or more apart (Nemenyi). `groups` are the first and last positions in
    `order` of the largest sets that are not separable: the bars of a diagram. Where the variants do not `differ`, one
    group holds all.
    """

    order: tuple[int, ...]
    mean_ranks: tuple[float, ...]
    datasets: int
    chi_squared: float
    chi_squared_p: float
    f: float
    f_p: float
    critical_difference: float
    differ: bool
    groups: tuple[tuple[int, int], ...]


def compare_ranks(scores: Reals) -> MeanRanks:
    """What the ranks of `scores` say: (data sets, variants), higher is better. Takes 2 or more of each."""
    count, variants = scores.shape
    if count < 2 or variants < 2:
        raise ValueError(f"ranks are compared over 2 or more data sets and variants, got {count} and {variants}")
    ranks = stats.rankdata(-scores, axis=1)  # ties share the mean of their ranks
    means = ranks.mean(axis=0)
    order = np.argsort(means, kind="stable")
    chi_squared = _friedman(ranks)
    f = _iman_davenport(chi_squared, count, variants)
    freedom = variants - 1
    f_p = float(stats.f.sf(f, freedom, freedom * (count - 1)))
    critical = critical_difference(count, variants)
    groups = unseparated(means[order], critical) if f_p <= LEVEL else ((0, variants - 1),)
    return MeanRanks(
        tuple(order.tolist()), tuple(means[order].tolist()), count,
        chi_squared, float(stats.chi2.sf(chi_squared, freedom)), f, f_p,
        critical, f_p <= LEVEL, groups,
    )  # fmt: skip


def too_few(count: int) -> str:
    """Why there is no critical difference with so many data sets; empty where there are enough."""
    if count >= FEWEST:
        return ""
    told = f"a critical difference takes {FEWEST} or more data sets, and there {'is' if count == 1 else 'are'} {count}"
    if count == 0:
        return f"{told}."
    p = 2 / 2**count
    return (
        f"{told}: with {count}, even a variant that is better than another on every one of them has a two-sided "
        f"p of 2/2^{count} = {min(p, 1):.4g} in the sign test and in Wilcoxon's, which is above {LEVEL}."
    )


def critical_difference(count: int, variants: int) -> float:
    """How far apart two mean ranks over `count` data sets must lie: Nemenyi's test (Demšar, §3.2.2)."""
    quantile = float(stats.studentized_range.ppf(1 - LEVEL, variants, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(variants * (variants + 1) / (6 * count))


def unseparated(mean_ranks: Reals, critical: float) -> tuple[tuple[int, int], ...]:
    """The largest runs of two or more `mean_ranks`, which rise, that span less than `critical`: first and last."""
    ends = np.searchsorted(mean_ranks, mean_ranks + critical * (1 - 1e-12), side="left") - 1
    ends = np.maximum(ends, np.arange(len(mean_ranks)))
    longer = np.concatenate([[True], ends[1:] > ends[:-1]])  # what ends no further lies within the run before
    return tuple((first, int(last)) for first, last in enumerate(ends) if longer[first] and last > first)


def _friedman(ranks: Reals) -> float:
    """Friedman's statistic of `ranks` (data sets, variants), divided by what ties take from its variance."""
    count, variants = ranks.shape
    means = ranks.mean(axis=0)
    spread = 12 * count / (variants * (variants + 1)) * float(((means - (variants + 1) / 2) ** 2).sum())
    free_of_ties = float(ranks.var(axis=1).mean()) / ((variants**2 - 1) / 12)
    return spread / free_of_ties if free_of_ties else 0.0


def _iman_davenport(chi_squared: float, count: int, variants: int) -> float:
    left = count * (variants - 1) - chi_squared
    return (count - 1) * chi_squared / left if left > 1e-9 * count else math.inf
