from __future__ import annotations

import math

import pytest
import torch
from scenes import drawn as normal
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from ganbench_methods.gaussians import divergence, drawn, split


def test_the_first_half_of_an_encoders_outputs_are_means_and_the_second_logarithms_of_variances():
    means, log_variances = split(torch.arange(12.0).view(2, 6))
    assert means.tolist() == [[0, 1, 2], [6, 7, 8]]
    assert log_variances.tolist() == [[3, 4, 5], [9, 10, 11]]


def test_the_divergence_is_that_of_torchs_distributions_summed_over_latents():
    means, log_variances = normal(1, 5, 3), normal(2, 5, 3)
    there = Normal(means, torch.exp(log_variances / 2))
    assert_close(divergence(means, log_variances), kl_divergence(there, Normal(0.0, 1.0)).sum(dim=1))


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.5, 1.0), (-0.5, 0.04), (0.3, 4.0)])
def test_the_divergence_is_the_integral_that_defines_it(mean, variance):
    points = torch.linspace(mean - 40, mean + 40, 400_001, dtype=torch.float64)
    log_there = -((points - mean) ** 2) / (2 * variance) - math.log(2 * math.pi * variance) / 2
    log_prior = -(points**2) / 2 - math.log(2 * math.pi) / 2
    integral = torch.trapezoid(log_there.exp() * (log_there - log_prior), points)
    given = torch.tensor([[mean]], dtype=torch.float64), torch.tensor([[math.log(variance)]], dtype=torch.float64)
    assert_close(divergence(*given), integral.view(1), rtol=1e-8, atol=1e-10)


def test_latents_have_the_mean_and_the_deviation_that_they_are_drawn_with():
    means = torch.tensor([1.0, -2.0], dtype=torch.float64).repeat(200_000, 1)
    log_variances = torch.tensor([0.25, 9.0], dtype=torch.float64).log().repeat(200_000, 1)
    latents = drawn(means, log_variances, torch.Generator().manual_seed(0))
    assert_close(latents.mean(0), means[0], rtol=0, atol=0.03)
    assert_close(latents.std(0), torch.tensor([0.5, 3.0], dtype=torch.float64), rtol=0.01, atol=0)


def test_a_draw_follows_its_mean_one_to_one_and_its_logarithmic_variance_by_half_its_distance():
    means, log_variances = normal(1, 4, 3).requires_grad_(), normal(2, 4, 3).requires_grad_()
    latents = drawn(means, log_variances, torch.Generator().manual_seed(0))
    along_means, along_variances = torch.autograd.grad(latents.sum(), [means, log_variances])
    assert_close(along_means, torch.ones_like(means))
    assert_close(along_variances, ((latents - means) / 2).detach())


def test_the_given_generator_of_random_numbers_decides_the_draw():
    means, log_variances = normal(1, 4, 3), normal(2, 4, 3)
    first, again, other = (drawn(means, log_variances, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
