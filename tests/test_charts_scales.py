from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganbench.charts_scales import FEWEST_TICKS, is_logarithmic, log_ticks, vertical

FEW_LARGE = [0.25, 0.28, 0.3, 0.35, 0.4, 4.4]
FEW_SMALL = [0.05, 0.8, 0.85, 0.9, 0.95]


@given(st.floats(-8, 8), st.floats(0.05, 12))
def test_a_logarithmic_axis_has_three_ticks_or_more_and_not_too_many(start, width):
    low, high = math.exp(start), math.exp(start + width)
    ticks = log_ticks(low, high)
    assert FEWEST_TICKS <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)


@given(st.floats(0.02, 12), st.floats(0, 1))
def test_one_is_a_tick_wherever_it_lies_on_the_axis(width, share):
    assert 1 in log_ticks(math.exp(-width * share), math.exp(width * (1 - share)))


@pytest.mark.parametrize(("values", "mean", "expected"), [
    ([1, 10], "geometric", True), ([1, 4], "geometric", False), ([0, 10], "geometric", False), ([], "geometric", False),
    ([1, 10], "arithmetic", False), (FEW_LARGE, "arithmetic", True), (FEW_SMALL, "arithmetic", False),
    ([0, *FEW_LARGE], "arithmetic", False), ([-1, *FEW_LARGE], "arithmetic", False),
])  # fmt: skip
def test_a_scale_is_logarithmic_for_wide_ratios_and_where_few_values_would_flatten_the_rest(values, mean, expected):
    assert is_logarithmic(values, mean) == expected


def test_a_logarithmic_scale_says_so_in_its_title():
    assert vertical(FEW_LARGE, "arithmetic", "kid").axis.to_dict()["title"] == "kid, logarithmic"
    assert vertical([1, 2], "arithmetic", "kid").axis.to_dict()["title"] == "kid"


@pytest.mark.parametrize(("floor", "words"), [
    (0.744, "Real data score 0.744, below this axis."), (40.0, "Real data score 40.0, above this axis."),
    (8.0, ""), (10.0, ""), (None, ""),
])  # fmt: skip
def test_real_data_are_drawn_where_they_cost_no_more_than_a_third_of_the_axis_and_told_otherwise(floor, words):
    found = vertical([9.0, 14.0], "geometric", "fcd", floor)
    assert (found.words, len(found.line())) == (words, 0 if words or floor is None else 2)


def test_real_data_at_zero_lie_below_a_logarithmic_axis():
    found = vertical([1, 100], "geometric", "fcd", 0.0)
    assert (found.words, found.line()) == ("Real data score 0, below this axis.", ())
