"""Across data sets: what takes part, what is told, and that it is the same whoever else is there."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tabulated import FCD, SHARE, reference_row, run_row, tabulated

from ganbench.aggregates import (
    IMPROVEMENT_COLUMNS,
    MOST,
    PROFILE_COLUMNS,
    SCORE_COLUMNS,
    THRESHOLDS,
    across,
)
from ganbench.statistics import board
from ganbench.tables import load_results


def rows_of(values, seeds=4, first=0):
    """Trials on each data set, and references: `values[dataset][loss]` is a typical distance, None where it fails."""
    rng = np.random.default_rng(3)
    rows = []
    for dataset, losses in values.items():
        rows += [reference_row("real_floor", 1.0, dataset), reference_row("noise", 100.0, dataset)]
        for loss, typical in losses.items():
            for seed in range(first, first + seeds):
                value = None if typical is None else typical * math.exp(rng.normal(0, 0.2))
                rows.append(run_row(value, loss=loss, seed=seed, dataset=dataset))
    return rows


def crossed(datasets, **typical):
    return {f"set{number}": typical for number in range(datasets)}


def found_in(rows, rules=FCD):
    table = tabulated(rows, rules)
    return across(table, board(table))


def probability(found, one, other):
    places = dict(zip(found.scores["label"], found.scores["place"], strict=True))
    frame = found.improvements
    return frame[(frame["place"] == places[one]) & (frame["other"] == places[other])].iloc[0]


def test_the_means_are_trimmed_over_the_runs_of_all_data_sets():
    rows = rows_of(crossed(3, good=3.0, bad=30.0))
    found = found_in(rows)
    assert found.datasets == ("set0", "set1", "set2")
    assert found.scores["label"].tolist() == ["good", "bad"]
    for label, mean in zip(found.scores["label"], found.scores["mean"], strict=True):
        places = [1 - math.log(row["fcd"]) / math.log(100) for row in rows if row["loss"] == label]
        assert mean == pytest.approx(stats.trim_mean(places, 0.25))
    assert (found.scores["low"] < found.scores["mean"]).all()
    assert (found.scores["mean"] < found.scores["high"]).all()


def test_the_probability_of_improvement_is_one_where_the_runs_do_not_overlap_on_any_data_set():
    found = probability(found_in(rows_of(crossed(2, good=2.0, bad=50.0))), "good", "bad")
    assert (found["probability"], found["low"], found["high"]) == (1, 1, 1)


def test_the_probability_of_improvement_is_a_half_where_one_wins_here_and_the_other_there():
    values = {"one": {"a": 2.0, "b": 50.0}, "two": {"a": 50.0, "b": 2.0}}
    found = found_in(rows_of(values))
    assert found.improvements["probability"].tolist() == [0.5]


def test_a_profile_holds_the_share_of_trials_above_each_threshold():
    rows = rows_of(crossed(2, a=10.0, b=30.0))
    found = found_in(rows)
    own = found.profiles[found.profiles["place"] == 0]
    places = np.array([1 - math.log(row["fcd"]) / math.log(100) for row in rows if row["loss"] == "a"])
    assert own["threshold"].tolist() == THRESHOLDS.tolist()
    assert own["share"].tolist() == pytest.approx([(places > threshold).mean() for threshold in THRESHOLDS])


def test_failures_count_as_noise_and_are_told():
    found = found_in(rows_of({"one": {"a": 3.0, "b": None}, "two": {"a": 3.0, "b": 3.0}}))
    b = found.scores.set_index("label").loc["b"]
    assert (b["ok"], b["attempted"]) == (4, 8)
    assert found.by_dataset.loc[b["place"], "one"] == 0
    assert "4 trials of 16 failed, and counted as 0: as good as noise." in found.notes


def test_what_lies_beyond_the_references_is_told():
    rows = [*rows_of(crossed(2, a=3.0, b=5.0)), run_row(0.5, loss="a", seed=9, dataset="set0")]
    rows += [run_row(200.0 + seed, loss="b", seed=seed, dataset="set1") for seed in (10, 11)]
    notes = found_in(rows).notes
    assert "1 trial scored better than real data, and counted as 1." in notes
    assert "2 trials scored worse than noise, and counted as 0." in notes
    assert any(note.startswith("Data sets have different numbers of seeds") for note in notes)


def test_only_variants_that_were_tried_on_every_data_set_take_part():
    found = found_in(rows_of({"one": {"a": 3.0, "b": 4.0, "c": 5.0}, "two": {"a": 3.0, "b": 4.0}}))
    assert found.scores["label"].tolist() == ["a", "b"]
    assert "1 variant of 3 left out: not tried on every data set." in found.notes


def test_a_data_set_that_shares_no_variants_with_the_others_is_left_out():
    values = {**crossed(2, a=3.0, b=4.0), "points": {"c": 3.0, "d": 4.0}}
    found = found_in(rows_of(values))
    assert found.datasets == ("set0", "set1")
    told = found.left_out.set_index("dataset")["reason"]
    assert told.to_dict() == {"points": "it shares fewer than two variants with the other data sets"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "No data set has trials"),
        ({"one": {"a": 3.0, "b": 4.0}}, "Only one can be put on the scale"),
        ({"one": {"a": 3.0, "b": 4.0}, "two": {"c": 3.0, "d": 4.0}}, "one and two share fewer than two variants"),
    ],
)
def test_where_there_is_nothing_to_say_a_sentence_says_why(values, reason):
    found = found_in([*rows_of(values), run_row(3.0, dataset="bare")])
    assert found.reason.startswith(reason)
    assert found.ranks is None
    assert found.left_out["dataset"].tolist() == ["bare"]
    for frame, columns in (
        (found.scores, SCORE_COLUMNS), (found.profiles, PROFILE_COLUMNS), (found.improvements, IMPROVEMENT_COLUMNS)
    ):  # fmt: skip
        assert frame.empty
        assert {name: str(frame[name].dtype) for name in frame} == {n: column.dtype for n, column in columns.items()}


def test_the_tables_have_their_columns():
    found = found_in(rows_of(crossed(2, a=3.0, b=4.0)))
    for frame, columns in (
        (found.scores, SCORE_COLUMNS), (found.profiles, PROFILE_COLUMNS), (found.improvements, IMPROVEMENT_COLUMNS)
    ):  # fmt: skip
        assert {name: str(frame[name].dtype) for name in frame} == {n: column.dtype for n, column in columns.items()}


def test_from_six_data_sets_up_mean_ranks_are_compared_and_below_it_is_said_why_not():
    six = found_in(rows_of(crossed(6, good=2.0, middling=10.0, bad=50.0)))
    assert six.no_ranks == ""
    assert [six.scores["label"][place] for place in six.ranks.order] == ["good", "middling", "bad"]
    assert six.ranks.mean_ranks == (1, 2, 3)
    assert six.ranks.groups == ((0, 1), (1, 2))
    assert six.ranks.critical_difference == pytest.approx(2.343 * math.sqrt(3 * 4 / (6 * 6)), abs=1e-3)
    five = found_in(rows_of(crossed(5, good=2.0, middling=10.0, bad=50.0)))
    assert five.ranks is None
    assert "2/2^5 = 0.0625" in five.no_ranks


def test_the_same_results_give_the_same_numbers_in_any_order():
    table = tabulated(rows_of(crossed(3, a=3.0, b=4.0, c=4.5)))
    one, other = across(table, board(table)), across(shuffled := table.sample(frac=1, random_state=2), board(shuffled))
    for name in ("scores", "profiles", "improvements", "by_dataset"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def test_a_variants_interval_does_not_depend_on_who_else_is_there():
    rows = rows_of(crossed(3, a=3.0, b=4.0, c=4.5))
    whole, part = found_in(rows), found_in([row for row in rows if row["loss"] != "c"])
    names = ["mean", "low", "high"]
    pd.testing.assert_frame_equal(
        whole.scores.set_index("variant").loc[part.scores["variant"], names], part.scores.set_index("variant")[names]
    )


def test_beyond_the_best_variants_there_is_a_mean_but_no_interval():
    typical = {f"loss{number:02}": 2.0 * 1.12**number for number in range(MOST + 3)}
    found = found_in(rows_of(crossed(2, **typical)))
    assert len(found.scores) == MOST + 3
    assert found.scores["low"].notna().tolist() == [True] * MOST + [False] * 3
    assert found.scores["mean"].is_monotonic_decreasing
    assert found.profiles["place"].max() == found.improvements["other"].max() == MOST - 1
    assert len(found.improvements) == MOST * (MOST - 1) // 2
    assert f"Of {MOST + 3} variants, the best {MOST} have intervals" in " ".join(found.notes)


def test_with_two_seeds_there_are_no_intervals_and_that_is_told():
    found = found_in(rows_of(crossed(2, a=3.0, b=4.0), seeds=2))
    assert found.scores["low"].isna().all()
    assert found.scores["mean"].notna().all()
    assert "A variant with fewer than 3 seeds on a data set has no intervals." in found.notes


def test_another_score_can_be_asked_for_through_the_board():
    rows = rows_of(crossed(2, a=3.0, b=30.0))
    for row in rows:
        row["share"] = 0.9 if row["variant"] == "real_floor" or row["loss"] == "b" else 0.1
    table = tabulated(rows, FCD | SHARE)
    assert across(table, board(table)).scores["label"].tolist() == ["a", "b"]
    found = across(table, board(table, "share"))
    assert found.scores["label"].tolist() == ["b", "a"]
    assert found.scores["mean"].tolist() == [1, 0]


def test_two_recipes_of_a_variant_are_two_variants():
    rows = rows_of(crossed(2, a=3.0))
    again = [{**row, "recipe": "11", "fcd": row["fcd"] * 2} for row in rows if row["kind"] == "trial"]
    found = found_in([*rows, *again])
    assert found.scores[["variant", "recipe"]].to_numpy().tolist() == [["g / d / a", "00"], ["g / d / a", "11"]]
    assert found.scores["label"].nunique() == 2


def test_hostile_names_are_printable_in_what_is_told():
    found = found_in(rows_of({"one\u202etwo\x1b[2J": {"a": 3.0, "b": 3.0}}))
    assert found.reason.isprintable()


def test_an_empty_table_says_nothing(tmp_path):
    (tmp_path / "suite" / "runs").mkdir(parents=True)
    table = load_results(tmp_path / "suite")
    assert across(table, board(table)).reason.startswith("No data set")
