from __future__ import annotations

import math
from dataclasses import replace

import fabricate
import pytest

from ganbench.agreement import NOT_RECORDED, Account, compare
from ganbench.terms import Record, Score, Spent

ENVIRONMENT = {
    "ganbench": "0.1.0",
    "ganbench_sha256": "ab" * 32,
    "packages": {"torch": "2.11.0", "pandas": "3.0"},
    "thread_variables": {"OMP_NUM_THREADS": "1"},
    "device": "Test CPU",
    "device_kind": "cpu",
    "cpu_capability": "AVX2",
    "threads": 1,
    "platform": "Linux",
    "driver": "vectorised",
    "driver_reason": "not graph: no GPU",
    "seeds_together": 2,
    "plugins": [{"plugin": "losses", "owner": "ganbench", "version": "0.1.0", "sha256": "cd" * 32}],
    "git": {"ganbench": {"commit": "ef" * 20, "dirty": False}},
}
SCORES = (Score("fcd", 10.0, "lower", noise=0.5), Score("coverage", 0.5, "higher"))
RECORD = Record("k" * 64, "trial", "ok", "", "", spent=Spent(1.0, 100, 3.0, 0.2), scores=SCORES)
CURVE = {"kimg": [0.5, 1.0], "device_seconds": [1.0, 3.0], "fcd": [20.0, 10.0], "logit/real": [0.1, None]}
THEN = Account(RECORD, ENVIRONMENT, CURVE)
SAME_WEIGHTS = {"layer.weight": 0.0}


def with_scores(*scores: Score) -> Account:
    return replace(THEN, record=replace(RECORD, scores=scores))


def elsewhere(**facts: object) -> dict[str, object]:
    return {**ENVIRONMENT, **facts}


def failing(verdict) -> list[str]:
    return [item.what for item in verdict.compared if not item.agrees]


