from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from featured import mixed, normal, whitened

from ganbench_metrics import gaussians
from ganbench_metrics.gaussians import deviation, distance, fitted, influences


def between(real: torch.Tensor, fake: torch.Tensor) -> float:
    return distance(fitted(real), fake).item()


def by_sqrtm(real: np.ndarray, fake: np.ndarray) -> float:
    covariances = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    apart = real.mean(axis=0) - fake.mean(axis=0)
    return float(apart @ apart + np.trace(covariances[0] + covariances[1] - 2 * root.real))


def by_fifty_digits(real: np.ndarray, fake: np.ndarray) -> float:
    with mpmath.workdps(50):
        sides = []
        for features in (real, fake):
            samples = mpmath.matrix(features.tolist())
            mean = mpmath.matrix(1, samples.cols)
            for column in range(samples.cols):
                mean[column] = mpmath.fsum(samples[row, column] for row in range(samples.rows)) / samples.rows
            for row in range(samples.rows):
                samples[row, :] -= mean
            sides.append((mean, samples.T * samples / (samples.rows - 1)))
        (real_mean, real_covariance), (fake_mean, fake_covariance) = sides
        eigenvalues = mpmath.eig(real_covariance * fake_covariance, left=False, right=False)
        overlap = mpmath.fsum(mpmath.sqrt(max(mpmath.re(value), 0)) for value in eigenvalues)
        trace = mpmath.fsum(real_covariance[i, i] + fake_covariance[i, i] for i in range(real_covariance.rows))
        return float(mpmath.norm(real_mean - fake_mean) ** 2 + trace - 2 * overlap)


def test_the_distance_of_two_gaussians_that_commute_in_closed_form():
    real_scale, fake_scale = torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 2, 0.5])
    shift = torch.tensor([0.5, -1, 2.0])
    real, fake = whitened(50, 3, 0) * real_scale, whitened(60, 3, 1) * fake_scale + shift
    expected = (shift**2).sum() + ((real_scale - fake_scale) ** 2).sum()
    assert between(real, fake) == pytest.approx(float(expected), rel=1e-12)


def test_the_distance_where_covariances_do_not_commute_is_that_by_matrix_roots():
    real, fake = mixed(200, 12, 0), mixed(150, 12, 1) + 0.3
    assert between(real, fake) == pytest.approx(by_sqrtm(real.numpy(), fake.numpy()), rel=1e-9)


@pytest.mark.parametrize(("reals", "fakes"), [(5, 4), (6, 3), (30, 4), (4, 30), (30, 20), (7, 7)])
def test_with_few_samples_on_either_side_it_is_exact(reals, fakes):
    real, fake = mixed(reals, 6, 0), mixed(fakes, 6, 1) + 0.3
    assert between(real, fake) == pytest.approx(by_fifty_digits(real.numpy(), fake.numpy()), rel=1e-12)


@pytest.mark.parametrize("zeros", [1, 200])
def test_features_that_are_always_0_change_nothing_whichever_route_they_lead_to(zeros):
    real, fake = mixed(100, 8, 0), mixed(90, 8, 1) + 0.3
    padded = [torch.cat([side, torch.zeros(len(side), zeros)], dim=1) for side in (real, fake)]
    assert between(*padded) == pytest.approx(between(real, fake), rel=1e-10)


def test_a_copied_feature_leaves_the_distance_what_it_is_by_fifty_digits():
    real, fake = mixed(30, 5, 0), mixed(25, 5, 1) + 0.3
    real, fake = (torch.cat([side, side[:, :1]], dim=1) for side in (real, fake))
    assert between(real, fake) == pytest.approx(by_fifty_digits(real.numpy(), fake.numpy()), rel=1e-6)


@pytest.mark.parametrize(("count", "dimension"), [(300, 20), (20, 60)])
def test_a_set_is_at_distance_0_from_itself_within_rounding(count, dimension):
    real = mixed(count, dimension, 0)
    assert between(real, real) == pytest.approx(0, abs=1e-12 * count)
    assert between(real, real + 1) == pytest.approx(dimension, rel=1e-12)


def test_the_distance_is_symmetric():
    real, fake = mixed(80, 10, 0), mixed(60, 10, 1) + 0.3
    assert between(real, fake) == pytest.approx(between(fake, real), rel=1e-11)


