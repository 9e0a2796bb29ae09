from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganbench import history
from ganbench.history import cache_folder, estimate, remember
from ganbench.terms import Budget, Choice, Evaluation, Reference, Submission, Training, Trial, Variant

HINGE = Variant(Choice("mlp"), Choice("mlp"), Choice("hinge"))
WGAN = Variant(Choice("mlp"), Choice("mlp"), Choice("wgan"))
EVALUATION = Evaluation((1.0,), (Choice("modes"),), 100)
RING, GRID = Choice("ring8"), Choice("grid25")


def trial(variant=HINGE, *, dataset=RING, seed=0, batch_size=64, **budget):
    return Trial(dataset, variant, seed, Budget(**budget or {"kimg": 100}), Training(batch_size=batch_size), EVALUATION)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBENCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_machine_that_measured_nothing_knows_nothing():
    assert estimate([trial()]) is None


def test_no_jobs_take_no_time():
    assert estimate([]) == 0


def test_what_was_measured_with_one_seed_holds_for_all():
    remember(trial(seed=0), 12.0)
    assert estimate([trial(seed=seed) for seed in range(5)]) == 60.0


def test_an_estimate_is_the_median_of_the_last_measurements():
    for seconds in (100.0, 100.0, 1.0, 2.0, 3.0, 90.0, 4.0):
        remember(trial(), seconds)
    assert estimate([trial()]) == 3.0


def test_another_budget_on_the_same_axis_is_scaled():
    remember(trial(kimg=100), 12.0)
    assert estimate([trial(kimg=300)]) == pytest.approx(36.0)
    assert estimate([trial(kimg=50)]) == pytest.approx(6.0)


def test_the_same_budget_counts_before_one_that_is_scaled():
    remember(trial(kimg=100), 12.0)
    remember(trial(kimg=200), 20.0)
    remember(trial(kimg=100), 14.0)
    assert estimate([trial(kimg=200)]) == 20.0


def test_budgets_on_different_axes_say_nothing_of_each_other():
    remember(trial(kimg=100), 12.0)
    assert estimate([trial(steps=100)]) is None
    assert estimate([trial(kimg=100, steps=100)]) is None


def test_other_training_is_another_measurement():
    remember(trial(batch_size=64), 12.0)
    assert estimate([trial(batch_size=128)]) is None


def test_a_job_that_was_never_measured_counts_as_the_mean_of_its_data_set():
    remember(trial(HINGE), 10.0)
    remember(trial(WGAN), 30.0)
    unknown = trial(Variant(Choice("dcgan"), Choice("mlp"), Choice("hinge")))
    assert estimate([trial(HINGE), trial(WGAN), unknown]) == 60.0


def test_a_data_set_that_was_never_measured_makes_the_whole_unknown():
    remember(trial(dataset=RING), 10.0)
    assert estimate([trial(dataset=RING), trial(dataset=GRID)]) is None


def test_references_are_measured_apart_from_trials():
    floor, noise = (Reference(RING, name, EVALUATION) for name in ("real_floor", "noise"))
    remember(floor, 2.0)
    assert estimate([floor]) == 2.0
    assert estimate([noise]) is None
    assert estimate([trial()]) is None


def test_what_was_evaluated_is_measured_apart_too():
    mine = Submission(RING, "mine", "samples", "ab", EVALUATION)
    remember(mine, 2.0)
    assert estimate([replace(mine, name="other", sha256="cd")]) == 2.0
    assert estimate([Reference(RING, "noise", EVALUATION)]) is None


def test_another_machine_in_the_same_home_does_not_count(monkeypatch):
    remember(trial(), 12.0)
    monkeypatch.setattr(history.platform, "node", lambda: "elsewhere")
    assert estimate([trial()]) is None


def test_broken_lines_are_passed_over(folder):
    remember(trial(), 12.0)
    path = folder / "history.jsonl"
    good = json.loads(path.read_text())
    bad = [
        "{", "[]", "3", "null", '"x"', "[" * 5_000, "\udcff", "",
        json.dumps({**good, "seconds": -1.0}), json.dumps({**good, "seconds": "1"}), json.dumps({**good, "more": 1}),
        json.dumps({**good, "seconds": float("inf")}), json.dumps({**good, "budget": 3}),
        json.dumps({**good, "budget": {"kimg": 0}}), json.dumps({**good, "budget": {"kimg": None}}),
    ]  # fmt: skip
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n" + "\n".join(bad).encode("utf-8", "surrogateescape") + b"\n")
    remember(trial(), 14.0)
    assert estimate([trial()]) == 13.0


@given(st.lists(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)), max_size=5))
def test_whatever_is_in_the_file_an_estimate_is_made_or_not(tmp_path_factory, lines):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.getbasetemp() / "history"
        folder.mkdir(exist_ok=True)
        patch.setenv("GANBENCH_CACHE_DIR", str(folder))
        (folder / "history.jsonl").write_bytes(b"\n".join(lines))
        assert estimate([trial()]) is None


def test_the_file_stays_small_and_keeps_what_is_recent(folder, monkeypatch):
    monkeypatch.setattr(history, "MAX_BYTES", 2_000)
    for seconds in range(1, 101):
        remember(trial(), float(seconds))
    path = folder / "history.jsonl"
    assert path.stat().st_size < 2_500
    assert [item.name for item in folder.iterdir()] == ["history.jsonl"]
    assert estimate([trial()]) == 98.0


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANBENCH_CACHE_DIR", str(tmp_path / "file"))
    remember(trial(), 1.0)
    assert estimate([trial()]) is None


def test_without_the_variable_the_cache_lies_in_the_users_own_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("GANBENCH_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder().name == "ganbench"
    assert os.fspath(cache_folder()).startswith(os.fspath(Path.home()))


MANY = """
import sys
from ganbench.history import remember
from ganbench.terms import Choice, Evaluation, Reference
for _ in range(200):
    remember(Reference(Choice("ring8"), "noise", Evaluation((1.0,), (), 100)), float(sys.argv[1]))
"""


def test_processes_that_remember_at_once_lose_no_line(folder):
    processes = [subprocess.Popen([sys.executable, "-c", MANY, str(seconds)]) for seconds in (1, 2, 3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    lines = (folder / "history.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["seconds"] for line in lines) == [1.0] * 200 + [2.0] * 200 + [3.0] * 200


def test_a_trial_that_is_evaluated_in_another_way_is_still_the_same_work():
    remember(trial(), 12.0)
    assert estimate([replace(trial(), evaluation=replace(EVALUATION, samples=7))]) == 12.0
