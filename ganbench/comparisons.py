"""Which of several variants differ, judged by the seeds that they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganbench.multiplicity import holm

LEVEL = 0.05
"""How often a ranking of variants that do not differ may say of any two that they do."""

POWER = 0.8
FARTHEST = 300.0
"""A t-statistic as large as any: the noncentral distribution is not computed well beyond."""

MOST_SEEDS = 1_000
"""More seeds than that are not counted."""

PRIOR_WEIGHT = 0.5
"""How much the spread of the other pairs counts: half of what would suit equal spreads best, see decision 0018."""

LEAST_SPREAD = 1e-5
"""Variances count as at least that share of their median where their distribution is looked at: none has a logarithm
of minus infinity, as after seeds that all came to the same."""

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What the pairs of a ranking say together of how seeds differ: a variance, and how many degrees of freedom it is
    worth.
    """

    variance: float
    freedom: float


NOTHING_KNOWN = Prior(0.0, 0.0)


@dataclass(frozen=True)
class Pairs:
    """Differences of variants, first minus second, over the seeds that both have; all arrays are of shape (pairs,).

    `mean` is the mean difference, `error` its standard error with `freedom` degrees of freedom, `spread` the deviation
    of a difference between seeds, `p` the two-sided probability of so large a difference if there were none. All but
    `seeds` are NaN for pairs that share fewer than two seeds, and where no seed differs from another there is no `p`.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    seeds: NDArray[np.intp]
    mean: Vector
    spread: Vector
    freedom: Vector
    p: Vector

    @property
    def error(self) -> Vector:
        """The standard error of the mean difference."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.spread / np.sqrt(self.seeds)

    def intervals(self, level: float = LEVEL) -> tuple[Vector, Vector]:
        """The ends of each mean difference's interval at 1 - `level`."""
        from scipy.special import stdtrit

        margin = stdtrit(self.freedom, 1 - level / 2) * self.error
        return self.mean - margin, self.mean + margin


class Differences(NamedTuple):
    """Of each pair: the seeds that both have, the mean difference over them, the sum of squares around it."""

    seeds: NDArray[np.intp]
    mean: Vector
    squares: Vector


def compare(values: Matrix, pairs: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None) -> Pairs:
    """All pairs of variants, or those asked for, by paired t-tests whose variances learn from each other.

    `values` is of shape (variants, seeds), NaN where a variant has no score for a seed: logarithms where ratios are to
    be judged. Student, Biometrika 6 (1908); variances moderated as by Smyth, Statistical Applications in Genetics and
    Molecular Biology 3 (2004), but with half of the prior's weight, and never below a pair's own.
    """
    first, second = map(np.asarray, pairs if pairs is not None else np.triu_indices(len(values), 1))
    return _tested(first, second, _differences(values, first, second), prior_of(values))


def prior_of(values: Matrix) -> Prior:
    """What all pairs of variants say together of how seeds differ: nothing where there are fewer than three."""
    return _prior(values, _differences(values, *_comparable(values)))


def _prior(values: Matrix, differences: Differences) -> Prior:
    """The same, of the differences between all pairs that can be compared."""
    if len(values) < 3:
        return NOTHING_KNOWN
    known = (differences.seeds > 1) & np.isfinite(differences.squares)
    freedom: Vector = np.asarray(differences.seeds[known] - 1, dtype=np.float64)
    variance: Vector = differences.squares[known] / freedom
    typical = float(np.median(variance)) if variance.size else 0.0
    if variance.size < 3 or typical == 0:
        return NOTHING_KNOWN
    variance[variance < LEAST_SPREAD * typical] = LEAST_SPREAD * typical
    fitted = _fit(variance, freedom)
    # However alike the spreads are, all pairs together know no more than the seeds of all variants do.
    most = max(_residual_freedom(values) - float(freedom.max()), 0.0)
    return Prior(fitted.variance, PRIOR_WEIGHT * min(fitted.freedom, most))


