import math
from dataclasses import replace

import fabricate
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ganbench.errors import ResultsError
from ganbench.standings import lead_sentence, leading_group, rankings
from ganbench.statistics import BOARD_COLUMNS, board, summarise
from ganbench.store import Store
from ganbench.tables import load_results
from ganbench.terms import Budget, Choice, Reference, Score, Training


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "suite")


def add(store, loss, scores, **changes):
    """A trial of `loss` for each distance in `scores`; None is a seed that failed."""
    for seed, value in enumerate(scores):
        outcome = (
            fabricate.Outcome(fabricate.image_scores(value)) if value else fabricate.Outcome((), "diverged", "nan")
        )
        fabricate.commit(store, fabricate.trial(fabricate.variant(loss), seed, **changes), outcome)


def ranks(store, score=None):
    ranked = board(load_results(store.path), score)
    return {row["loss"]: row["rank"] for _, row in ranked[ranked["kind"] == "trial"].iterrows()}


def test_the_geometric_mean_of_one_four_and_sixteen_is_four():
    assert summarise([1.0, 4.0, 16.0], "geometric").mean == pytest.approx(4.0)


def test_the_arithmetic_interval_is_that_of_students_distribution():
    values = [3.1, 2.7, 3.9, 3.3]
    summary = summarise(values, "arithmetic")
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (summary.mean, summary.low, summary.high, summary.n) == pytest.approx((3.25, low, high, 4))


def test_the_geometric_interval_is_that_of_the_logarithms():
    values = [3.1, 2.7, 3.9, 3.3]
    logs = np.log(values)
    low, high = stats.t.interval(0.95, 3, loc=logs.mean(), scale=stats.sem(logs))
    summary = summarise(values, "geometric")
    assert (summary.low, summary.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_equal_seeds_have_an_interval_of_no_width():
    summary = summarise([7.0, 7.0, 7.0], "arithmetic")
    assert (summary.mean, summary.low, summary.high) == (7.0, 7.0, 7.0)


def test_one_seed_has_no_interval_and_none_has_no_mean():
    one, none = summarise([2.5], "geometric"), summarise([], "geometric")
    assert one.mean == pytest.approx(2.5)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(none.mean)
    assert (one.n, none.n) == (1, 0)


def test_a_geometric_mean_of_zero_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        summarise([0.0, 1.0], "geometric")


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_covers_the_truth_in_95_of_100_experiments(n):
    rng = np.random.default_rng(n)
    samples = np.exp(rng.normal(1.0, 0.3, (4000, n)))
    summaries = [summarise(sample, "geometric") for sample in samples]
    covered = np.mean([summary.low <= math.e <= summary.high for summary in summaries])
    assert 0.94 < covered < 0.96


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=8), st.floats(0.01, 100))
def test_a_change_of_unit_scales_the_geometric_mean_and_its_interval(values, unit):
    one, other = summarise(values, "geometric"), summarise([unit * value for value in values], "geometric")
    np.testing.assert_allclose(
        [other.mean, other.low, other.high], [unit * one.mean, unit * one.low, unit * one.high], rtol=1e-6
    )


def test_variants_that_the_seeds_tell_apart_have_ranks_of_their_own(store):
    add(store, "third", [30.0, 30.1, 30.2])
    add(store, "first", [3.0, 3.01, 3.02])
    add(store, "second", [9.0, 9.1, 9.2])
    assert ranks(store) == {"first": "1", "second": "2", "third": "3"}
    assert list(ranks(store)) == ["first", "second", "third"]


def test_a_rank_is_a_range_where_the_seeds_leave_it_open(store):
    add(store, "a", [3.0, 3.1, 3.4])
    add(store, "b", [3.4, 3.3, 3.2])
    add(store, "c", [4.7, 4.6, 4.8])
    add(store, "d", [50.0, 51.0, 52.0])
    assert ranks(store) == {"a": "1–2", "b": "1–2", "c": "3", "d": "4"}


