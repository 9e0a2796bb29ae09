"""Scores on the scale from noise to real data, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tabulated import FCD, SHARE, reference_row, run_row, tabulated

from ganbench.normalising import LEFT_OUT_COLUMNS, NORMALISED_COLUMNS, between, normalised_runs
from ganbench.statistics import board

ENDS = {"real_floor": 1.0, "noise": 100.0}


def with_ends(values, ends=ENDS, dataset="digits", **others):
    """A trial for each value, and references."""
    score = others.get("score", "fcd")
    references = [reference_row(name, value, dataset, score) for name, value in ends.items()]
    return [*references, *(run_row(value, seed=n, dataset=dataset, **others) for n, value in enumerate(values))]


def found_in(rows, rules=FCD):
    table = tabulated(rows, rules)
    return normalised_runs(table, board(table))


def reasons(rows, rules=FCD):
    return dict(zip(*found_in(rows, rules)[1][["dataset", "reason"]].to_numpy().T, strict=True))


def test_a_geometric_score_is_placed_by_its_logarithm():
    runs, left_out = found_in(with_ends([1.0, 10.0, 100.0]))
    assert runs["normalised"].tolist() == pytest.approx([1, 0.5, 0])
    assert set(runs["scale"]) == {"log"}
    assert left_out.empty


def test_an_arithmetic_score_is_placed_as_it_is_whichever_way_is_better():
    rows = with_ends([0.9, 0.5, 0.1], {"real_floor": 0.9, "noise": 0.1}, score="share")
    runs, _ = found_in(rows, SHARE)
    assert runs["normalised"].tolist() == pytest.approx([1, 0.5, 0])
    assert set(runs["scale"]) == {"linear"}


def test_what_failed_counts_as_noise_and_is_still_known_to_have_failed():
    runs, _ = found_in(with_ends([10.0, None]))
    assert runs["normalised"].tolist() == pytest.approx([0.5, 0])
    assert math.isnan(runs["unclipped"].iloc[1])


def test_beyond_the_ends_counts_as_the_ends():
    runs, _ = found_in(with_ends([0.1, 1000.0]))
    assert runs["unclipped"].tolist() == pytest.approx([1.5, -0.5])
    assert runs["normalised"].tolist() == [1, 0]


def test_a_floor_of_zero_has_no_logarithm_so_the_score_is_placed_as_it_is():
    runs, _ = found_in(with_ends([10.0, 40.0], {"real_floor": 0.0, "noise": 100.0}))
    assert runs["normalised"].tolist() == pytest.approx([0.9, 0.6])
    assert set(runs["scale"]) == {"linear"}


def test_a_ranking_without_both_references_is_left_out_and_told():
    rows = [
        *with_ends([2.0], {"noise": 9.0}, "a"),
        *with_ends([2.0], {"real_floor": 1.0}, "b"),
        *with_ends([2.0], {}, "c"),
        *with_ends([2.0], ENDS, "d"),
    ]
    assert reasons(rows) == {
        "a": "no fcd of real data was measured",
        "b": "no fcd of noise was measured",
        "c": "no fcd of real data and of noise was measured",
    }


def test_a_score_by_which_noise_is_as_good_as_real_data_is_no_scale():
    assert reasons(with_ends([2.0], {"real_floor": 5.0, "noise": 5.0})) == {
        "digits": "by fcd, noise is as good as real data"
    }
    higher = with_ends([0.5], {"real_floor": 0.1, "noise": 0.9}, score="share")
    assert "noise is as good" in reasons(higher, SHARE)["digits"]


def test_a_data_set_on_which_everything_failed_is_left_out():
    assert reasons([*with_ends([None, None]), *with_ends([2.0], dataset="other")]) == {"digits": "no trial has a score"}


def test_of_two_rankings_of_a_data_set_the_one_with_more_variants_takes_part():
    short = {"protocol": "short", "budget": "1 kimg"}
    rows = [
        *with_ends([10.0], loss="a"),
        *(run_row(20.0, loss="a", **short), run_row(30.0, loss="b", **short)),
    ]
    runs, left_out = found_in(rows)
    assert set(runs["protocol"]) == {"short"}
    assert left_out["protocol"].tolist() == ["p"]
    assert left_out["reason"].tolist() == ["another ranking of this data set has more variants"]


def test_what_was_only_evaluated_is_left_out():
    evaluated = {**run_row(2.0, dataset="alone"), "kind": "evaluated", "seed": None}
    assert reasons([*with_ends([2.0]), evaluated]) == {"alone": "nothing was trained on it"}


def test_the_tables_have_their_columns_whether_or_not_they_have_rows():
    for rows in (with_ends([2.0]), with_ends([2.0], {})):
        for frame, columns in zip(found_in(rows), (NORMALISED_COLUMNS, LEFT_OUT_COLUMNS), strict=True):
            assert {n: str(frame[n].dtype) for n in frame} == {n: column.dtype for n, column in columns.items()}


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.01, 100), st.booleans())
def test_neither_end_depends_on_the_unit_of_the_score(value, floor, noise, unit, logarithmic):
    if abs(math.log(noise / floor)) > 0.1:
        place = between(np.array([value, noise, floor]), noise, floor, logarithmic)
        scaled = between(unit * np.array([value, noise, floor]), unit * noise, unit * floor, logarithmic)
        np.testing.assert_allclose(place[1:], [0, 1], atol=1e-12)
        np.testing.assert_allclose(scaled, place, rtol=1e-6, atol=1e-9)
