from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
import torch
from featured import evidence, mixed, normal, values, whitened

from ganbench.errors import ChoiceError
from ganbench_metrics import frechet
from ganbench_metrics.frechet import Frechet, FrechetInfinity, intercept, subset_sizes
from ganbench_metrics.protocol import INCEPTION_SHA256


def test_the_score_is_the_distance_and_names_the_classifier():
    (score,) = Frechet()(evidence(whitened(40, 2, 0), whitened(50, 2, 1) * 3 + 1))
    assert score.name == "fcd_toy"
    assert score.value == pytest.approx(2 * 1 + 2 * (3 - 1) ** 2, rel=1e-12)
    assert (score.direction, score.mean, score.n_real, score.n_fake) == ("lower", "geometric", 40, 50)


@pytest.mark.parametrize(("count", "written"), [(300, "300"), (1000, "1k")])
def test_only_inceptions_own_features_make_a_fid(count, written):
    shown = evidence(whitened(count, 2, 0), whitened(count, 2, 1) + 1, "inception")
    assert [score.name for metric in (Frechet(), FrechetInfinity()) for score in metric(shown)] == [
        "fcd_inception",
        "fcd_infinity_inception",
    ]
    genuine = replace(shown.extractor, weights_sha256=INCEPTION_SHA256, layer="2048")
    shown = replace(shown, extractor=genuine)
    assert [score.name for metric in (Frechet(), FrechetInfinity()) for score in metric(shown)] == [
        f"fid_inception_{written}",
        "fid_infinity_inception",
    ]


def test_extrapolation_removes_the_bias_of_few_fakes():
    real, shift = whitened(2000, 18, 0) / 3, (0.02 / 18) ** 0.5
    plain, extrapolated, noises = [], [], []
    for trial in range(30):
        shown = evidence(real, normal(1000, 18, trial + 1) / 3 + shift, resamples=1)
        plain.append(Frechet()(shown)[0].value)
        (score,) = FrechetInfinity()(shown)
        extrapolated.append(score.value)
        noises.append(score.noise)
    assert statistics.mean(plain) == pytest.approx(0.0317, abs=0.002)
    assert statistics.mean(extrapolated) == pytest.approx(0.0200, abs=0.002)
    assert 0.7 < statistics.mean(noises) / statistics.stdev(extrapolated) < 1.5


def test_sizes_are_evenly_spaced_from_a_tenth_or_twice_the_dimension_to_all():
    assert subset_sizes(15, 50_000, 2048)[:2] == [5000, 8214]
    assert subset_sizes(15, 50_000, 2048)[-1] == 50_000
    assert subset_sizes(3, 10_000, 2048) == [4096, 7048, 10_000]
    assert subset_sizes(3, 1000, 2048) == [500, 750, 1000]
    assert len(set(subset_sizes(15, 30, 64))) == 15


def test_the_intercept_of_points_on_a_line_is_exact_and_has_no_error():
    sizes = [10, 20, 40]
    value, error = intercept(sizes, [3 + 5 / size for size in sizes])
    assert value == pytest.approx(3)
    assert error == pytest.approx(0, abs=1e-12)


def test_the_intercepts_error_is_that_of_least_squares():
    sizes, distances = [10, 20, 40, 80], [1.0, 0.8, 0.9, 0.5]
    found = statistics.linear_regression([1 / size for size in sizes], distances)
    value, error = intercept(sizes, distances)
    assert value == pytest.approx(found.intercept)
    design = torch.tensor([[1, 1 / size] for size in sizes], dtype=torch.float64)
    residual = (
        torch.tensor(distances, dtype=torch.float64) - design @ torch.tensor([found.intercept, found.slope]).double()
    )
    variance = residual @ residual / 2 * torch.linalg.inv(design.T @ design)[0, 0]
    assert error == pytest.approx(variance.sqrt().item(), rel=1e-5)


def test_noise_is_estimated_only_where_there_is_time_for_it():
    shown = evidence(mixed(60, 4, 0), mixed(60, 4, 1))
    for metric in (Frechet(), FrechetInfinity()):
        assert metric(shown)[0].noise is None
        assert metric(replace(shown, resamples=20))[0].noise > 0


def test_the_real_side_is_fitted_once_for_both_metrics_and_the_next_evaluation(monkeypatch):
    fits = []

    def counted(samples):
        fits.append(len(samples))
        return fitted(samples)

    fitted = frechet.fitted
    monkeypatch.setattr(frechet, "fitted", counted)
    shown = evidence(mixed(60, 4, 0), mixed(50, 4, 1))
    (first,), _ = Frechet()(shown), FrechetInfinity()(shown)
    (second,) = Frechet()(evidence(mixed(60, 4, 0), mixed(50, 4, 2), of_real=shown.of_real))
    assert fits == [60]
    assert first.value != second.value


def test_the_subsets_of_the_extrapolation_follow_the_seed():
    shown = evidence(mixed(100, 4, 0), mixed(100, 4, 1))
    first, again, other = (FrechetInfinity()(replace(shown, rng_seed=seed))[0] for seed in (0, 0, 1))
    assert first == again
    assert first.settings == "points=15, smallest=10, rng_seed=0"
    assert other.value != first.value


@pytest.mark.parametrize(
    ("metric", "least"), [(Frechet(), 2), (FrechetInfinity(), 30), (FrechetInfinity(points=5), 10)]
)
def test_too_few_fakes_leave_it_undefined(metric, least):
    features = mixed(40, 2, 0)
    assert set(values(metric(evidence(features, features[: least - 1] + 1))).values()) == {None}
    assert set(values(metric(evidence(features[:1], features))).values()) == {None}
    assert None not in values(metric(evidence(features[:2], features[:least] + 1))).values()


def test_a_line_takes_three_points():
    with pytest.raises(ChoiceError, match="points is 2, expected at least 3"):
        FrechetInfinity(points=2)
