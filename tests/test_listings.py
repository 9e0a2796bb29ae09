from __future__ import annotations

import io

import fabricate
from rich.console import Console

from ganbench import history
from ganbench.listings import plan_rows, print_components, print_plan, print_rows, suite_rows
from ganbench.plan import Plan, Skipped
from ganbench.store import Store
from ganbench.suite import read_suite
from ganbench.terms import Reference

PENALISED = "needs independent samples, and the discriminator mixes the batch"


def made_plan():
    trials = tuple(fabricate.trial(seed=seed) for seed in (0, 1, 2))
    reference = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    skipped = (Skipped("digits", "a / b / c", PENALISED), Skipped("digits", "a / b / d", PENALISED))
    return Plan(trials, (reference,), skipped)


def printed(width, show, *arguments):
    console = Console(width=width, file=io.StringIO(), color_system=None, _environ={})
    show(console, *arguments)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_plan_has_one_row_a_job_with_what_became_of_it_and_one_for_what_is_skipped(tmp_path):
    plan, store = made_plan(), Store(tmp_path)
    fabricate.commit(store, plan.trials[0], fabricate.Outcome(fabricate.image_scores(3.0)))
    fabricate.commit(store, plan.trials[1], fabricate.Outcome(status="oom", message="out of memory"))
    rows = plan_rows(plan, store)
    assert [(row["status"], row["variant"], row["seed"]) for row in rows] == [
        ("to do", "noise", None),
        ("done", "dcgan / dcgan / hinge", 0),
        ("oom", "dcgan / dcgan / hinge", 1),
        ("to do", "dcgan / dcgan / hinge", 2),
        ("skipped", "a / b / c", None),
        ("skipped", "a / b / d", None),
    ]
    assert rows[1]["key"] == plan.trials[0].key
    assert rows[-1]["reason"] == PENALISED
    assert len({tuple(row) for row in rows}) == 1


def test_a_printed_plan_has_one_line_a_variant_one_a_reason_and_the_time(tmp_path, monkeypatch):
    plan, store = made_plan(), Store(tmp_path)
    fabricate.commit(store, plan.trials[0], fabricate.Outcome(fabricate.image_scores(3.0)))
    monkeypatch.setattr(history, "estimate", lambda jobs: 20.0 * len(jobs))
    lines = printed(120, print_plan, read_suite("quick"), plan, plan_rows(plan, store))
    assert lines[0].startswith("quick: ")
    assert lines[1:] == [
        "dataset  variant                seeds    budget    status",
        "digits   dcgan / dcgan / hinge  0, 1, 2  100 kimg  1 done, 2 to do",
        "",
        "Skipped, because what the plugins declare does not fit:",
        "dataset  variants  reason",
        f"digits   2         {PENALISED}",
        "",
        "2 trials and 1 references to do: about 1 min 00 s of work for one core or GPU.",
    ]


def test_a_plan_that_nothing_was_measured_for_has_no_estimate(tmp_path):
    plan = made_plan()
    lines = printed(120, print_plan, read_suite("quick"), plan, plan_rows(plan, Store(tmp_path)))
    assert lines[-1] == "3 trials and 1 references to do: no estimate, for this machine has not run such trials yet."


def test_rows_are_printed_without_their_empty_columns():
    rows = [{"name": "a", "cause": "", "count": 1}, {"name": "[b]", "cause": None, "count": 20}]
    assert printed(80, print_rows, rows) == ["name  count", "a     1", "[b]   20"]
    assert printed(80, print_rows, []) == ["none"]


def test_names_are_never_cut_however_narrow_the_terminal():
    rows = [
        {"name": "a-very-long-name", "kind": "discriminator", "summary": "word " * 30, "paper": "https://" + "x" * 50}
    ]
    lines = printed(60, print_rows, rows)
    assert lines[1].startswith("a-very-long-name  discriminator  word")
    assert max(map(len, lines)) <= 60


def test_a_component_that_cannot_be_used_shows_the_cause_in_the_place_of_its_summary():
    row = {"name": "x", "kind": "loss", "owner": "o", "version": "1", "status": "ok", "summary": "s", "paper": "p"}
    rows = [{**row, "cause": ""}, {**row, "status": "ambiguous", "cause": "write a:x or b:x"}]
    assert printed(120, print_components, rows) == [
        "name  kind  owner  version  status     summary           paper",
        "x     loss  o      1        ok         s                 p",
        "x     loss  o      1        ambiguous  write a:x or b:x  p",
    ]
    assert printed(80, print_components, rows)[0] == "name  kind  owner  status     summary"


def test_the_shipped_suites_are_listed_with_what_they_are_for():
    rows = suite_rows()
    assert "quick" in [row["name"] for row in rows]
    assert all(row["description"] for row in rows)
