from __future__ import annotations

import itertools
import math
import statistics
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.mangling import HOSTILE, texts, tried, well_or_refused

from ganbench.errors import ResultsError
from ganbench.report import render_markdown, render_text
from ganbench.statistics import BOARD_COLUMNS, board
from ganbench.tables import COLUMNS, _typed
from ganbench.terms import STATUSES
from ganbench.views import render_table, select

SCORES = {
    "distance": {"direction": "lower", "mean": "geometric"},
    "coverage": {"direction": "higher", "mean": "arithmetic"},
}
TIMES = ["2030-01-01T00:00:00Z", "2030-01-01T00:00:01Z", "", "not a time"]

values = (
    st.none()
    | st.floats(0.01, 100)
    | st.sampled_from([0.0, 1.0, 2.0, 5e-324, 1e-300, 1e308, 1.7e308])
    | st.floats(allow_nan=False, allow_infinity=False)
)
rows = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["trial", "trial", "trial", "trial", "reference", "evaluated"]),
        "status": st.sampled_from(["ok", "ok", "ok", *STATUSES]),
        "dataset": st.sampled_from(["ring8", "digits"]),
        "variant": st.sampled_from(["a", "b", "c"]),
        "recipe": st.sampled_from(["r1", "r1", "r2"]),
        "seed": st.integers(0, 3),
        "budget": st.sampled_from(["1 kimg", "1 kimg", "2 kimg"]),
        "suite": st.sampled_from(["one", "two"]),
        "distance": values,
        "coverage": values,
        "noise:distance": values,
        "kimg": values,
        "images_per_second": values,
        "finished_at": st.sampled_from(TIMES),
    }
)


def completed(row, number):
    """The row with all that follows from what was drawn."""
    row = {**row, "key": f"{number:064x}", "attempt": 1, "evaluation_protocol": f"e{row['dataset']}", "training": ""}
    if row["status"] != "ok":
        row.update(dict.fromkeys(["distance", "coverage", "noise:distance"]))
    if row["kind"] != "trial":
        names = {"a": "real_floor", "b": "perfect", "c": "noise"}
        row["variant"] = names[row["variant"]] if row["kind"] == "reference" else row["variant"]
        return {**row, "protocol": row["evaluation_protocol"], "seed": None, "budget": "", "recipe": ""}
    parts = {"generator": row["variant"], "discriminator": row["variant"], "loss": "hinge"}
    return {**row, **parts, "protocol": f"{row['dataset']} {row['budget']}"}


def tabled(drawn):
    """A table as load_results gives it."""
    made = [completed(row, number) for number, row in enumerate(drawn)]
    table = _typed(made, ["distance", "coverage", "noise:distance"])
    scores = {"distance": {"metric": "d"}, "coverage": {"metric": "c"}}
    measured = {name: dict.fromkeys(("ring8", "digits"), scores) for name in ("one", "two")}
    table.attrs = {"results": "results", "scores": SCORES, "measured": measured}
    return table


tables = st.lists(rows, max_size=14).map(tabled)


def rankings(ranked):
    return [group for _, group in ranked.groupby(["dataset", "protocol"], sort=False)]


def newest(table, row):
    """By seed, the score of each trial of the board's row, as it ended last."""
    same = (table["kind"] == "trial") & (table["protocol"] == row["protocol"]) & (table["variant"] == row["variant"])
    runs = table[same & (table["recipe"] == row["recipe"])].sort_values(
        ["finished_at", "suite", "key"], na_position="first"
    )
    return runs.drop_duplicates("seed", keep="last").set_index("seed")[row["score"]].sort_index()


@tried
@given(tables, st.sampled_from([None, "distance", "coverage"]))
def test_whatever_was_measured_there_is_a_board_that_can_be_shown(table, score):
    ranked = board(table, score)
    assert list(ranked.columns) == [*BOARD_COLUMNS, "median_distance", "median_coverage"]
    for form in ("text", "json", "csv", "markdown", "latex"):
        render_table(ranked, form)
    render_text(ranked)
    render_markdown(ranked)


@tried
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(table, random):
    order = list(range(len(table)))
    random.shuffle(order)
    shuffled = table.iloc[order].reset_index(drop=True)
    shuffled.attrs = table.attrs
    pd.testing.assert_frame_equal(board(shuffled), board(table))


@tried
@given(tables, st.sampled_from(["distance", "coverage"]))
def test_every_seed_that_was_tried_counts_once_and_a_failure_is_one_without_a_score(table, score):
    for row in board(table, score).query("kind == 'trial'").to_dict("records"):
        seeds = newest(table, row)
        assert row["attempted"] == len(seeds)
        assert row["ok"] == seeds.notna().sum()
        assert row["values"] == tuple(seeds.dropna())