def test_seeds_are_paired_what_they_share_hides_no_difference(store):
    add(store, "a", [3.0, 30.0, 0.3, 9.0])
    add(store, "b", [3.31, 33.2, 0.328, 9.95])  # 10 % worse with each seed, among seeds that differ a hundredfold
    assert ranks(store) == {"a": "1", "b": "2"}
    (low, high) = board(load_results(store.path)).loc[0, ["low", "high"]]
    assert low < 3.31 < high


def test_fewer_than_five_seeds_are_provisional(store):
    add(store, "four", [3.0, 3.1, 3.2, None])
    add(store, "five", [3.0, 3.1, 3.2, None, 3.0])
    refer(store, "noise", 180.0)
    provisional = board(load_results(store.path)).set_index("variant")["provisional"]
    assert provisional["dcgan / dcgan / four"]
    assert not provisional["dcgan / dcgan / five"]
    assert provisional["noise"] is pd.NA


def test_a_row_tells_which_seeds_its_scores_are_of(store):
    add(store, "a", [3.0, None, 3.2])
    refer(store, "noise", 180.0)
    ranked = board(load_results(store.path))
    assert ranked["seeds"].tolist() == [(0, 2), ()]
    assert ranked["values"].tolist() == [(3.0, 3.2), (180.0,)]


def test_higher_is_better_where_the_score_says_so(store):
    add(store, "near", [3.0, 3.1, 3.2])
    add(store, "far", [30.0, 31.0, 32.0])
    for loss, shares in (("covers", (0.90, 0.91, 0.92)), ("collapses", (0.10, 0.11, 0.12))):
        for seed, share in enumerate(shares):
            job = fabricate.trial(fabricate.variant(loss), seed)
            fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(5.0, share)))
    found = ranks(store, "coverage_digits")
    assert found["covers"] == "1"
    assert found["collapses"] == "4"


def test_seeds_that_cannot_be_told_apart_all_share_every_rank(store):
    add(store, "a", [3.0])
    add(store, "b", [9.0])
    assert ranks(store) == {"a": "1–2", "b": "1–2"}


def test_a_variant_with_a_failed_seed_ranks_after_every_complete_one(store):
    add(store, "worse", [90.0, 91.0, 92.0])
    add(store, "fragile", [1.0, None, 1.2])
    add(store, "broken", [None, None, None])
    add(store, "rarely", [None, 0.5, None])
    assert ranks(store) == {"worse": "1", "fragile": "2", "rarely": "3", "broken": "4"}
    rows = board(load_results(store.path)).set_index("loss")
    assert (rows.loc["fragile", "ok"], rows.loc["fragile", "attempted"]) == (2, 3)
    assert rows.loc["fragile", "mean"] == pytest.approx(math.sqrt(1.2))
    assert rows.loc["fragile", "values"] == (1.0, 1.2)
    assert math.isnan(rows.loc["broken", "mean"])


def test_a_score_that_is_undefined_counts_as_a_failure(store):
    add(store, "hinge", [3.0, 4.0])
    undefined = tuple(replace(score, value=None) for score in fabricate.image_scores(3.0))
    fabricate.commit(store, fabricate.trial(fabricate.variant("hinge"), 2), fabricate.Outcome(undefined))
    row = board(load_results(store.path)).iloc[0]
    assert (row["ok"], row["attempted"]) == (2, 3)


def test_protocols_are_never_ranked_together(store):
    add(store, "a", [3.0, 3.1])
    add(store, "b", [9.0, 9.1], budget=Budget(kimg=500.0))
    ranked = board(load_results(store.path))
    assert ranked["protocol"].nunique() == 2
    assert ranked["rank"].tolist() == ["1", "1"]


def add_on(store, loss, values, facts, **changes):
    """A trial of `loss` for each distance in `values`, that ran in the environment of `facts`."""
    for seed, value in enumerate(values):
        outcome = fabricate.Outcome(fabricate.image_scores(value))
        environment = {**fabricate.ENVIRONMENT_FACTS, **facts}
        fabricate.commit(store, fabricate.trial(fabricate.variant(loss), seed, **changes), outcome, environment)


def ranks_by_conditions(store):
    ranked = board(load_results(store.path)).query("kind == 'trial'")
    return {(row["conditions"], row["loss"]): row["rank"] for _, row in ranked.iterrows()}