def _comparable(values: Matrix) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs of variants that have two seeds or more: of thousands with one seed each there would be millions."""
    able = np.flatnonzero(np.isfinite(values).sum(axis=1) > 1)
    first, second = np.triu_indices(len(able), 1)
    return able[first], able[second]


def decided(p: Vector, level: float = LEVEL) -> NDArray[np.bool_]:
    """Which of the pairs that were tested together differ, by Holm's correction. A missing p decides nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray(holm(p) < level)


def order(values: Matrix, direction: str, groups: Vector | None = None) -> NDArray[np.bool_]:
    """A matrix (variants, variants): where the row's variant is better than the column's, and the seeds decide it.

    All pairs are judged together: of variants that do not differ, any two are told apart in one ranking of twenty. With
    `groups`, one for each variant, only pairs within a group are judged.
    """
    count = len(values)
    better = np.zeros((count, count), dtype=bool)
    first, second = _comparable(values)
    differences = _differences(values, first, second)
    prior = _prior(values, differences)
    if groups is not None and not (alike := groups[first] == groups[second]).all():
        first, second = first[alike], second[alike]
        differences = Differences(*(part[alike] for part in differences))
    pairs = _tested(first, second, differences, prior)
    sign = 1 if direction == "lower" else -1
    found = decided(pairs.p)
    ahead = sign * pairs.mean < 0
    better[first[found & ahead], second[found & ahead]] = True
    better[second[found & ~ahead], first[found & ~ahead]] = True
    return better


def probability_better(mean: float, spread: float, seeds: int, freedom: float) -> tuple[float, float, float]:
    """How likely the first of a pair is to have the smaller value with a new seed, and the ends of its 95 % interval.

    Takes one pair's mean difference, its deviation between seeds, the seeds and the degrees of freedom. If differences
    are normal that is Φ(-mean / spread), and the t-statistic has a noncentral distribution: Johnson and Welch,
    Biometrika 31 (1940).
    """
    from scipy.special import nctdtrinc, ndtr

    if not spread > 0:
        return math.nan, math.nan, math.nan
    root = math.sqrt(seeds)
    statistic = min(max(-mean / spread * root, -FARTHEST), FARTHEST)
    shifts = [float(nctdtrinc(freedom, chance, statistic)) for chance in (1 - LEVEL / 2, LEVEL / 2)]
    return float(ndtr(-mean / spread)), float(ndtr(shifts[0] / root)), float(ndtr(shifts[1] / root))


def seeds_to_decide(mean: float, spread: float, weight: float = 0.0, level: float = LEVEL) -> int | None:
    """How many shared seeds would decide a pair with a chance of 80 %, if it differs as much as it seems to.

    `weight` is the degrees of freedom that the deviation is known by beside the pair's own seeds; `level` the chance to
    err, smaller where several pairs are judged together. None beyond 1,000 seeds, and where nothing differs.
    """
    if not abs(mean) > 0 or not spread > 0:
        return None
    effect = abs(mean) / spread
    low, high = 2, MOST_SEEDS
    if _power(effect, high, weight, level) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(effect, middle, weight, level) >= POWER else (middle + 1, high)
    return low


def _power(effect: float, seeds: int, weight: float, level: float) -> float:
    """The chance that a two-sided paired t-test finds a mean difference of `effect` deviations."""
    from scipy import special, stats

    freedom = seeds - 1 + weight
    edge, shift = float(special.stdtrit(freedom, 1 - level / 2)), effect * math.sqrt(seeds)
    if shift > edge + 10:  # where the noncentral distribution is no longer computed
        return 1.0
    return float(stats.nct.sf(edge, freedom, shift))


