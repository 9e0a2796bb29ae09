import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from ganbench.comparisons import (
    compare,
    decided,
    order,
    prior_of,
    probability_better,
    seeds_to_decide,
    shared_matrix,
)

# Student's patients: hours of sleep gained with two drugs. Biometrika 6 (1908), p. 20.
FIRST_DRUG = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND_DRUG = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def spread_out(seed, variants=6, seeds=4):
    """Normal scores of variants whose deviations differ by a factor of some three."""
    draws = np.random.default_rng(seed)
    return draws.normal(size=(variants, seeds)) * np.exp(draws.normal(0, 0.6, (variants, 1))) + draws.normal(size=seeds)


def test_two_variants_are_compared_by_students_paired_test():
    pairs = compare(np.array([FIRST_DRUG, SECOND_DRUG]))
    low, high = pairs.intervals()
    assert pairs.mean == pytest.approx([-1.58])
    assert pairs.p == pytest.approx([0.002833], rel=1e-3)
    assert (low[0], high[0]) == pytest.approx((-2.4599, -0.7001), abs=1e-4)
    expected = stats.ttest_rel(FIRST_DRUG, SECOND_DRUG)
    assert (pairs.p[0], pairs.freedom[0]) == pytest.approx((expected.pvalue, expected.df), rel=1e-12)


def moderated(values):
    """The same in loops: each pair's test statistic, degrees of freedom and p, where all seeds have scores."""
    variants, seeds = values.shape
    differences = {(i, j): values[i] - values[j] for i, j in itertools.combinations(range(variants), 2)}
    own = {pair: difference.var(ddof=1) for pair, difference in differences.items()}
    freedom = seeds - 1
    logs = [math.log(v) - special.digamma(freedom / 2) + math.log(freedom / 2) for v in own.values()]
    beyond = np.var(logs, ddof=1) - special.polygamma(1, freedom / 2)
    most = (variants - 1) * (seeds - 1) - freedom
    if beyond > 0:
        half = optimize.brentq(lambda x: special.polygamma(1, x) - beyond, 1e-3, 1e6)
        usual = math.exp(np.mean(logs) + special.digamma(half) - math.log(half))
        known = min(2 * half, most) / 2
    else:
        usual, known = math.exp(np.mean(logs)), most / 2
    found = {}
    for pair, difference in differences.items():
        variance = max(own[pair], (known * usual + freedom * own[pair]) / (known + freedom))
        statistic = difference.mean() / math.sqrt(variance / seeds)
        found[pair] = (statistic, known + freedom, 2 * stats.t.sf(abs(statistic), known + freedom))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_variances_learn_from_each_other_as_the_formula_says(seed):
    values = spread_out(seed)
    pairs, expected = compare(values), moderated(values)
    for at, pair in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        statistic, freedom, p = expected[pair]
        assert pairs.mean[at] / pairs.error[at] == pytest.approx(statistic, rel=1e-9)
        assert (pairs.freedom[at], pairs.p[at]) == pytest.approx((freedom, p), rel=1e-6)


def test_no_variance_is_taken_to_be_below_a_pairs_own():
    values = spread_out(3)
    pairs = compare(values)
    own = (values[pairs.first] - values[pairs.second]).std(axis=1, ddof=1)
    assert (pairs.spread >= own * (1 - 1e-12)).all()
    assert (pairs.spread > own * 1.01).any()


def test_variances_that_are_equal_count_as_far_as_all_seeds_together_know_them():
    values = np.random.default_rng(0).normal(size=(30, 3))
    assert prior_of(values).freedom == pytest.approx(0.5 * (29 * 2 - 2))
    assert prior_of(values).variance == pytest.approx(2.0, rel=0.35)


def test_two_variants_learn_nothing_from_others():
    assert prior_of(np.array([FIRST_DRUG, SECOND_DRUG])).freedom == 0


def test_only_seeds_that_both_have_are_compared():
    values = np.array([[1.0, 2.0, 4.0, np.nan, 100.0], [2.0, 2.5, 6.0, 100.0, np.nan]])
    pairs, expected = compare(values), stats.ttest_rel([1.0, 2.0, 4.0], [2.0, 2.5, 6.0])
    assert (pairs.seeds[0], pairs.mean[0]) == (3, pytest.approx(-3.5 / 3))
    assert pairs.p[0] == pytest.approx(expected.pvalue)


def test_one_shared_seed_decides_nothing():
    pairs = compare(np.array([[1.0, 2.0, np.nan], [np.nan, 3.0, 4.0]]))
    assert pairs.seeds.tolist() == [1]
    assert np.isnan([pairs.mean[0], pairs.p[0], pairs.spread[0]]).all()
    assert not order(np.array([[1.0], [2.0], [3.0]]), "lower").any()