def test_what_is_the_same_agrees_to_the_last_bit():
    verdict = compare(THEN, THEN, SAME_WEIGHTS)
    assert (verdict.agrees, verdict.same, verdict.changes, verdict.reasons) == (True, True, (), ())
    assert {item.allowed for item in verdict.compared} == {"the same"}
    assert [item.what for item in verdict.compared] == [
        "status", "kimg", "steps", "petaflops", "fcd", "coverage", "kimg, point 1 of 2", "fcd, point 1 of 2",
        "logit/real, point 1 of 2", "layer.weight",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "weights", "what"),
    [
        (with_scores(replace(SCORES[0], value=math.nextafter(10.0, 11.0)), SCORES[1]), SAME_WEIGHTS, "fcd"),
        (with_scores(replace(SCORES[0], noise=0.4), SCORES[1]), SAME_WEIGHTS, "noise:fcd"),
        (with_scores(SCORES[0], replace(SCORES[1], value=None)), SAME_WEIGHTS, "coverage"),
        (with_scores(SCORES[0]), SAME_WEIGHTS, "coverage"),
        (with_scores(*SCORES, Score("new", 1.0, "lower")), SAME_WEIGHTS, "new"),
        (replace(THEN, record=replace(RECORD, spent=replace(RECORD.spent, steps=101))), SAME_WEIGHTS, "steps"),
        (replace(THEN, curve={**CURVE, "logit/real": [0.1, 0.0]}), SAME_WEIGHTS, "logit/real, point 2 of 2"),
        (replace(THEN, curve={**CURVE, "fcd": [20.0]}), SAME_WEIGHTS, "fcd"),
        (replace(THEN, curve={**CURVE, "more": [1.0, 1.0]}), SAME_WEIGHTS, "more"),
        (THEN, {"layer.weight": 1e-9}, "layer.weight"),
        (THEN, {"layer.weight": 0.0, "new": math.inf}, "new"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_on_the_same_machine_the_smallest_difference_is_one(now, weights, what):
    verdict = compare(THEN, now, weights)
    assert verdict.reasons == ()
    assert (verdict.agrees, verdict.same) == (False, False)
    assert failing(verdict) == [what]


def test_seconds_are_never_compared():
    spent = replace(RECORD.spent, device_seconds=99.0)
    now = Account(replace(RECORD, spent=spent), ENVIRONMENT, {**CURVE, "device_seconds": [7.0, 8.0]})
    assert compare(THEN, now, SAME_WEIGHTS).same


@pytest.mark.parametrize(
    ("facts", "what", "then", "now"),
    [
        ({"packages": {"torch": "2.12.0", "pandas": "3.0"}}, "torch", "2.11.0", "2.12.0"),
        ({"device": "Another CPU"}, "device", "Test CPU", "Another CPU"),
        ({"cpu_capability": "AVX512"}, "cpu_capability", "AVX2", "AVX512"),
        ({"threads": 2}, "threads", "1", "2"),
        ({"thread_variables": {"OMP_NUM_THREADS": None}}, "OMP_NUM_THREADS", "1", "none"),
        ({"driver": "eager"}, "driver", "vectorised", "eager"),
        ({"seeds_together": 3}, "seeds_together", "2", "3"),
        ({"ganbench_sha256": "12" * 32}, "ganbench_sha256", f"#{'ab' * 6}", f"#{'12' * 6}"),
        (
            {"plugins": [{**ENVIRONMENT["plugins"][0], "sha256": "12" * 32}]},
            "plugin losses",
            f"ganbench 0.1.0 #{'cd' * 6}",
            f"ganbench 0.1.0 #{'12' * 6}",
        ),
        ({"plugins": []}, "plugin losses", f"ganbench 0.1.0 #{'cd' * 6}", NOT_RECORDED),
        ({"data": "folder #1"}, "data", NOT_RECORDED, "folder #1"),
    ],
)
def test_what_bits_depend_on_is_told_and_then_a_tolerance_holds(facts, what, then, now):
    verdict = compare(THEN, replace(THEN, environment=elsewhere(**facts)), {"layer.weight": 0.3})
    (change,) = verdict.changes
    assert (change.what, change.then, change.now, change.decides) == (what, then, now, True)
    assert verdict.reasons == (f"not {'recorded' if then == NOT_RECORDED else 'as it was'}: {what}",)
    assert (verdict.agrees, verdict.same) == (True, False)


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"platform": "Linux of another day"}, "platform"),
        ({"cores": 4}, "cores"),
        ({"packages": {"torch": "2.11.0", "pandas": "3.1"}}, "pandas"),
        ({"git": {"ganbench": {"commit": "ef" * 20, "dirty": True}}}, "git ganbench"),
    ],
)
def test_what_no_bit_depends_on_is_told_and_changes_no_demand(facts, what):
    verdict = compare(THEN, replace(THEN, environment=elsewhere(**facts)), SAME_WEIGHTS)
    assert [(change.what, change.decides) for change in verdict.changes] == [(what, False)]
    assert verdict.reasons == ()


@pytest.mark.parametrize("facts", [{"driver_reason": "asked for"}, {"resumed": [{"step": 3}]}, {"cudnn": None}])
def test_how_it_came_about_is_no_difference(facts):
    assert compare(THEN, replace(THEN, environment=elsewhere(**facts)), SAME_WEIGHTS).changes == ()


@pytest.mark.parametrize(
    ("value", "tolerance", "agrees"),
    [(12.0, 0.05, True), (8.0, 0.05, True), (12.1, 0.05, False), (12.9, 0.3, True), (6.9, 0.3, False)],
)
def test_a_score_may_be_off_by_the_tolerance_or_by_four_of_its_own_deviations(value, tolerance, agrees):
    now = replace(with_scores(replace(SCORES[0], value=value), SCORES[1]), environment=elsewhere(device="Another CPU"))
    verdict = compare(THEN, now, SAME_WEIGHTS, tolerance)
    assert verdict.agrees == agrees
    assert failing(verdict) == ([] if agrees else ["fcd"])