@tried
@given(tables, st.sampled_from(["distance", "coverage"]))
def test_the_mean_is_what_its_rule_says_of_the_values(table, score):
    for row in board(table, score).query("ok > 0").to_dict("records"):
        if row["kind"] == "trial" and row["mean_rule"] == "geometric":
            expected = math.exp(statistics.fmean(map(math.log, row["values"])))
        else:
            expected = float(sum(map(Fraction, row["values"])) / len(row["values"]))
        # Values that cancel leave the rounding of their sum.
        rounding = 1e-13 * max(map(abs, row["values"]))
        assert row["mean"] == pytest.approx(expected, rel=1e-9, abs=max(rounding, 1e-320))
        assert not math.isinf(row["mean"])


@tried
@given(tables, st.sampled_from(["distance", "coverage"]))
def test_ranks_go_by_the_share_of_seeds_that_finished_and_then_by_the_mean(table, score):
    for ranking in rankings(board(table, score)):
        trials = ranking.query("kind == 'trial'").to_dict("records")
        for row in trials:
            before = sum(share_of(other) > share_of(row) for other in trials)
            behind = sum(share_of(other) < share_of(row) for other in trials)
            assert 1 + before <= row["rank_low"] <= row["rank_high"] <= len(trials) - behind
            assert row["provisional"] == (row["attempted"] < 5)
            assert len(row["seeds"]) == len(row["values"]) == row["ok"]
        shares = [row["ok"] / row["attempted"] for row in trials]
        assert shares == sorted(shares, reverse=True)
        for above, below in itertools.pairwise(trials):
            if above["ok"] / above["attempted"] == below["ok"] / below["attempted"] > 0:
                sign = 1 if row["direction"] == "lower" else -1
                assert sign * above["mean"] <= sign * below["mean"]


def share_of(row):
    return row["ok"] / row["attempted"]


@tried
@given(tables)
def test_what_was_not_trained_is_never_ranked(table):
    ranked = board(table)
    untrained = ranked[ranked["kind"] != "trial"]
    assert (untrained["rank"] == "").all()
    assert untrained["rank_low"].isna().all()


# --- choosing rows and columns

names = st.sampled_from([*COLUMNS, "distance", "*", "se?d", "[a-"]) | texts
odd_values = [
    *HOSTILE, "1", "-1.5", "1e999", "inf", "nan", "ok", "[", "*", "2030-12-31", "2030-12-31T23:59+02:00", "now", "NaT",
    "10000-01-01", "1-1-1", "1e400", "0x1F", "1_000", "٣", "2030-12-31T23:59[Nowhere/City]",
]  # fmt: skip
signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", " = "])
written = st.builds("{}{}{}".format, names, signs, texts | st.sampled_from(odd_values) | st.floats().map(str))
comparisons = written | texts


@tried
@given(tables, comparisons, st.lists(names, max_size=3))
def test_whatever_is_asked_of_a_table_it_is_chosen_or_one_error(table, comparison, columns):
    with well_or_refused(ResultsError, ""):
        chosen = select(table, columns, [comparison])
        assert set(chosen.index) <= set(table.index)
        render_table(chosen, "text")
        render_table(chosen, "json")


@tried
@given(tables, st.sampled_from(["seed", "distance", "kimg"]), st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_lies_on_one_side_of_a_comparison(table, name, value):
    count = {sign: len(select(table, None, [f"{name}{sign}{value!r}"])) for sign in ("<", "<=", "=", "!=", ">", ">=")}
    known = int(table[name].notna().sum())
    assert count["<"] + count["="] + count[">"] == known
    assert count["<="] == count["<"] + count["="]
    assert count[">="] == count[">"] + count["="]
    assert count["!="] == len(table) - count["="]


@tried
@given(tables, st.sampled_from(["variant", "status", "kind"]), st.sampled_from(["a", "ok", "*", "?", "tri*", "[ab]"]))
def test_a_glob_fits_or_it_does_not(table, name, glob):
    fitting, others = (select(table, None, [f"{name}{sign}{glob}"]) for sign in ("=", "!="))
    assert sorted([*fitting.index, *others.index]) == list(table.index)


def test_an_absurd_table_is_still_a_board():
    row = {"kind": "trial", "status": "ok", "dataset": "ring8", "variant": "a", "recipe": "r", "budget": "1 kimg",
           "suite": "one", "distance": -1.7e308, "coverage": 1.7e308, "finished_at": TIMES[0]}  # fmt: skip
    ranked = board(tabled([{**row, "seed": seed} for seed in range(5)]), "coverage")
    assert ranked["mean"].tolist() == [1.7e308]
    assert np.isfinite(ranked[["low", "high"]].to_numpy(dtype=float)).all()