def test_precisions_are_never_ranked_together(store):
    add_on(store, "a", [3.0, 3.1], {"precision": "float32"})
    add_on(store, "b", [9.0, 9.1], {"precision": "bf16"})
    add_on(store, "c", [5.0, 5.1], {"precision": "bf16"})
    assert ranks_by_conditions(store) == {("", "a"): "1", ("precision bf16", "b"): "2", ("precision bf16", "c"): "1"}


def test_the_same_references_stand_beside_every_precision(store):
    reference = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    fabricate.commit(store, reference, fabricate.Outcome(fabricate.image_scores(188.0)))
    for precision in ("float32", "tf32"):
        add_on(store, precision, [3.0, 3.1], {"precision": precision})
    ranked = board(load_results(store.path))
    assert ranked["noise"].tolist() == [188.0] * 4
    assert sorted(ranked.query("kind == 'reference'")["conditions"]) == ["", "precision tf32"]


def test_drivers_are_ranked_together_but_where_device_time_is_the_budget(store):
    timed = Budget(device_seconds=9.0)
    for budget in (Budget(kimg=100.0), timed):
        add_on(store, "a", [3.0, 3.1], {"driver": "eager"}, budget=budget)
        add_on(store, "b", [9.0, 9.1], {"driver": "graph"}, budget=budget)
    found = ranks_by_conditions(store)
    eager, graph = (f"device Test CPU · driver {driver}" for driver in ("eager", "graph"))
    assert found == {("", "a"): "1", ("", "b"): "2", (eager, "a"): "1", (graph, "b"): "1"}


def test_one_variant_with_two_recipes_is_two_rows(store):
    add(store, "a", [3.0, 3.1])
    add(store, "a", [9.0, 9.1], training=Training(batch_size=8))
    ranked = board(load_results(store.path))
    assert ranked["training"].tolist() == ["", "batch_size=8"]
    assert ranked["mean"].tolist() == pytest.approx([math.sqrt(9.3), math.sqrt(81.9)])


def test_references_stand_at_the_ends_unranked_and_beside_every_row(store):
    add(store, "a", [3.0, 3.1])
    for name, value in (("noise", 180.0), ("real_floor", 0.6)):
        job = Reference(fabricate.DIGITS, name, fabricate.evaluation())
        fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(value)))
    ranked = board(load_results(store.path))
    assert ranked["variant"].tolist() == ["real_floor", "dcgan / dcgan / a", "noise"]
    assert ranked["rank"].tolist() == ["", "1", ""]
    assert ranked["real_floor"].tolist() == [0.6] * 3
    assert ranked["noise"].tolist() == [180.0] * 3


def test_a_reference_of_another_sample_count_does_not_stand_beside(store):
    add(store, "a", [3.0, 3.1])
    job = Reference(fabricate.DIGITS, "real_floor", fabricate.evaluation(samples=500))
    fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(0.6, n=500)))
    assert board(load_results(store.path))["real_floor"].isna().all()


def evaluate(store, name, value, noise=None, **changes):
    first, *others = fabricate.image_scores(value, n=changes.pop("n", 898))
    job = fabricate.submission(name, **changes)
    fabricate.commit(store, job, fabricate.Outcome((replace(first, noise=noise), *others)))


def refer(store, name, value):
    job = Reference(fabricate.DIGITS, name, fabricate.evaluation())
    fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(value)))


def test_what_was_evaluated_stands_below_the_ranked_by_score_and_above_noise_without_a_rank(store):
    add(store, "a", [3.0, 3.1])
    add(store, "b", [9.0, 9.1])
    for name, value in (("worse", 5.0), ("better", 1.0)):
        evaluate(store, name, value)
    for name, value in (("noise", 180.0), ("perfect", 0.5), ("real_floor", 0.6)):
        refer(store, name, value)
    ranked = board(load_results(store.path))
    names = [name.removeprefix("dcgan / dcgan / ") for name in ranked["variant"]]
    assert names == ["real_floor", "perfect", "a", "b", "better", "worse", "noise"]
    assert ranked["rank"].tolist() == ["", "", "1", "2", "", "", ""]
    assert ranked["protocol"].nunique() == 1
    assert ranked["perfect"].tolist() == [0.5] * 7
    row = ranked.set_index("variant").loc["better"]
    assert (row["kind"], row["generator"], row["mean"], row["values"]) == ("evaluated", "samples", 1.0, (1.0,))
    assert math.isnan(row["low"])