@pytest.mark.parametrize(("value", "agrees"), [(0.52, True), (0.48, True), (0.53, False), (0.47, False), (None, False)])
def test_a_score_whose_deviation_is_not_known_may_be_off_by_the_tolerance(value, agrees):
    now = replace(with_scores(SCORES[0], replace(SCORES[1], value=value)), environment=elsewhere(threads=2))
    assert compare(THEN, now, SAME_WEIGHTS).agrees == agrees


def test_under_a_tolerance_curves_of_scores_are_held_to_it_and_what_training_leaves_behind_is_not():
    there = elsewhere(device="Another CPU")
    drifted = Account(RECORD, there, {**CURVE, "logit/real": [5.0, 6.0], "fcd": [21.0, 10.0]})
    assert compare(THEN, drifted, {"layer.weight": 0.9}).agrees
    off = Account(RECORD, there, {**CURVE, "fcd": [23.0, 10.0]})
    assert failing(compare(THEN, off, SAME_WEIGHTS)) == ["fcd, point 1 of 2"]


def test_scores_that_were_measured_in_another_way_are_not_held_to_the_last_bit():
    now = with_scores(replace(SCORES[0], version=2), SCORES[1])
    verdict = compare(THEN, now, SAME_WEIGHTS)
    assert [(change.what, change.then, change.now) for change in verdict.changes] == [("fcd, version", "1", "2")]
    assert verdict.reasons


def test_bits_are_not_demanded_of_a_gpu():
    there = replace(THEN, environment=elsewhere(device_kind="cuda"))
    assert compare(there, there, SAME_WEIGHTS).reasons == ("it ran on a GPU",)


def test_where_device_time_is_the_budget_steps_may_be_any_number_and_scores_are_held_to_a_tolerance():
    now = Account(replace(RECORD, spent=Spent(2.0, 200, 3.0, 0.4)), ENVIRONMENT, {**CURVE, "fcd": [90.0, 10.0]})
    verdict = compare(THEN, now, SAME_WEIGHTS, timed=True)
    assert verdict.reasons == ("device time is the budget",)
    assert verdict.agrees
    worse = replace(now, record=replace(now.record, scores=(replace(SCORES[0], value=20.0), SCORES[1])))
    assert failing(compare(THEN, worse, SAME_WEIGHTS, timed=True)) == ["fcd"]


@pytest.mark.parametrize(
    "environment", [{}, {"ganbench": "0.1.0", "packages": {"torch": "2.11.0"}, "plugins": ["x: 1"]}]
)
def test_of_what_was_not_recorded_nobody_can_say_that_it_is_the_same(environment):
    verdict = compare(replace(THEN, environment=environment), THEN, SAME_WEIGHTS)
    assert verdict.reasons
    assert {change.then for change in verdict.changes} == {NOT_RECORDED}
    assert verdict.agrees


# --- other ends


def ended(status: str, **changes: object) -> Account:
    return Account(replace(RECORD, status=status, scores=(), **changes), ENVIRONMENT)


def test_a_trial_that_diverges_at_the_same_step_agrees():
    assert compare(ended("diverged", failed_step=7), ended("diverged", failed_step=7), {}).same
    other = compare(ended("diverged", failed_step=7), ended("diverged", failed_step=8), {})
    assert failing(other) == ["failed_step"]


@pytest.mark.parametrize("status", ["oom", "timeout", "error", "killed"])
def test_of_other_failures_only_the_word_is_compared(status):
    then, now = ended(status, failed_step=3), ended(status, failed_step=9, spent=Spent())
    assert [item.what for item in compare(then, now, {"layer.weight": 1.0}).compared] == ["status"]
    assert compare(then, now, {}).same
    well = compare(then, THEN, {"layer.weight": math.inf})
    assert [(item.what, item.then, item.now, item.agrees) for item in well.compared] == [
        ("status", status, "ok", False)
    ]


def test_of_a_reference_only_scores_are_compared():
    record = replace(RECORD, kind="reference", spent=Spent())
    account = Account(record, fabricate.ENVIRONMENT_FACTS)
    assert [item.what for item in compare(account, account, {}).compared] == ["status", "fcd", "coverage"]
