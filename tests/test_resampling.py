"""Statistics of runs against scipy, and their intervals against simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ganbench.resampling import (
    RESAMPLES,
    bootstrap_improvement,
    bootstrap_mean,
    bootstrap_profile,
    draw,
    interquartile_mean,
)

RUNS = st.lists(arrays(float, st.integers(1, 6), elements=st.floats(0, 1)), min_size=1, max_size=4)


def made(seed, sets=6, seeds=5, shift=0.0):
    rng = np.random.default_rng(seed)
    return [rng.beta(4, 2, seeds) + shift for _ in range(sets)]


@given(RUNS)
def test_the_interquartile_mean_is_the_mean_trimmed_by_a_quarter(runs):
    assert interquartile_mean(runs) == pytest.approx(stats.trim_mean(np.concatenate(runs), 0.25), abs=1e-12)


def test_the_interquartile_mean_of_eight_runs_is_that_of_the_four_in_the_middle():
    runs = [np.array([0.0, 0.5, 0.6, 1.0]), np.array([0.1, 0.4, 0.5, 0.9])]
    assert interquartile_mean(runs) == pytest.approx(0.5)


def test_each_resample_has_one_run_fewer_of_each_data_set():
    runs = [np.zeros(3), np.zeros(5)]
    drawn = draw("a", runs)
    for row, counts in zip(runs, drawn, strict=True):
        assert counts.shape == (RESAMPLES, len(row))
        assert_array_equal(counts.sum(axis=1), len(row) - 1)
        assert_allclose(counts.mean(axis=0), 1 - 1 / len(row), atol=0.1)


def test_the_mean_of_a_resample_varies_as_the_mean_of_seeds_does():
    row = np.array([0.1, 0.4, 0.9])
    (counts,) = draw("a", [row])
    assert (counts @ row / 2).std() == pytest.approx(stats.sem(row), rel=0.05)


def test_equal_names_draw_equally_and_others_otherwise():
    runs = made(1)
    one, same, other = (np.concatenate(draw(name, runs), axis=1) for name in ("a", "a", "b"))
    assert_array_equal(one, same)
    assert (one != other).any()


def drawn_out(row, counts):
    """The runs of one resample, each as often as it was drawn."""
    return np.repeat(row, counts.astype(int))


def test_the_interval_is_that_of_resamples_that_are_written_out():
    runs = made(2)
    drawn = draw("a", runs)
    written = [
        stats.trim_mean(np.concatenate([drawn_out(*pair) for pair in zip(runs, counts, strict=True)]), 0.25)
        for counts in zip(*drawn, strict=True)
    ]
    found = bootstrap_mean(runs, drawn)
    assert_allclose((found.low, found.high), np.percentile(written, (2.5, 97.5)), rtol=1e-12)
    assert found.low < found.value < found.high


def test_a_profile_is_the_share_of_runs_above_each_threshold():
    runs = [np.array([0.1, 0.5, 0.5]), np.array([0.5, 0.5, 0.9])]
    found = bootstrap_profile(runs, draw("a", runs), np.array([0.0, 0.1, 0.5, 0.9]))
    assert_allclose(found.value, [1, 5 / 6, 1 / 6, 0])
    assert_array_equal(found.low, [1, 0.5, 0, 0])  # both draws of the first data set may be its lowest run
    assert_array_equal(found.high, [1, 1, 0.5, 0])


@given(RUNS)
def test_a_profile_never_rises(runs):
    found = bootstrap_profile(runs, draw("a", runs), np.linspace(0, 1, 7))
    assert (np.diff(found.value) <= 0).all()
    if min(map(len, runs)) > 2:
        assert (np.diff(found.low) <= 1e-12).all()
        assert (np.diff(found.high) <= 1e-12).all()


def test_the_probability_of_improvement_is_mann_and_whitneys_u_averaged_over_data_sets():
    one, other = made(3, shift=0.1), made(4)
    other[0][:2] = one[0][:2]  # ties
    expected = np.mean(
        [stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in zip(one, other, strict=True)]
    )
    found = bootstrap_improvement(one, other, draw("a", one), draw("b", other))
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high


def test_the_two_probabilities_of_a_pair_add_up_to_one_and_so_do_their_intervals():
    one, other = made(3), made(4)
    drawn = draw("a", one), draw("b", other)
    forth = bootstrap_improvement(one, other, *drawn)
    back = bootstrap_improvement(other, one, *drawn[::-1])
    assert_allclose((back.value, back.low, back.high), (1 - forth.value, 1 - forth.high, 1 - forth.low), rtol=1e-12)


def test_data_sets_weigh_alike_in_the_probability_of_improvement_whatever_their_seeds():
    one, other = [np.ones(2), np.zeros(9)], [np.zeros(2), np.ones(9)]
    assert bootstrap_improvement(one, other, draw("a", one), draw("b", other)).value == 0.5


@pytest.mark.parametrize("few", [1, 2])
def test_one_or_two_runs_on_a_data_set_leave_no_interval(few):
    runs, whole = [np.array([0.3, 0.7])[:few], np.array([0.4, 0.6, 0.5])], made(1, sets=2)
    drawn = draw("a", runs)
    for found in (
        bootstrap_mean(runs, drawn),
        bootstrap_profile(runs, drawn, np.array([0.5])),
        bootstrap_improvement(whole, runs, draw("b", whole), drawn),
    ):
        assert np.isfinite(found.value).all()
        assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(("seeds", "percent"), [(3, 87), (5, 91), (10, 94)])
def test_the_interval_covers_the_truth_as_often_as_the_page_says(seeds, percent):
    rng = np.random.default_rng(1)
    truth = interquartile_mean([rng.beta(4, 2, 40_000) * scale for scale in (0.4, 0.6, 0.8, 1.0)])
    covered = []
    for number in range(600):
        runs = [rng.beta(4, 2, seeds) * scale for scale in (0.4, 0.6, 0.8, 1.0)]
        found = bootstrap_mean(runs, draw(str(number), runs))
        covered.append(found.low <= truth <= found.high)
    assert abs(np.mean(covered) - percent / 100) < 0.03
    assert f"| {seeds} | {percent} % |" in (Path(__file__).parent.parent / "docs" / "statistics.md").read_text()