def test_what_was_evaluated_changes_no_rank_and_no_sentence(store):
    add(store, "a", [3.0, 3.1])
    add(store, "b", [9.0, 9.1])
    before = board(load_results(store.path))
    evaluate(store, "zero", 0.0)
    after = board(load_results(store.path))
    assert after["mean_rule"].tolist() == ["geometric"] * 3
    trials = after[after["kind"] == "trial"].reset_index(drop=True)
    assert trials.equals(before)
    assert lead_sentence(rankings(after)[0]) == lead_sentence(rankings(before)[0])


def test_what_was_evaluated_joins_every_ranking_that_was_measured_alike(store):
    add(store, "a", [3.0, 3.1])
    add(store, "b", [3.0, 3.1], budget=Budget(kimg=500.0))
    evaluate(store, "mine", 2.0)
    ranked = board(load_results(store.path))
    assert ranked.groupby("protocol")["variant"].apply(list).tolist() == [
        [f"dcgan / dcgan / {loss}", "mine"] for loss in ranked[ranked["kind"] == "trial"]["loss"]
    ]


def test_what_was_evaluated_in_another_folder_joins_too_and_once(tmp_path):
    add(Store(tmp_path / "suite"), "a", [3.0, 3.1])
    for name in ("evaluated", "again"):
        evaluate(Store(tmp_path / name), "mine", 2.0)
    assert board(load_results(tmp_path))["variant"].tolist() == ["dcgan / dcgan / a", "mine"]


def test_what_was_evaluated_in_another_way_stands_alone(store):
    add(store, "a", [3.0, 3.1])
    evaluate(store, "mine", 2.0, n=500)
    both = rankings(board(load_results(store.path)))
    assert sorted(ranking["kind"].tolist() for ranking in both) == [["evaluated"], ["trial"]]


def test_a_table_without_trials_still_makes_a_board(store):
    refer(store, "real_floor", 0.6)
    evaluate(store, "worse", 5.0, sha256="ef" * 32)
    evaluate(store, "better", 1.0, noise=0.25)
    (ranking,) = rankings(board(load_results(store.path)))
    assert ranking["variant"].tolist() == ["real_floor", "better", "worse"]
    assert set(ranking["rank"]) == {""}
    assert lead_sentence(ranking) == (
        "Nothing was trained here: these were evaluated only, so they are not ranked. "
        "The best fcd_digits is that of better: 1.00 ± 0.250 (lower is better)."
    )


def test_two_submissions_of_one_name_are_two_rows(store):
    for sha256, value in (("aa" * 32, 2.0), ("bb" * 32, 1.0)):
        evaluate(store, "mine", value, sha256=sha256)
    assert board(load_results(store.path))["mean"].tolist() == [1.0, 2.0]


def test_an_evaluation_that_failed_is_on_no_board(store):
    add(store, "a", [3.0, 3.1])
    fabricate.commit(store, fabricate.submission("mine"), fabricate.Outcome((), "error", "raised"))
    assert board(load_results(store.path))["kind"].tolist() == ["trial"]


def test_the_metric_noise_of_a_row_is_the_median_over_its_seeds(store):
    for seed, noise in enumerate((0.1, 0.7, 0.2)):
        first, *others = fabricate.image_scores(3.0)
        outcome = fabricate.Outcome((replace(first, noise=noise), *others))
        fabricate.commit(store, fabricate.trial(seed=seed), outcome)
    evaluate(store, "mine", 2.0, noise=0.4)
    assert board(load_results(store.path))["metric_noise"].tolist() == [0.2, 0.4]
    assert board(load_results(store.path), "coverage_digits")["metric_noise"].isna().all()


