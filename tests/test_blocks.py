from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ganbench.blocks import LEVELS, bar, span, sparkline


@pytest.mark.parametrize(("share", "expected"), [
    (0.0, "    "), (1.0, "████"), (0.5, "██  "), (1 / 32, "▏   "), (0.28, "█▏  "), (2.0, "████"), (-1.0, "    "),
    (math.nan, "    "), (math.inf, "    "),
])  # fmt: skip
def test_a_bar_is_as_long_as_its_share_to_an_eighth(share, expected):
    assert bar(share, 4) == expected


@given(st.floats(), st.integers(0, 40))
def test_a_bar_is_always_as_wide_as_it_was_asked_to_be(share, width):
    assert cell_len(bar(share, width)) == width


def test_a_curve_goes_from_the_lowest_block_to_the_highest():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == LEVELS
    assert sparkline([1, 10, 100], 3, logarithmic=True) == "▁▅█"
    assert sparkline([-1, 10, 100], 3, logarithmic=True) == "▁▁█"  # no logarithms of these


def test_what_is_missing_is_a_space_and_what_does_not_change_is_in_the_middle():
    assert sparkline([2.0, None, math.inf, 2.0], 4) == "▄  ▄"
    assert sparkline([None, math.nan], 8) == "  "
    assert sparkline([], 8) == ""


def test_a_long_curve_keeps_its_first_and_its_last_value():
    assert sparkline([9.0, *[5.0] * 100, 1.0], 5) == "█▅▅▅▁"


@given(st.lists(st.none() | st.floats()), st.integers(1, 20), st.booleans())
def test_a_curve_is_never_wider_than_there_is_room(values, width, logarithmic):
    assert len(sparkline(values, width, logarithmic=logarithmic)) == min(len(values), width)


def test_an_interval_is_drawn_around_its_value():
    assert span(0.2, 0.5, 0.7, 11) == "  ───●──"
    assert span(0.2, 0.6, 0.7, 11, mark=0.5) == "  ───┼●─"
    assert span(0.0, 0.1, 0.2, 11, mark=0.5) == "─●─  │"


def test_without_an_interval_there_is_the_value_alone_and_without_a_value_nothing():
    assert span(math.nan, 0.5, math.nan, 11) == "     ●"
    assert span(math.nan, math.nan, math.nan, 11) == ""


def test_what_lies_beyond_an_end_stands_on_it():
    assert span(-math.inf, 0.5, math.inf, 5) == "──●──"
    assert span(2.0, 3.0, 4.0, 5) == "    ●"
