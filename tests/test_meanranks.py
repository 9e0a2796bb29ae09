"""Mean ranks against Demšar's worked example, scipy's Friedman test, and the printed tables of critical values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ganbench.meanranks import compare_ranks, critical_difference, too_few, unseparated

DEMSAR = np.array(
    [
        [4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1], [1, 2.5, 4, 2.5], [3, 2, 4, 1],
        [2.5, 2.5, 4, 1], [4, 3, 2, 1], [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5], [3, 2, 4, 1], [4, 1, 2, 3],
        [3, 1, 4, 2],
    ]
)  # fmt: skip
"""The ranks of four classifiers on 14 data sets (Demšar 2006, table 6)."""


def test_the_mean_ranks_of_demsars_example_are_as_printed():
    found = compare_ranks(-DEMSAR)
    assert found.order == (3, 1, 2, 0)
    assert found.mean_ranks == pytest.approx((1.964, 2.000, 2.893, 3.143), abs=5e-4)
    assert found.datasets == 14


def test_the_statistics_of_demsars_example_are_as_printed_but_for_the_ties():
    # The paper's formula knows no ties: the four groups of 2, 2, 2 and 4 in this table take 78/840 from the variance.
    found = compare_ranks(-DEMSAR)
    uncorrected = found.chi_squared * (1 - 78 / (14 * (4**3 - 4)))
    assert uncorrected == pytest.approx(9.28, abs=5e-3)
    assert 13 * uncorrected / (14 * 3 - uncorrected) == pytest.approx(3.69, abs=5e-3)
    assert found.f == pytest.approx(13 * found.chi_squared / (14 * 3 - found.chi_squared))
    assert found.f_p == pytest.approx(stats.f.sf(found.f, 3, 39))
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)


def test_as_in_demsars_example_the_critical_difference_may_be_too_wide_for_what_the_test_found():
    found = compare_ranks(-DEMSAR)
    assert found.differ
    assert found.groups == ((0, 3),)


@given(st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=3, max_size=8))
def test_friedmans_statistic_is_scipys(rows):
    scores = np.array(rows, dtype=float)
    found = compare_ranks(scores)
    if (scores == scores[:, :1]).all():
        assert (found.chi_squared, found.f, found.differ) == (0, 0, False)
    else:
        expected = stats.friedmanchisquare(*scores.T)
        assert found.chi_squared == pytest.approx(expected.statistic, abs=1e-9)
        assert found.chi_squared_p == pytest.approx(expected.pvalue, abs=1e-9)


@pytest.mark.parametrize(
    ("variants", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)]
)
def test_the_quantiles_are_those_of_the_table(variants, quantile):
    """Demšar 2006, table 5a."""
    scale = math.sqrt(variants * (variants + 1) / (6 * 9))
    assert critical_difference(9, variants) / scale == pytest.approx(quantile, abs=1e-3)


def test_what_wins_everywhere_on_six_data_sets_is_separable_and_on_five_it_is_not():
    assert critical_difference(6, 2) < 1 < critical_difference(5, 2) + 0.13
    found = compare_ranks(np.tile([2.0, 1.0], (6, 1)))
    assert (found.mean_ranks, found.groups, found.differ, found.f) == ((1, 2), (), True, math.inf)


def test_with_five_data_sets_it_is_said_why_there_is_no_critical_difference():
    assert "2/2^5 = 0.0625" in too_few(5)
    assert stats.wilcoxon([1, 2, 3, 4, 5]).pvalue == 0.0625
    assert stats.wilcoxon([1, 2, 3, 4, 5, 6]).pvalue < 0.05
    assert too_few(6) == ""
    assert "there is 1:" in too_few(1)
    assert too_few(0).endswith("there are 0.")


def test_groups_are_the_longest_runs_that_span_less_than_the_critical_difference():
    ranks = np.array([1.0, 1.5, 2.0, 3.5, 5.0, 5.2])
    assert unseparated(ranks, 1.2) == ((0, 2), (4, 5))
    assert unseparated(ranks, 2.0) == ((0, 2), (1, 3), (3, 5)) or unseparated(ranks, 2.0) == ((0, 2), (2, 3), (3, 5))
    assert unseparated(ranks, 0.1) == ()
    assert unseparated(ranks, 9.0) == ((0, 5),)


def test_mean_ranks_that_are_the_critical_difference_apart_are_separable():
    assert unseparated(np.array([1.0, 2.0]), 1.0) == ()
    assert unseparated(np.array([1.0, 2.0]), 1.0001) == ((0, 1),)


@given(st.lists(st.floats(1, 9), min_size=2, max_size=9).map(sorted), st.floats(0.01, 5))
def test_two_variants_share_a_group_where_they_are_closer_than_the_critical_difference(ranks, critical):
    groups = unseparated(np.array(ranks), critical)
    for one in range(len(ranks)):
        for other in range(one + 1, len(ranks)):
            shared = any(first <= one and other <= last for first, last in groups)
            if abs(ranks[other] - ranks[one] - critical) > 1e-6:
                assert shared == (ranks[other] - ranks[one] < critical)
    assert not any(a != b and a[0] <= b[0] and b[1] <= a[1] for a in groups for b in groups)


def test_where_the_variants_do_not_differ_one_group_holds_them_all():
    scores = np.array([[1, 2, 3], [3, 2, 1], [2, 3, 1], [1, 3, 2], [3, 1, 2], [2, 1, 3]], dtype=float)
    found = compare_ranks(scores)
    assert not found.differ
    assert found.groups == ((0, 2),)


def test_one_data_set_or_one_variant_is_refused():
    for scores in (np.ones((1, 3)), np.ones((3, 1))):
        with pytest.raises(ValueError, match="2 or more"):
            compare_ranks(scores)
