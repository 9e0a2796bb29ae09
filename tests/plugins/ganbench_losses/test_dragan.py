from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_losses.dragan import Dragan
from ganbench_losses.logistic import NonSaturating

REAL, FAKE = [[2.0, 0.0], [-0.5, 1.0]], [[-1.0, 3.0], [0.5, 0.0]]


def test_the_game_is_the_nonsaturating_one(make_game):
    game = make_game(REAL, FAKE)
    assert_close(Dragan().discriminator(game)["adversarial"], NonSaturating().discriminator(game)["adversarial"])
    assert_close(Dragan().generator(game), NonSaturating().generator(game))


def test_a_critic_of_slope_3_pays_weight_times_4(make_game):
    game = make_game(REAL, FAKE, critic=lambda samples: 3 * samples[:, 0])
    penalty = Dragan(weight=5.0).discriminator(game)["gradient_penalty"]
    assert_close(penalty, torch.tensor([20.0, 20.0], dtype=torch.float64))


def asked_at(make_game, noise=0.5, real=None):
    """Where the penalty asks for the critic's slope."""
    asked = []

    def critic(samples):
        if samples.requires_grad:  # as only those do whose slopes are asked for
            asked.append(samples.detach())
        return samples.flatten(start_dim=1).sum(dim=1)

    real = torch.linspace(-1, 1, 3000).double().reshape(1000, 3) if real is None else real
    fake = torch.full_like(real, 1e6)
    Dragan(noise=noise).discriminator(make_game(real, fake, critic=critic))
    (where,) = asked
    return real, where


def test_noise_is_gaussian_half_as_wide_as_the_data_and_around_real_samples_only(make_game):
    real, where = asked_at(make_game)
    moves = (where - real) / (0.5 * real.std(correction=0))
    assert moves.mean().item() == pytest.approx(0, abs=0.06)  # released code moves upwards only
    assert moves.std().item() == pytest.approx(1, abs=0.04)
    assert moves.pow(4).mean().item() == pytest.approx(3, abs=0.4)
    assert where.abs().max() < 5  # no fake, which is at a million, took part


def test_every_number_of_every_sample_has_noise_of_its_own(make_game):
    real, where = asked_at(make_game)
    assert len((where - real).flatten().unique()) == real.numel()


def test_without_noise_the_penalty_is_at_the_real_samples(make_game):
    real, where = asked_at(make_game, noise=0.0)
    assert_close(where, real, rtol=0, atol=0)


@pytest.mark.parametrize("parameter", ["weight", "noise"])
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_what_is_negative_is_refused(parameter, value):
    with pytest.raises(ChoiceError, match=rf"dragan: {parameter} is .* expected 0 or more"):
        Dragan(**{parameter: value})
