import pandas as pd
import pytest

from ganbench.abridging import FEWEST, ROWS, cuts_of, is_crowded, kept_rows, kept_scores, left_out, most_rows


@pytest.fixture
def ranking():
    """Real data, four variants, one that was evaluated only, and noise."""
    kinds = ["reference", *["trial"] * 4, "evaluated", "reference"]
    scores = {f"median_{name}": 1.0 for name in ("fid", "kid", "recall", "density", "coverage")}
    return pd.DataFrame({"kind": pd.Series(kinds, dtype="string"), "score": "fid", **scores})


def test_boards_share_the_rows_of_a_page_and_none_is_left_with_nothing():
    assert [most_rows(boards) for boards in (0, 1, 4)] == [ROWS, ROWS, ROWS // 4]
    assert most_rows(10**6) == FEWEST


def test_the_best_variants_stay_and_all_that_is_not_ranked(ranking):
    assert kept_rows(ranking, 2) == [True, True, True, False, False, True, True]
    assert all(kept_rows(ranking, 4))


def test_the_slider_shows_the_same_rows(ranking):
    cuts = {"kimg": [list("rabcden"), list("rABCDen")], "device_seconds": None}
    assert cuts_of(cuts, kept_rows(ranking, 2)) == {"kimg": [list("raben"), list("rABen")], "device_seconds": None}


def test_a_crowded_board_has_fewer_scores(ranking):
    assert [is_crowded([{}] * rows) for rows in (1_000, 1_001)] == [False, True]
    assert kept_scores(ranking, crowded=False) == ["kid", "recall", "density", "coverage"]
    assert kept_scores(ranking, crowded=True) == ["kid", "recall", "density"]


def test_what_is_left_out_is_said(ranking):
    everything = kept_scores(ranking, crowded=False)
    assert left_out(ranking, kept_rows(ranking, 4), everything) == []
    rows, scores = left_out(ranking, kept_rows(ranking, 2), everything[:3])
    assert rows == "The best 2 of 4 variants stand here; 'ganbench leaderboard' prints all of them."
    assert scores == "1 more score is not shown beside so many variants; 'ganbench table' prints all of them."