def test_the_order_of_samples_and_the_rows_at_a_time_do_not_matter(monkeypatch):
    real, fake = mixed(80, 10, 0), mixed(70, 10, 1)
    whole = between(real, fake)
    assert between(real.flip(0), fake[torch.randperm(70, generator=torch.Generator().manual_seed(0))]) == pytest.approx(
        whole, rel=1e-12
    )
    monkeypatch.setattr(gaussians, "ROWS", 7)
    monkeypatch.setattr(gaussians, "PANEL", 3)
    assert between(real, fake) == pytest.approx(whole, rel=1e-12)


def test_float32_features_far_from_0_lose_nothing():
    real, fake = mixed(500, 4, 0).float() + 1000, mixed(500, 4, 1).float() + 1001
    expected = by_sqrtm(real.double().numpy(), fake.double().numpy())
    assert between(real, fake) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "dimension"), [(40, 3), (6, 8)])
def test_influences_are_the_distances_derivatives_by_the_samples_weights(count, dimension):
    real, fake = mixed(12, dimension, 0), mixed(count, dimension, 1) + 0.3
    found = influences(fitted(real), fake)
    step = 1e-5
    slopes = []
    for sample in range(count):
        ends = []
        for sign in (1, -1):
            weights = torch.full((count,), (1 - sign * step) / count, dtype=torch.float64)
            weights[sample] += sign * step
            ends.append(weighted(real, fake, weights))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    apart = 2 * (fake - fake.mean(dim=0)) @ (fake.mean(dim=0) - real.mean(dim=0))
    expected = apart + (torch.tensor(slopes, dtype=torch.float64) - apart) * (count - 1) / count
    torch.testing.assert_close(found - found.mean(), expected - expected.mean(), rtol=1e-5, atol=1e-5)


def weighted(real: torch.Tensor, fake: torch.Tensor, weights: torch.Tensor) -> float:
    """The distance where fakes have weights that sum to 1."""
    mean = weights @ fake
    scaled = (fake - mean) * (weights * len(fake) / (len(fake) - 1)).sqrt()[:, None]
    gaussian = fitted(real)
    overlap = torch.linalg.svdvals(gaussian["factor"] @ scaled.T).sum()
    apart = (mean - gaussian["mean"]).square().sum()
    return (apart + gaussian["trace"] + scaled.square().sum() - 2 * overlap).item()


@pytest.mark.parametrize(
    ("count", "dimension", "shift", "scale"), [(150, 4, 1.0, 1.0), (150, 4, 0.3, 1.5), (40, 60, 1.0, 1.2)]
)
def test_the_deviation_is_that_of_repeated_samples(count, dimension, shift, scale):
    distances, deviations = [], []
    for trial in range(80):
        real = normal(count, dimension, 2 * trial)
        fake = normal(count, dimension, 2 * trial + 1) * scale + shift / dimension**0.5
        distances.append(between(real, fake))
        deviations.append(deviation(fitted(real), real, fake).item())
    seen = float(np.std(distances, ddof=1))
    factor = 2.0 if count < dimension else 1.3
    assert 0.75 * seen < float(np.mean(deviations)) < factor * seen


def test_near_the_floor_the_deviation_is_too_large_and_by_less_than_double():
    trials = [(normal(200, 8, 2 * trial), normal(200, 8, 2 * trial + 1)) for trial in range(60)]
    seen = float(np.std([between(*trial) for trial in trials], ddof=1))
    estimated = float(np.mean([deviation(fitted(real), real, fake).item() for real, fake in trials]))
    assert seen < estimated < 2 * seen


def test_few_samples_that_repeat_are_at_distance_0_from_themselves_whatever_their_scale():
    rng = torch.Generator().manual_seed(0)
    few = torch.randn(40, 512, generator=rng).relu() * 4
    repeated = few[torch.arange(898) % 40]  # more samples than dimensions, and a covariance of rank 39
    assert abs(between(repeated, repeated)) < 1e-6 * repeated.var().item()


def test_a_covariance_of_low_rank_gives_the_distance_of_the_samples_themselves():
    rng = torch.Generator().manual_seed(1)
    mixing = torch.randn(20, 64, generator=rng, dtype=torch.float64)
    real, fake = (torch.randn(200, 20, generator=rng, dtype=torch.float64) @ mixing for _ in range(2))
    centred = [(side - side.mean(dim=0)) / 199**0.5 for side in (real, fake)]
    overlap = torch.linalg.svdvals(centred[0] @ centred[1].T).sum()
    exact = (real.mean(dim=0) - fake.mean(dim=0)).square().sum() - 2 * overlap
    exact += sum(side.square().sum() for side in centred)
    assert between(real, fake) == pytest.approx(exact.item(), rel=1e-6)
