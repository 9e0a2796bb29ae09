from __future__ import annotations

import json
import os

import pytest
from commands import ganbench, records, write_suite
from small import ODD

from ganbench import trial
from ganbench.terms import Limits
from ganbench_executors import ganbench_executors
from ganbench_executors.inline import Inline


def left(folder):
    """What each record says that does not depend on when and how fast it was made, by its key."""
    found = {}
    for path in records(folder):
        record = json.loads(path.read_text())
        found[record["key"]] = {name: record[name] for name in ("kind", "status", "message", "failed_step", "scores")}
    return found


def curves(folder):
    """Each trial's curve without the columns of time, by the trial's key."""
    import pandas as pd

    found = {}
    for path in folder.rglob("curve.parquet"):
        key = json.loads((path.parent / "record.json").read_text())["key"]
        curve = pd.read_parquet(path)
        found[key] = curve[[name for name in curve if "seconds" not in name]]
    return found


@pytest.mark.slow
def test_a_run_in_this_process_leaves_the_records_that_one_in_processes_leaves(tmp_path):
    suite = write_suite(tmp_path / "same.toml", losses=["hinge", "vae"], seeds=1, steps=8)
    folders = {name: tmp_path / name for name in ("processes", "inline")}
    for name, folder in folders.items():
        result = ganbench("run", suite, "--results", folder, "--executor", name, "--workers", 1, "--driver", "eager")
        assert result.status == 0, result.err
    ours, theirs = left(folders["inline"]), left(folders["processes"])
    assert len(ours) == 2 + 3  # and the references
    assert ours == theirs
    assert all(record["scores"] for record in ours.values())
    mine, its = curves(folders["inline"]), curves(folders["processes"])
    assert len(mine) == 2
    assert all(mine[key].equals(its[key]) for key in mine)


@pytest.mark.slow
def test_a_trial_that_fails_is_a_row_and_the_others_go_on(tmp_path):
    suite = write_suite(tmp_path / "odd.toml", losses=[{"name": "raising", "step": 2}, "hinge"], seeds=1, steps=3)
    folder = tmp_path / "results"
    result = ganbench("run", suite, "--results", folder, "--executor", "inline", "--plugin", ODD)
    assert result.status == 1
    found = [record for record in left(folder).values() if record["kind"] == "trial"]
    assert sorted(record["status"] for record in found) == ["error", "ok"]
    assert any("raising" in record["message"] for record in found)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("inlin", "--executor: no executor named 'inlin'. Did you mean 'inline'? Known: inline, processes"),
        ("inline(workers=2)", "--executor: executor 'inline': no parameter 'workers'"),
    ],
)
def test_an_executor_that_there_is_not_is_refused_before_anything_runs(named, said, tmp_path):
    folder = tmp_path / "results"
    result = ganbench("run", write_suite(tmp_path / "s.toml"), "--results", folder, "--executor", named)
    assert result.status == 2
    assert said in " ".join(result.err.split())
    assert not folder.exists()


def test_jobs_are_carried_out_where_and_when_they_are_handed_in(monkeypatch):
    given = []
    monkeypatch.setattr(trial, "perform", lambda tasks: given.append((tasks, os.getpid())) or "no rule")
    with Inline(3) as executor:
        future = executor.submit(["a task"], Limits(seconds=0.001))
        assert future.done()
    assert future.result() == "no rule"
    assert given == [(["a task"], os.getpid())]


def test_what_goes_wrong_outside_of_a_trial_is_in_the_future_but_an_interrupt_ends_the_run(monkeypatch):
    def perform(tasks):
        raise tasks[0]

    monkeypatch.setattr(trial, "perform", perform)
    with Inline(1) as executor:
        assert isinstance(executor.submit([OSError("disk full")]).exception(), OSError)
        with pytest.raises(KeyboardInterrupt):
            executor.submit([KeyboardInterrupt()])


def test_processes_and_inline_are_offered():
    assert [component.name for component in ganbench_executors()] == ["processes", "inline"]