def test_seeds_that_do_not_differ_at_all_decide_nothing():
    values = np.array([[8.0, 8.0, 8.0], [7.0, 7.0, 7.0], [6.0, 6.0, 6.0]])
    assert np.isnan(compare(values).p).all()
    assert not order(values, "higher").any()


def test_numbers_beyond_float64_decide_nothing_and_raise_nothing():
    values = np.array([[1.7e308, -1.7e308], [-1.7e308, 1.7e308], [1.0, 2.0]])
    assert not order(values, "lower").any()
    assert not order(np.array([[1e200, 2e200, 1.5e200], [1.5e200, 1e200, 2e200], [2e200, 2e200, 1e200]]), "lower").any()


def test_a_pair_is_judged_the_same_in_either_order():
    values = spread_out(1)
    there, back = compare(values, ([0, 2], [1, 3])), compare(values, ([1, 3], [0, 2]))
    assert there.mean.tolist() == pytest.approx((-back.mean).tolist())
    assert there.p.tolist() == pytest.approx(back.p.tolist())


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_neither_a_common_shift_nor_another_unit_changes_what_is_decided(shift, unit):
    values = spread_out(2) + np.array([0, 0, 4, 4, 9, 9])[:, None]
    assert (order(values, "lower") == order(values * unit + shift, "lower")).all()


def test_what_is_decided_turns_with_the_direction():
    values = np.array([[1.0, 1.1, 1.3], [9.0, 9.2, 9.1], [1.2, 1.0, 1.1]])
    lower = order(values, "lower")
    assert lower.tolist() == [[False, True, False], [False, False, False], [False, True, False]]
    assert (order(values, "higher") == lower.T).all()


def test_variants_of_different_groups_are_not_judged():
    values = np.array([[1.0, 1.1, 1.3], [9.0, 9.2, 9.1], [1.2, 1.0, 1.1]])
    assert order(values, "lower", np.array([1, 0.5, 1])).sum() == 0


def test_a_pair_that_alone_would_be_decided_may_not_be_among_many():
    assert decided(np.array([0.02])).tolist() == [True]
    assert decided(np.array([0.02, 0.5, 0.6, np.nan])).tolist() == [False] * 4


def test_the_probability_to_be_better_is_that_of_a_normal_difference():
    told, low, high = probability_better(-1.0, 2.0, 9, 8)
    assert told == pytest.approx(stats.norm.cdf(0.5))
    # The ends: a noncentrality at which so small, or so large, a statistic comes in one of forty.
    statistic = 0.5 * 3
    assert stats.nct.sf(statistic, 8, stats.norm.ppf(low) * 3) == pytest.approx(0.025, abs=1e-6)
    assert stats.nct.cdf(statistic, 8, stats.norm.ppf(high) * 3) == pytest.approx(0.025, abs=1e-6)


def test_the_probability_to_be_better_stays_one_of_two_where_nothing_differs():
    told, low, high = probability_better(0.0, 1.0, 3, 2)
    assert told == 0.5
    assert low == pytest.approx(1 - high)


def test_nothing_is_told_of_a_pair_without_spread():
    assert all(math.isnan(value) for value in probability_better(1.0, 0.0, 3, 2))
    assert seeds_to_decide(1.0, 0.0) is None


def test_very_clear_differences_have_finite_ends():
    assert probability_better(-1e6, 1e-6, 3, 2) == pytest.approx((1.0, 1.0, 1.0))


def test_thirty_four_pairs_find_half_a_deviation():
    # Cohen, Statistical Power Analysis (1988): d = 0.5, two-sided 0.05, power 0.8, paired.
    assert seeds_to_decide(0.5, 1.0) == 34
    assert seeds_to_decide(-0.8, 1.0) == 15


@pytest.mark.parametrize("effect", [0.4, 0.9, 2.5, 6.0])
@pytest.mark.parametrize("weight", [0.0, 7.5])
def test_so_many_seeds_reach_the_power_and_one_fewer_does_not(effect, weight):
    def power(n):
        freedom = n - 1 + weight
        return stats.nct.sf(stats.t.ppf(0.995, freedom), freedom, effect * math.sqrt(n))

    needed = seeds_to_decide(effect, 1.0, weight, level=0.01)
    assert power(needed) >= 0.8
    assert needed == 2 or power(needed - 1) < 0.8


def test_differences_too_small_for_a_thousand_seeds_are_not_counted():
    assert seeds_to_decide(0.001, 1.0) is None
    assert seeds_to_decide(0.0, 1.0) is None


def test_scores_become_logarithms_where_ratios_count():
    scores = [{0: 1.0, 2: math.e}, {0: math.e**2}]
    assert shared_matrix(scores, "geometric") == pytest.approx(np.array([[0, 1], [2, np.nan]]), nan_ok=True)
    assert shared_matrix(scores, "arithmetic")[0].tolist() == [1.0, math.e]
    assert shared_matrix([{}], "geometric").shape == (1, 0)