def test_the_same_trial_in_two_suites_counts_once(tmp_path):
    add(Store(tmp_path / "first"), "a", [3.0, 3.1])
    add(Store(tmp_path / "second"), "a", [3.0, 3.1])
    assert board(load_results(tmp_path))["attempted"].tolist() == [2]


def test_each_dataset_is_ranked_by_its_own_first_score(store):
    add(store, "a", [3.0, 3.1])
    outcome = fabricate.Outcome(fabricate.point_scores(8.0))
    job = fabricate.trial(fabricate.variant("a"), 0, fabricate.RING, evaluation=fabricate.evaluation(fabricate.RING))
    fabricate.commit(store, job, outcome)
    ranked = board(load_results(store.path)).set_index("dataset")
    assert ranked["score"].to_dict() == {"digits": "fcd_digits", "ring8(sigma=0.02)": "modes_20pct"}
    assert board(load_results(store.path), "modes_20pct")["dataset"].tolist() == ["ring8(sigma=0.02)"]


def test_a_suite_that_measured_other_scores_is_left_out_not_failed(tmp_path):
    add(Store(tmp_path / "first"), "a", [3.0, 3.1])
    other = (Score("kid_digits", 0.1, "lower", n_fake=898, n_real=898, **fabricate.FEATURES),)
    fabricate.commit(Store(tmp_path / "second"), fabricate.trial(fabricate.variant("b")), fabricate.Outcome(other))
    assert board(load_results(tmp_path), "fcd_digits")["loss"].tolist() == ["a"]


def test_a_distance_that_reaches_zero_is_averaged_arithmetically(store):
    for seed, value in enumerate((-0.1, 0.3)):
        fabricate.commit(store, fabricate.trial(seed=seed), fabricate.Outcome(fabricate.image_scores(value)))
    row = board(load_results(store.path)).iloc[0]
    assert row["mean_rule"] == "arithmetic"
    assert row["mean"] == pytest.approx(0.1)


def test_the_other_scores_and_the_speed_are_medians(store):
    for seed, (share, speed) in enumerate(((0.1, 100.0), (0.7, 300.0), (0.9, 200.0))):
        outcome = fabricate.Outcome(fabricate.image_scores(3.0, share), costs={"images_per_second": speed})
        fabricate.commit(store, fabricate.trial(seed=seed), outcome)
    row = board(load_results(store.path)).iloc[0]
    assert (row["median_coverage_digits"], row["images_per_second"]) == (0.7, 200.0)


def test_only_failures_still_make_a_board(store):
    add(store, "a", [None, None])
    row = board(load_results(store.path)).iloc[0]
    assert (row["rank"], row["score"], row["ok"], row["attempted"]) == ("–", "", 0, 2)


def test_an_unknown_score_names_the_nearest(store):
    add(store, "a", [3.0])
    with pytest.raises(ResultsError, match="Did you mean 'fcd_digits'"):
        board(load_results(store.path), "fcd_digit")


def test_an_empty_table_gives_an_empty_board_of_the_same_columns(store):
    (store.path / "runs").mkdir(parents=True)
    ranked = board(load_results(store.path))
    assert ranked.empty
    assert {name: str(ranked[name].dtype) for name in BOARD_COLUMNS} == {n: c.dtype for n, c in BOARD_COLUMNS.items()}


def test_scores_that_were_measured_by_other_settings_are_never_ranked_together(store):
    add(store, "a", [3.0, 3.1])
    for seed, value in enumerate((1.0, 1.1)):
        scores = tuple(replace(score, settings="neighbours=20") for score in fabricate.image_scores(value))
        fabricate.commit(store, fabricate.trial(fabricate.variant("b"), seed), fabricate.Outcome(scores))
    assert ranks(store) == {"a": "1", "b": "1"}
    assert board(load_results(store.path))["protocol"].nunique() == 2


def test_trials_on_other_data_of_the_same_name_are_never_ranked_together(store):
    for loss, origin in (("a", "60,000 images"), ("b", "9,000 images")):
        outcome = fabricate.Outcome(fabricate.image_scores(3.0))
        fabricate.commit(store, fabricate.trial(fabricate.variant(loss)), outcome, {"data": origin})
    assert board(load_results(store.path))["protocol"].nunique() == 2


