from __future__ import annotations

from dataclasses import replace

import pytest

from ganbench import bench_running
from ganbench.bench_running import features_like_a_networks, of_running, scores_of_features, torch_fidelity_of_features
from ganbench.errors import GanbenchError
from ganbench.plugins import discover
from ganbench.stopwatch import measure
from ganbench.tables import load_results

REGISTRY = discover()


def mark(name):
    return next(mark for mark in of_running(REGISTRY) if mark.name == name)


def test_both_sides_of_the_scores_come_to_the_same_numbers():
    real, fake = features_like_a_networks(1, 1500), features_like_a_networks(2, 1500, shift=0.1)
    ours, theirs = scores_of_features(REGISTRY, real, fake)(), torch_fidelity_of_features(real, fake)
    names = {
        "fcd_bench": "frechet_inception_distance",
        "kid_bench": "kernel_inception_distance_mean",
        "precision_bench": "precision",
        "recall_bench": "recall",
    }
    assert {"density_bench", "coverage_bench"} == set(ours) - set(names)
    for own, its in names.items():
        assert ours[own] == pytest.approx(theirs[its], rel=1e-5), own


def test_made_up_results_are_a_table_of_trials(tmp_path):
    trials = bench_running._toys(REGISTRY, seeds=3, steps=5)
    bench_running._write_results(tmp_path, trials)
    table = load_results(tmp_path)
    assert list(table["status"]) == ["ok"] * 3
    assert set(table["key"]) == {trial.key for trial in trials}
    assert sorted(table["seed"]) == [0, 1, 2]


def test_a_command_that_fails_is_no_measurement():
    with pytest.raises(GanbenchError, match=r"plan nowhere ended with status 2: .*nowhere"):
        bench_running._process(["plan", "nowhere"])()


@pytest.mark.parametrize("name", ["help", "plan", "plugins"])
def test_a_command_is_measured_from_nothing_to_its_end(name):
    (seconds,) = measure(mark(name), rounds=1, budget_seconds=0).ours
    assert 0.02 < seconds < 20


def test_a_trial_begins_before_its_first_step_is_over():
    started, stepped = (measure(mark(name), rounds=1, budget_seconds=0) for name in ("start", "first-step"))
    assert 0 < started.ours[0] < stepped.ours[0] < 30


def test_trials_side_by_side_are_as_many_on_either_side(monkeypatch):
    monkeypatch.setattr(bench_running, "TRIALS", 2)
    monkeypatch.setattr(bench_running, "default_workers", lambda: 2)
    result = measure(mark("side-by-side"), rounds=1, budget_seconds=0)
    assert not result.why_not
    assert 0 < result.ours[0] < 60
    assert 0 < result.baseline[0] < 60


def test_one_core_has_no_two_to_compare_it_with(monkeypatch):
    monkeypatch.setattr(bench_running, "default_workers", lambda: 1)
    assert measure(mark("side-by-side"), rounds=1, budget_seconds=0).why_not == "needs two processor cores"


def test_a_trial_that_fails_is_no_measurement(tmp_path, monkeypatch):
    (trial,) = bench_running._toys(REGISTRY, seeds=1, steps=1)
    broken = replace(trial, dataset=bench_running.Choice("nothing"))
    with (
        bench_running.LocalProcesses(1) as processes,
        pytest.raises(GanbenchError, match=r"a trial failed: .*'nothing'"),
    ):
        bench_running._perform(processes, [broken], bench_running.Store(tmp_path))
