from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_losses.relativistic import R3GAN, Relativistic, RelativisticAverage


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_a_relativistic_pair_is_the_real_and_the_fake_of_one_row(make_game):
    term = Relativistic().discriminator(make_game([[1.0], [5.0]], [[1.0], [4.0]]))["adversarial"]
    assert_close(term, tensor(softplus(0), softplus(-1)))


def test_the_relativistic_generator_wants_the_opposite(make_game):
    term = Relativistic().generator(make_game([[1.0], [5.0]], [[1.0], [4.0]]))["adversarial"]
    assert_close(term, tensor(softplus(0), softplus(1)))


@pytest.mark.parametrize("loss", [Relativistic(), RelativisticAverage()])
def test_only_differences_of_logits_count(loss, make_game):
    here, there = make_game([[1.0], [5.0]], [[0.5], [4.0]]), make_game([[8.0], [12.0]], [[7.5], [11.0]])
    for player in ("discriminator", "generator"):
        assert_close(getattr(loss, player)(there), getattr(loss, player)(here))


def test_each_side_is_judged_against_the_mean_of_the_other(make_game):
    game = make_game([[1.0], [5.0]], [[0.0], [4.0]])  # means 3 and 2
    of_discriminator = RelativisticAverage().discriminator(game)["adversarial"]
    of_generator = RelativisticAverage().generator(game)["adversarial"]
    assert_close(of_discriminator, tensor(softplus(1) + softplus(-3), softplus(-3) + softplus(1)))
    assert_close(of_generator, tensor(softplus(-1) + softplus(3), softplus(3) + softplus(-1)))


def test_gradients_flow_through_the_means(make_game):
    real = torch.zeros(2, 1, dtype=torch.float64, requires_grad=True)
    term = RelativisticAverage().discriminator(make_game(real, [[0.0], [0.0]]))["adversarial"]
    (slope,) = torch.autograd.grad(term.sum(), real)
    assert_close(slope, tensor(-1.0, -1.0).unsqueeze(1))  # half from its own term, half through the mean of real


def test_r3gan_takes_half_gamma_times_the_squared_slope_on_both_sides_at_every_step(make_game):
    def critic(samples):
        return samples.square().sum(dim=1)  # its slope is 2x

    terms = R3GAN(gamma=0.5).discriminator(make_game([[1.0, 2.0]], [[3.0, 0.0]], critic=critic))
    assert_close(terms, {"adversarial": tensor(softplus(4)), "r1": tensor(5.0), "r2": tensor(9.0)})


def test_r3gans_generator_has_no_penalty(make_game):
    game = make_game([[1.0], [5.0]], [[1.0], [4.0]])
    assert_close(R3GAN().generator(game), Relativistic().generator(game))


@pytest.mark.parametrize("gamma", [-1.0, math.nan])
def test_a_gamma_that_is_no_weight_is_refused(gamma):
    with pytest.raises(ChoiceError, match=r"r3gan: gamma is .* expected 0 or more"):
        R3GAN(gamma=gamma)