def test_a_failure_that_could_not_tell_its_data_and_device_stands_beside_those_that_could(store):
    budget = Budget(device_seconds=9.0)
    told = {"data": "60,000 images", "device": "a processor"}
    outcome = fabricate.Outcome(fabricate.image_scores(3.0))
    fabricate.commit(store, fabricate.trial(fabricate.variant("a"), budget=budget), outcome, told)
    lost = fabricate.Outcome((), "killed", "by signal SIGKILL")
    fabricate.commit(store, fabricate.trial(fabricate.variant("b"), budget=budget), lost, {})
    assert ranks(store) == {"a": "1", "b": "2"}


def test_suites_that_measured_other_scores_stand_in_boards_of_their_own(tmp_path):
    one, other = (Store(tmp_path / name) for name in ("one", "other"))
    add(one, "a", [3.0, 3.1])
    kid = Score("kid_digits", 0.2, "lower", metric="kernel", n_fake=898, n_real=898)
    evaluation = replace(fabricate.evaluation(), metrics=(Choice("kernel"),))
    made = fabricate.trial(fabricate.variant("b"), evaluation=evaluation, budget=Budget(kimg=7.0))
    fabricate.commit(other, made, fabricate.Outcome((kid,)))
    ranked = board(load_results(tmp_path))
    assert dict(zip(ranked["loss"], ranked["score"], strict=True)) == {"a": "fcd_digits", "b": "kid_digits"}
    assert set(board(load_results(tmp_path), "fcd_digits")["loss"]) == {"a"}


def test_the_leading_group_holds_every_variant_that_no_other_is_known_to_beat(store):
    add(store, "wide", [2.0, 4.5, 3.0])
    add(store, "narrow", [3.30, 3.31, 3.32])
    add(store, "near", [4.0, 4.1, 4.2])  # narrow is known to beat it, wide is not
    add(store, "far", [90.0, 91.0, 92.0])
    (ranking,) = rankings(board(load_results(store.path)))
    assert list(ranking.loc[leading_group(ranking), "loss"]) == ["wide", "narrow"]
    assert ranking.set_index("loss")["rank"].to_dict() == {"wide": "1–3", "narrow": "1–2", "near": "2–3", "far": "4"}
    assert "do not separate it from narrow." in lead_sentence(ranking)


def test_seeds_that_lie_very_far_apart_leave_the_upper_end_open():
    summary = summarise([1e-30, 1e30], "geometric")
    assert summary.mean == pytest.approx(1.0)
    assert (summary.low, summary.high) == (0.0, math.inf)


def test_numbers_whose_sum_is_beyond_float64_still_have_a_mean():
    summary = summarise([1.7e308, 1.7e308, 1.7e308], "arithmetic")
    assert [summary.mean, summary.low, summary.high] == pytest.approx([1.7e308] * 3)
    assert summarise([1.5e308, -1.5e308], "arithmetic").mean == 0.0


def test_of_two_runs_that_ended_at_once_the_same_one_counts_in_whatever_order_they_come(tmp_path):
    for suite, fcd in (("first", 3.0), ("second", 4.0)):
        fabricate.commit(Store(tmp_path / suite), fabricate.trial(), fabricate.Outcome(fabricate.image_scores(fcd)))
    table = load_results(tmp_path)
    turned = table.iloc[::-1].reset_index(drop=True)
    turned.attrs = table.attrs
    assert board(table)["mean"].tolist() == board(turned)["mean"].tolist() == [pytest.approx(4.0)]


def test_a_run_that_does_not_tell_when_it_ended_stands_behind_one_that_does(tmp_path):
    for suite, fcd, ended in (("first", 3.0, "2030-01-01T00:00:25+00:00"), ("second", 4.0, "once upon a time")):
        outcome = fabricate.Outcome(fabricate.image_scores(fcd), finished_at=ended)
        fabricate.commit(Store(tmp_path / suite), fabricate.trial(), outcome)
    assert board(load_results(tmp_path))["mean"].tolist() == [pytest.approx(3.0)]
