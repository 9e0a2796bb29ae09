from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_penalties.gradients import R1, R2, GradientPenalty

REAL, FAKE = [[3.0, 4.0], [0.0, 1.0]], [[0.0, 2.0], [6.0, 8.0]]


def half_square(samples: torch.Tensor) -> torch.Tensor:
    """Its gradient at a sample is the sample itself."""
    return samples.square().sum(dim=1) / 2


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_r1_is_half_gamma_times_the_squared_gradient_norm_at_real_samples(make_game):
    terms = R1(gamma=0.5).discriminator(make_game(REAL, FAKE, critic=half_square))
    assert list(terms) == ["r1"]
    assert_close(terms["r1"], tensor(0.25 * 25, 0.25 * 1))


def test_r2_is_half_gamma_times_the_squared_gradient_norm_at_fake_samples(make_game):
    terms = R2(gamma=0.5).discriminator(make_game(REAL, FAKE, critic=half_square))
    assert list(terms) == ["r2"]
    assert_close(terms["r2"], tensor(0.25 * 4, 0.25 * 100))


def test_the_default_gamma_is_10(make_game):
    game = make_game(REAL, FAKE, critic=half_square)
    assert_close(R1().discriminator(game)["r1"], tensor(125.0, 5.0))
    assert_close(R2().discriminator(game)["r2"], tensor(20.0, 500.0))


def test_gp_of_a_critic_with_gradient_norm_3_is_10_times_4_a_sample(make_game):
    terms = GradientPenalty().discriminator(make_game(REAL, FAKE, critic=lambda samples: -3 * samples[:, 1]))
    assert list(terms) == ["gp"]
    assert_close(terms["gp"], tensor(40.0, 40.0))


def test_gp_is_taken_between_real_and_fake(make_game):
    terms = GradientPenalty(weight=2.0).discriminator(make_game(REAL, FAKE, critic=half_square, seed=4))
    rng = torch.Generator().manual_seed(4)
    epsilon = torch.rand(2, 1, generator=rng, dtype=torch.float64)
    between = epsilon * tensor(*REAL) + (1 - epsilon) * tensor(*FAKE)
    assert_close(terms["gp"], 2 * (between.square().sum(dim=1).sqrt() - 1) ** 2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: R1(gamma=-1.0), "r1: gamma is -1.0, expected 0 or more"),
        (lambda: R2(gamma=math.nan), "r2: gamma is nan, expected 0 or more"),
        (lambda: GradientPenalty(weight=-0.1), "gp: weight is -0.1, expected 0 or more"),
    ],
)
def test_a_weight_that_is_no_weight_is_refused(build, message):
    with pytest.raises(ChoiceError, match=message):
        build()
