import json
import math

import fabricate
import pandas as pd
import pytest
from commands import ganbench

from ganbench.comparing import COMPARISON_COLUMNS, compare_variants, render_comparisons, verdict_sentence
from ganbench.comparisons import compare, shared_matrix
from ganbench.errors import ResultsError
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_results
from ganbench.terms import Budget


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "suite")


def add(store, loss, values, generator="dcgan", **changes):
    for seed, value in enumerate(values):
        scored = fabricate.Outcome(fabricate.image_scores(value)) if value else fabricate.Outcome((), "diverged", "nan")
        fabricate.commit(store, fabricate.trial(fabricate.variant(loss, generator), seed, **changes), scored)


GOOD, NEAR, BAD = [3.0, 3.2, 3.1, 3.3], [3.1, 3.0, 3.4, 3.2], [9.0, 9.9, 9.1, 9.6]


@pytest.fixture
def three(store):
    for loss, values in (("good", GOOD), ("near", NEAR), ("bad", BAD)):
        add(store, loss, values)
    return store


def compared(store, first, second, score=None):
    return compare_variants(board(load_results(store.path), score), first, second)


def test_a_pair_is_told_as_the_ratio_of_its_means_with_what_the_ranking_knows_of_spreads(three):
    (row,) = compared(three, "good", "bad").to_dict("records")
    values = shared_matrix([dict(enumerate(scores)) for scores in (GOOD, NEAR, BAD)], "geometric")
    pairs = compare(values, ([0], [2]))
    low, high = pairs.intervals()
    ratio = math.prod(good / bad for good, bad in zip(GOOD, BAD, strict=True)) ** 0.25
    assert (row["change"], row["estimate"]) == ("ratio", pytest.approx(ratio))
    assert (row["low"], row["high"]) == pytest.approx((math.exp(low[0]), math.exp(high[0])))
    assert row["p"] == pytest.approx(pairs.p[0])
    assert (row["verdict"], row["seeds"], row["a_finished"]) == ("a", 4, "4/4")
    assert row["better"] > 0.99


def test_the_other_way_round_it_is_the_same_turned(three):
    there, back = (compared(three, *names).iloc[0] for names in (("good", "near"), ("near", "good")))
    assert there["estimate"] == pytest.approx(1 / back["estimate"])
    assert there["better"] == pytest.approx(1 - back["better"])
    assert (there["p"], there["needed"]) == (pytest.approx(back["p"]), back["needed"])


def test_a_score_of_which_more_is_better_turns_the_verdict(store):
    for loss, shares in (("much", (0.8, 0.82, 0.81)), ("little", (0.2, 0.21, 0.19))):
        for seed, share in enumerate(shares):
            outcome = fabricate.Outcome(fabricate.image_scores(3.0, share))
            fabricate.commit(store, fabricate.trial(fabricate.variant(loss), seed), outcome)
    (row,) = compared(store, "much", "little", "coverage_digits").to_dict("records")
    assert (row["verdict"], row["change"], row["direction"]) == ("a", "difference", "higher")
    assert row["estimate"] == pytest.approx(0.61)
    assert row["better"] > 0.99


def test_globs_make_pairs_each_once_and_all_are_corrected_for_each_other(three):
    rows = compared(three, "*", "*")
    assert list(zip(rows["a"], rows["b"], strict=True)) == [("good", "near"), ("good", "bad"), ("near", "bad")]
    alone = compared(three, "good", "near").iloc[0]
    assert rows.iloc[0]["p"] == pytest.approx(alone["p"])  # the largest of them is not corrected by Holm's rule
    assert rows.iloc[1]["p"] > compared(three, "good", "bad").iloc[0]["p"]
    assert "p is corrected for the 3 pairs that are shown" in render_comparisons(rows)


def test_a_name_that_is_there_is_no_glob(store):
    for loss in ("a*", "ab"):
        add(store, loss, GOOD if loss == "ab" else BAD)
    assert compared(store, "a*", "ab").iloc[0]["a"] == "a*"
    assert len(compared(store, "a?", "a*")) == 1


def test_a_part_names_every_variant_that_has_it(store):
    for generator in ("dcgan", "mlp"):
        add(store, "hinge", GOOD, generator)
    rows = compared(store, "dcgan", "mlp")
    assert rows.iloc[0]["a"].startswith("dcgan")
    assert len(rows) == 1


