from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_losses.wasserstein import Wasserstein, WassersteinGP, WassersteinLP

REAL, FAKE = [[2.0, 0.0], [-0.5, 1.0]], [[-1.0, 3.0], [0.5, 0.0]]


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_critic_minimises_fake_minus_real(make_game):
    terms = Wasserstein().discriminator(make_game(REAL, FAKE))
    assert list(terms) == ["adversarial"]
    assert_close(terms["adversarial"], tensor(-3.0, 1.0))


@pytest.mark.parametrize("loss", [Wasserstein(), WassersteinGP(), WassersteinLP()])
def test_the_generator_minimises_minus_fake(loss, make_game):
    terms = loss.generator(make_game(REAL, FAKE))
    assert list(terms) == ["adversarial"]
    assert_close(terms["adversarial"], tensor(1.0, -0.5))


def test_wgan_gp_adds_its_penalty_as_a_term_of_its_own(make_game):
    terms = WassersteinGP().discriminator(make_game(REAL, FAKE, critic=lambda samples: 3 * samples[:, 0]))
    assert list(terms) == ["adversarial", "gradient_penalty"]
    assert_close(terms["adversarial"], tensor(-9.0, 3.0))
    assert_close(terms["gradient_penalty"], tensor(40.0, 40.0))


def test_wgan_gp_of_a_critic_with_gradient_norm_1_is_the_wasserstein_loss(make_game):
    terms = WassersteinGP(weight=1000.0).discriminator(make_game(REAL, FAKE))
    assert_close(terms["gradient_penalty"], tensor(0.0, 0.0))


def test_the_weight_of_wgan_gp_scales_its_penalty_only(make_game):
    terms = WassersteinGP(weight=0.5).discriminator(make_game(REAL, FAKE, critic=lambda samples: 3 * samples[:, 0]))
    assert_close(terms["adversarial"], tensor(-9.0, 3.0))
    assert_close(terms["gradient_penalty"], tensor(2.0, 2.0))


def test_the_games_own_generator_of_random_numbers_decides_where_the_penalty_is_taken(make_game):
    def penalty(seed: int) -> torch.Tensor:
        game = make_game(REAL, FAKE, critic=lambda samples: samples.square().sum(dim=1), seed=seed)
        return WassersteinGP().discriminator(game)["gradient_penalty"]

    assert_close(penalty(1), penalty(1), rtol=0, atol=0)
    assert not torch.equal(penalty(1), penalty(2))


def test_wgan_lp_leaves_a_critic_alone_that_is_flatter_than_1(make_game):
    def penalty(steepness: float, loss: Wasserstein) -> torch.Tensor:
        game = make_game(REAL, FAKE, critic=lambda samples: steepness * samples[:, 0])
        return loss.discriminator(game)["gradient_penalty"]

    assert_close(penalty(0.5, WassersteinLP()), tensor(0.0, 0.0))
    assert_close(penalty(0.5, WassersteinGP()), tensor(2.5, 2.5))
    assert_close(penalty(3.0, WassersteinLP()), tensor(40.0, 40.0))


def test_the_norm_is_over_all_dimensions_of_an_image(make_game):
    images = torch.ones(2, 3, 2, 2, dtype=torch.float64)
    game = make_game(images, -images, critic=lambda samples: samples.sum(dim=(1, 2, 3)))  # slopes of 1 in 12 numbers
    for loss in (WassersteinGP(weight=1.0), WassersteinLP(weight=1.0)):
        assert_close(loss.discriminator(game)["gradient_penalty"], tensor(*[(12**0.5 - 1) ** 2] * 2))


@pytest.mark.parametrize("weight", [-1.0, math.nan])
@pytest.mark.parametrize(("loss", "name"), [(WassersteinGP, "wgan-gp"), (WassersteinLP, "wgan-lp")])
def test_a_weight_that_is_no_weight_is_refused(loss, name, weight):
    with pytest.raises(ChoiceError, match=rf"{name}: weight is .* expected 0 or more"):
        loss(weight=weight)