def _tested(first: NDArray[np.intp], second: NDArray[np.intp], differences: Differences, prior: Prior) -> Pairs:
    from scipy.special import stdtr

    seeds, mean, squares = differences
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        own = np.where(seeds > 1, squares / (seeds - 1), np.nan)
        freedom = np.where(seeds > 1, seeds - 1 + prior.freedom, np.nan)
        shared = (prior.freedom * prior.variance + squares) / freedom
        spread = np.sqrt(np.maximum(own, shared))
        statistic = np.abs(mean) / (spread / np.sqrt(seeds))
        p = np.where(spread > 0, 2 * stdtr(freedom, -statistic), np.nan)
    return Pairs(first, second, seeds, np.where(seeds > 1, mean, np.nan), spread, freedom, p)


def _differences(values: Matrix, first: NDArray[np.intp], second: NDArray[np.intp]) -> Differences:
    """Of these pairs."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):  # differences beyond float64 are infinite, and decide nothing
        return _summed(values, known, count, first, second)


def _summed(
    values: Matrix, known: NDArray[np.bool_], count: NDArray[np.intp], first: NDArray[np.intp], second: NDArray[np.intp]
) -> Differences:
    centres = np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1)
    rest = np.where(known, values - centres[:, None], 0.0)  # deviations are small: their squares lose nothing
    seeds = np.zeros(len(first), dtype=np.intp)
    total, squares = np.zeros(len(first)), np.zeros(len(first))
    columns = [(np.ascontiguousarray(rest[:, seed]), known[:, seed]) for seed in range(values.shape[1])]
    for column, there in columns:
        both = there[first] & there[second]
        seeds += both
        total += np.where(both, column[first] - column[second], 0.0)
    share = total / np.maximum(seeds, 1)
    for column, there in columns:
        both = there[first] & there[second]
        squares += np.where(both, (column[first] - column[second] - share) ** 2, 0.0)
    return Differences(seeds, centres[first] - centres[second] + share, squares)


def _residual_freedom(values: Matrix) -> float:
    """The degrees of freedom that are left of all scores when each variant and each seed has a mean of its own."""
    known = np.isfinite(values)
    variants, seeds = int(known.any(axis=1).sum()), int(known.any(axis=0).sum())
    return float(max(int(known.sum()) - variants - seeds + 1, 0))


def _fit(variance: Vector, freedom: Vector) -> Prior:
    """The scaled inverse chi-squared distribution that variances come from, by the moments of their logarithms."""
    from scipy.special import digamma, polygamma

    halves, kind = np.arange(1, freedom.max() + 1) / 2, freedom.astype(np.intp) - 1  # pairs have few kinds of freedom
    logs = np.log(variance) - digamma(halves)[kind] + np.log(halves)[kind]
    beyond = float(logs.var(ddof=1) - polygamma(1, halves)[kind].mean())
    if beyond <= 0:  # no more than chance would have them differ
        return Prior(float(np.exp(logs.mean())), math.inf)
    half = _inverse_trigamma(beyond)
    return Prior(float(np.exp(logs.mean() + digamma(half) - math.log(half))), 2 * half)


def _inverse_trigamma(value: float) -> float:
    """Where the trigamma function is `value`, which is above 0."""
    from scipy import optimize
    from scipy.special import polygamma

    low, high = math.log(1e-6), math.log(1e9)
    ends = [float(polygamma(1, math.exp(end))) for end in (high, low)]
    if not ends[0] < value < ends[1]:
        return math.exp(high if value <= ends[0] else low)
    found = optimize.brentq(lambda at: float(polygamma(1, math.exp(at))) - value, low, high)
    return math.exp(float(found))


def shared_matrix(scores: Sequence[Mapping[int, float]], mean_rule: str) -> Matrix:
    """The scores of variants by seed as `compare` takes them, in the order of the seeds: logarithms for ratios."""
    seeds = sorted({seed for variant in scores for seed in variant})
    rows: list[list[Any]] = [[variant.get(seed, math.nan) for seed in seeds] for variant in scores]
    values = np.array(rows, dtype=np.float64).reshape(len(scores), len(seeds))
    if mean_rule != "geometric":
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)
