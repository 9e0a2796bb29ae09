"""Holm's correction: worked by hand, against the rule read literally, and what always holds of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ganbench.multiplicity import holm

P_VALUES = st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=12).map(np.array)


def by_the_rule(p):
    """Test by test from the smallest: its p-value times the tests that are left, and never below the one before."""
    adjusted, highest = [float("nan")] * len(p), 0.0
    known = [i for i in range(len(p)) if p[i] == p[i]]
    for done, i in enumerate(sorted(known, key=lambda i: p[i])):
        highest = max(highest, (len(known) - done) * p[i])
        adjusted[i] = min(1.0, highest)
    return adjusted


def test_four_p_values_are_adjusted_as_by_hand():
    # sorted: .005 × 4 = .02, .01 × 3 = .03, .03 × 2 = .06, and .04 × 1 = .04, which may not fall below .06
    assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02], rtol=1e-12)


def test_the_order_in_which_p_values_come_does_not_matter():
    p = np.array([0.011, 0.02, 0.3, 0.02])
    assert_allclose(holm(p[::-1]), holm(p)[::-1], rtol=0)


def test_one_test_needs_no_correction():
    assert_array_equal(holm(np.array([0.03])), [0.03])


def test_tests_that_were_not_made_stay_nan_and_do_not_count():
    nan = float("nan")
    assert_allclose(holm(np.array([nan, 0.01, nan, 0.02])), [nan, 0.02, nan, 0.02], rtol=1e-12)
    assert np.isnan(holm(np.array([nan, nan]))).all()
    assert holm(np.array([])).shape == (0,)


def test_what_is_no_p_value_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        holm(np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        holm(np.array([[0.5, 0.5]]))


@given(P_VALUES)
def test_it_is_the_rule_read_literally(p):
    assert_allclose(holm(p), by_the_rule(p.tolist()), rtol=1e-12)


@given(P_VALUES)
def test_an_adjusted_p_value_lies_between_its_own_and_bonferronis(p):
    known = ~np.isnan(p)
    adjusted, plain = holm(p)[known], p[known]
    assert (adjusted >= plain).all()
    assert (adjusted <= np.minimum(1, plain * known.sum()) + 1e-15).all()


@given(P_VALUES)
def test_what_was_given_is_left_as_it_was(p):
    before = p.copy()
    holm(p)
    assert_array_equal(p, before)


def test_with_nothing_to_find_one_in_twenty_families_has_a_false_rejection():
    rng = np.random.default_rng(1)
    families = rng.random((4000, 10))
    share = np.mean([(holm(p) <= 0.05).any() for p in families])
    assert 0.04 < share < 0.06
