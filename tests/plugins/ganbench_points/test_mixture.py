"""Mixtures against SciPy's normal distribution, numerical integrals and the law of large numbers."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from ganbench.protocols import Places
from ganbench_points import mixture as module
from ganbench_points.data import grid25, rare_modes, ring8, spiral, two_scales
from ganbench_points.mixture import Mixture

SETS = [ring8, grid25, spiral, two_scales, rare_modes]


def lopsided() -> Mixture:
    centres = torch.tensor([[0.0, 0.0], [3.0, 1.0], [-1.0, 2.0]], dtype=torch.float64)
    deviations = torch.tensor([0.5, 0.1, 1.5], dtype=torch.float64)
    return Mixture(centres, deviations, torch.tensor([0.2, 0.7, 0.1], dtype=torch.float64))


def by_scipy(mixture: Mixture, points: np.ndarray) -> np.ndarray:
    parts = [
        math.log(weight) + multivariate_normal(centre, deviation**2).logpdf(points)
        for centre, deviation, weight in zip(mixture.centres, mixture.deviations, mixture.weights, strict=True)
    ]
    return logsumexp(parts, axis=0)


@pytest.mark.parametrize("load", SETS)
def test_the_log_density_is_scipys(load):
    data = load(Places())
    points = torch.cat([data.heldout[:300], 2 * data.heldout[:300] + 0.1])
    ours = data.density.log_prob(points)
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(ours.numpy(), by_scipy(data.density, points.double().numpy()), rtol=1e-9, atol=1e-9)


def test_one_component_in_three_dimensions_by_hand():
    mixture = Mixture.equal(torch.zeros(1, 3, dtype=torch.float64), 2.0)
    at_two_deviations = mixture.log_prob(torch.tensor([[0.0, 4.0, 0.0]])).item()
    assert at_two_deviations == pytest.approx(-3 * math.log(2 * math.sqrt(2 * math.pi)) - 2, abs=1e-12)


def integral(mixture: Mixture, low: float, high: float, steps: int) -> float:
    """By the midpoint rule on a square, exact to rounding where steps are shorter than a deviation."""
    width = (high - low) / steps
    ticks = low + width * (torch.arange(steps, dtype=torch.float64) + 0.5)
    return mixture.log_prob(torch.cartesian_prod(ticks, ticks)).exp().sum().item() * width**2


@pytest.mark.parametrize(
    ("mixture", "reach", "steps"),
    [
        (lopsided(), 12.0, 500),
        (ring8(Places(), deviation=0.05).density, 1.5, 120),
        (grid25(Places(), deviation=0.2).density, 6.0, 120),
        (spiral(Places(), deviation=0.05).density, 1.6, 100),
        (two_scales(Places(), deviation=0.1, ratio=3.0).density, 2.0, 200),
        (rare_modes(Places(), deviation=0.05).density, 1.5, 120),
    ],
    ids=["lopsided", "ring8", "grid25", "spiral", "two-scales", "rare-modes"],
)
def test_the_density_integrates_to_one(mixture, reach, steps):
    assert integral(mixture, -reach, reach, steps) == pytest.approx(1, abs=1e-6)


def test_far_points_have_a_finite_log_density_that_falls_with_the_square_of_the_distance():
    mixture = ring8(Places()).density
    near, far, farthest = mixture.log_prob(torch.tensor([[1e6, 0.0], [2e6, 0.0], [-3e38, 3e38]])).tolist()
    assert near == pytest.approx(-((1e6 - 1) ** 2) / (2 * 0.01**2), rel=1e-9)
    assert far / near == pytest.approx(4, rel=1e-5)
    assert math.isfinite(farthest)


def test_the_log_density_does_not_depend_on_how_points_are_chunked(monkeypatch):
    points = 3 * torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    whole = lopsided().log_prob(points)
    monkeypatch.setattr(module, "PAIRS", 10)
    torch.testing.assert_close(lopsided().log_prob(points), whole, rtol=0, atol=1e-12)


def test_samples_are_of_the_density_and_follow_the_generator():
    mixture, count = lopsided(), 40_000
    points = mixture.sample(count, torch.Generator().manual_seed(1)).double()
    mean = mixture.weights @ mixture.centres  # (2,)
    within, between = mixture.weights @ mixture.deviations.square(), (mixture.centres - mean).square()
    variance = within + mixture.weights @ between  # (2,)
    assert ((points.mean(dim=0) - mean).abs() < 5 * (variance / count).sqrt()).all()
    torch.testing.assert_close(points.var(dim=0), variance, rtol=0.05, atol=0)
    again, other = (mixture.sample(count, torch.Generator().manual_seed(seed)).double() for seed in (1, 2))
    assert torch.equal(points, again)
    assert not torch.equal(points, other)


def test_sampling_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    lopsided().sample(10, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("load", SETS)
def test_a_perfect_sample_has_the_mean_log_density_of_the_data(load):
    density = load(Places()).density
    fresh = density.log_prob(density.sample(10_000, torch.Generator().manual_seed(3)))
    drawn = density.log_prob(load(Places()).heldout)
    error = math.sqrt((fresh.var() + drawn.var()).item() / 10_000)
    assert abs(fresh.mean() - drawn.mean()).item() < 5 * error


def test_draws_follow_their_name_and_unequal_weights():
    points, components = lopsided().draw(20_000, "one")
    again, _ = lopsided().draw(20_000, "one")
    other, _ = lopsided().draw(20_000, "two")
    assert torch.equal(points, again)
    assert not torch.equal(points, other)
    shares = torch.bincount(components, minlength=3) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.2, 0.7, 0.1]), rtol=0, atol=5 * 0.5 / math.sqrt(20_000))
