from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_losses.energy import BEGAN, EBGAN


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


class EnergyCritic:
    """Its energy is the first number of a sample, its features are the others."""

    def __call__(self, samples):
        return self.judge(samples)["logits"]

    def judge(self, samples):
        return {"logits": -samples[:, 0], "features": samples[:, 1:]}


@pytest.fixture
def energies(make_game):
    """A function that builds a game of real and of fake energies."""

    def make(real, fake, k=0.0):
        game = make_game([[energy] for energy in real], [[energy] for energy in fake], critic=EnergyCritic())
        return dataclasses.replace(game, memory={"k": torch.tensor(k)})

    return make


def test_ebgan_lowers_the_energy_of_real_and_raises_that_of_fakes_up_to_the_margin(energies):
    terms = EBGAN(margin=10.0).discriminator(energies([1.0, 2.0, 3.0], [0.0, 9.0, 12.0]))
    assert_close(terms, {"adversarial": tensor(11.0, 3.0, 3.0)})


def test_ebgans_generator_lowers_the_energy_of_fakes_without_a_margin(make_game):
    game = make_game(torch.zeros(2, 3), [[4.0, 1.0, 0.0], [50.0, 0.0, 1.0]], critic=EnergyCritic())
    assert_close(EBGAN().generator(game)["adversarial"], tensor(4.0, 50.0))


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        ([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]], (0.0, 0.0, 0.0)),  # orthogonal
        ([[1.0, 2.0, 3.0]] * 3, (1.0, 1.0, 1.0)),  # all the same
        ([[1.0, 2.0, 3.0], [-2.0, -4.0, -6.0], [0.5, 1.0, 1.5]], (1.0, 1.0, 1.0)),  # one line, whatever the length
        ([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], (0.25, 0.25, 0.0)),  # 45 degrees: cos² is a half
    ],
)
def test_pulling_away_is_the_mean_squared_cosine_between_the_codes_of_samples(codes, wanted, make_game):
    fake = torch.cat([torch.zeros(3, 1), torch.tensor(codes)], dim=1)
    game = make_game(torch.zeros(3, 4), fake, critic=EnergyCritic())
    assert_close(EBGAN(pulling_away=1.0).generator(game)["pulling_away"], tensor(*wanted))
    assert_close(EBGAN().generator(game)["pulling_away"], 0.1 * tensor(*wanted))


def test_pulling_away_is_not_normalised_over_the_batch_axis(make_game):
    # Columns of unit length and rows that are orthogonal but of other lengths: only over the features is the term 0.
    fake = torch.tensor([[0.0, 0.6, 0.8], [0.0, 0.8, -0.6]]).repeat_interleave(2, dim=0)
    game = make_game(torch.zeros(4, 3), fake, critic=EnergyCritic())
    found = EBGAN(pulling_away=1.0).generator(game)["pulling_away"]
    assert_close(found, torch.full((4,), 1 / 3, dtype=torch.float64))  # its twin counts 1, the two others 0


def test_began_weighs_the_energy_of_fakes_by_what_it_remembers(energies):
    terms = BEGAN().discriminator(energies([1.0, 2.0], [3.0, 5.0], k=0.5))
    assert_close(terms, {"adversarial": tensor(-0.5, -0.5)})
    assert_close(BEGAN().generator(energies([1.0, 2.0], [3.0, 5.0])), {"adversarial": tensor(3.0, 5.0)})


def test_k_moves_by_hand_computed_steps(energies):
    loss = BEGAN(gamma=0.75, rate=0.1)
    batches = [([4.0, 8.0], [1.0, 2.0]), ([2.0, 2.0], [3.0, 1.0]), ([1.0, 1.0], [9.0, 11.0])]
    k, walked = BEGAN.remembers["k"], []
    for real, fake in batches:
        game = energies(real, fake, k)
        loss.discriminator(game)
        k = game.memory["k"].item()
        walked.append(k)
    # 0 + 0.1·(4.5 − 1.5) = 0.3; + 0.1·(1.5 − 2) = 0.25; + 0.1·(0.75 − 10) is below 0
    assert walked == pytest.approx([0.3, 0.25, 0.0], abs=1e-7)


def test_k_does_not_exceed_1(energies):
    game = energies([1000.0], [0.0], k=0.9)
    BEGAN(rate=1.0).discriminator(game)
    assert game.memory["k"].item() == 1.0


def test_k_is_moved_by_the_discriminator_only_and_after_its_term(energies):
    game = energies([4.0, 8.0], [1.0, 2.0], k=0.5)
    BEGAN().generator(game)
    assert game.memory["k"].item() == 0.5
    term = BEGAN(rate=0.1).discriminator(game)["adversarial"]
    assert_close(term, tensor(3.5, 7.0))
    assert game.memory["k"].item() > 0.5


def test_k_carries_no_gradient_and_stays_a_number(energies, make_game):
    real = torch.tensor([[1.0], [2.0]], dtype=torch.float64, requires_grad=True)
    game = dataclasses.replace(make_game(real, [[1.0], [1.0]], critic=EnergyCritic()), memory={"k": torch.tensor(0.5)})
    BEGAN().discriminator(game)
    assert not game.memory["k"].requires_grad
    assert game.memory["k"].shape == ()


def test_at_the_balance_that_gamma_asks_for_k_stays(energies):
    game = energies([4.0, 4.0], [2.0, 4.0], k=0.5)
    BEGAN(gamma=0.75, rate=1.0).discriminator(game)
    assert game.memory["k"].item() == 0.5


@pytest.mark.parametrize(("loss", "parameter"), [(EBGAN, "margin"), (EBGAN, "pulling_away"), (BEGAN, "rate")])
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_what_is_negative_is_refused(loss, parameter, value):
    with pytest.raises(ChoiceError, match=rf"{parameter} is .* expected 0 or more"):
        loss(**{parameter: value})


@pytest.mark.parametrize("gamma", [-0.1, 1.1, math.nan])
def test_a_gamma_that_is_no_ratio_is_refused(gamma):
    with pytest.raises(ChoiceError, match=r"began: gamma is .* expected 0 to 1"):
        BEGAN(gamma=gamma)