def test_the_recipe_tells_variants_of_one_name_apart(store):
    from ganbench.terms import Training

    add(store, "a", GOOD)
    add(store, "a", BAD, training=Training(batch_size=8))
    recipes = board(load_results(store.path))["recipe"].tolist()
    (row,) = compared(store, *recipes).to_dict("records")
    assert row["verdict"] == "a"
    assert recipes[0] in row["a"]


def test_a_name_that_fits_nothing_gets_the_nearest(three):
    with pytest.raises(ResultsError, match=r"no variant 'goood' in these results. Did you mean 'good'\?"):
        compared(three, "goood", "bad")


def test_one_variant_is_not_compared_with_itself(three):
    with pytest.raises(ResultsError, match="'good' and 'good' are one variant; name two"):
        compared(three, "good", "good")


def test_what_is_never_ranked_together_is_not_compared(store):
    add(store, "a", GOOD)
    add(store, "b", BAD, budget=Budget(kimg=500.0))
    with pytest.raises(ResultsError, match=r"never ranked together.*'a' on digits \(protocol \w{8}\), 'b' on digits"):
        compared(store, "a", "b")


def test_seeds_that_failed_are_told_and_the_others_compared(store):
    add(store, "a", [3.0, None, 3.1, 3.2])
    add(store, "b", [9.0, 9.5, None, 9.3])
    (row,) = compared(store, "a", "b").to_dict("records")
    assert (row["seeds"], row["a_finished"], row["b_finished"]) == (2, "3/4", "3/4")
    assert "Seeds that finished: a 3/4, b 3/4." in verdict_sentence(row)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([3.0], [9.0], "undecided, for they share 1 seed."),
        ([3.0, None], [None, 9.0], "undecided, for they share 0 seeds. Seeds that finished: a 1/2, b 1/2."),
        ([3.0, 3.0], [9.0, 9.0], "undecided, for no seed differs from another."),
        ([3.0, 3.3, 2.9], [3.1, 3.0, 3.2], r"more seeds of each would decide a difference as large as this one"),
        ([3.0, 3.3, 2.7], [3.0, 2.7, 3.3001], "1,000 seeds would hardly tell such a difference."),
        (GOOD, BAD, "a is better than b: decided by 4 shared seeds."),
    ],
)
def test_a_sentence_says_what_the_seeds_say(store, first, second, said):
    add(store, "a", first)
    add(store, "b", second)
    (row,) = compared(store, "a", "b").to_dict("records")
    assert said in verdict_sentence(row)


def test_the_columns_are_the_documented_ones(three):
    rows = compared(three, "good", "*")
    expected = {name: column.dtype for name, column in COMPARISON_COLUMNS.items()}
    assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == expected


def test_the_bar_lies_on_the_side_of_the_better_one(three):
    lines = [line for line in render_comparisons(compared(three, "good", "bad")).splitlines() if "●" in line]
    assert len(lines) == 1
    assert lines[0].index("●") < lines[0].index("│")


def test_every_line_fits_a_narrow_terminal(three):
    assert max(map(len, render_comparisons(compared(three, "*", "*"), 80).splitlines())) <= 80


def test_hostile_names_are_text(store):
    add(store, "[bold]x\x1b[31m\u202e<script>", GOOD)
    add(store, "b", BAD)
    told = render_comparisons(compared(store, "*script*", "b"))
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "[bold]x" in told.replace("\n", "")


def test_the_command_prints_the_same_numbers(three):
    done = ganbench("compare", three.path, "good", "bad", "--format", "json")
    assert done.status == 0
    (row,) = json.loads(done.out)
    (expected,) = compared(three, "good", "bad").to_dict("records")
    assert {name: row[name] for name in ("estimate", "p", "verdict")} == {
        name: expected[name] for name in ("estimate", "p", "verdict")
    }


def test_a_request_that_cannot_be_met_is_one_message(three):
    for arguments in (("nobody", "bad"), ("good", "bad", "--at", "5 parsecs"), ("good", "bad", "--score", "nothing")):
        done = ganbench("compare", three.path, *arguments)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("ganbench: ")
        assert len(done.err.splitlines()) == 1


def test_results_without_trials_have_nothing_to_compare(store):
    fabricate.commit(store, fabricate.submission("mine"), fabricate.Outcome(fabricate.image_scores(1.0)))
    with pytest.raises(ResultsError, match=r"no variant .a. in these results. Known: none"):
        compared(store, "a", "b")


def test_nothing_is_compared_that_lost_its_scores(store):
    add(store, "a", [None, None])
    add(store, "b", [None, None])
    (row,) = compared(store, "a", "b").to_dict("records")
    assert row["verdict"] == "undecided"
    assert pd.isna(row["needed"])
