"""The trials behind a ranking are those that the board counted."""

from __future__ import annotations

import fabricate
import numpy as np
import pandas as pd
from tabulated import run_row, tabulated

from ganbench.seedruns import RUN_COLUMNS, seed_runs
from ganbench.standings import rankings, trials_of
from ganbench.statistics import board
from ganbench.tables import load_results
from ganbench.terms import Training


def test_they_are_the_seeds_that_the_board_counted(tmp_path):
    store = fabricate.write_suite(tmp_path / "suite")
    for seed in range(2):  # another recipe of a variant, and the same trial in a second suite
        changed = fabricate.trial(fabricate.variant("hinge"), seed, training=Training(batch_size=8))
        fabricate.commit(store, changed, fabricate.Outcome(fabricate.image_scores(4.0 + seed)))
    again = fabricate.Outcome(fabricate.image_scores(7.0), finished_at="2031-01-01T00:00:25+00:00")
    fabricate.commit(fabricate.Store(tmp_path / "second"), fabricate.trial(fabricate.variant("hinge"), 0), again)
    table = load_results(tmp_path)
    compared = 0
    for ranking in rankings(board(table)):
        runs = seed_runs(table, ranking).set_index(["variant", "recipe"])
        for row in trials_of(ranking).to_dict("records"):
            own = runs.loc[[(row["variant"], row["recipe"])]]
            assert tuple(own["value"].dropna()) == row["values"]
            assert (len(own), own["dataset"].iloc[0]) == (row["attempted"], row["dataset"])
            compared += 1
    assert compared == 13


def test_the_order_of_the_table_does_not_matter():
    table = tabulated(run_row(1.0 + seed, loss=loss, seed=seed) for loss in "ab" for seed in range(4))
    (ranking,) = rankings(board(table))
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(seed_runs(shuffled, ranking), seed_runs(table, ranking))


def test_a_trial_that_failed_is_a_row_without_a_value():
    table = tabulated(run_row(value, seed=seed) for seed, value in enumerate([1.0, 2.0, None]))
    (ranking,) = rankings(board(table))
    np.testing.assert_array_equal(seed_runs(table, ranking)["value"], [1, 2, np.nan])


def test_where_no_score_is_known_there_are_no_rows_but_the_columns():
    table = tabulated([run_row(None)], {})
    (ranking,) = rankings(board(table))
    assert ranking["score"].tolist() == [""]
    runs = seed_runs(table, ranking)
    assert runs.empty
    assert {name: str(runs[name].dtype) for name in runs} == {n: column.dtype for n, column in RUN_COLUMNS.items()}
