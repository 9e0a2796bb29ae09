from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_penalties.gradients import R1, R2, GradientPenalty

REAL, FAKE = [[3.0, 4.0], [0.0, 1.0]], [[0.0, 2.0], [6.0, 8.0]]


def half_square(samples: torch.Tensor) -> torch.Tensor:
    """Its gradient at a sample is the sample itself."""
    return samples.square().sum(dim=1) / 2


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()


def slopes_by_differences(critic, samples, step=1e-6):
    """Central differences of each logit in each coordinate of its sample."""
    columns = []
    for axis in range(samples.shape[1]):
        moved = torch.zeros_like(samples)
        moved[:, axis] = step
        columns.append((critic(samples + moved) - critic(samples - moved)) / (2 * step))
    return torch.stack(columns, dim=1).detach()


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


@pytest.mark.parametrize(("penalty", "name", "batch"), [(R1, "r1", REAL), (R2, "r2", FAKE)])
def test_the_penalty_of_a_network_agrees_with_differences_of_its_logits(make_game, penalty, name, batch):
    critic = network()
    terms = penalty(gamma=0.7).discriminator(make_game(REAL, FAKE, critic=critic))
    slopes = slopes_by_differences(critic, tensor(*batch))
    assert_close(terms[name], 0.35 * slopes.square().sum(dim=1), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("penalty", "name", "each"), [(R1, "r1", (125.0, 5.0)), (R2, "r2", (20.0, 500.0))])
def test_a_lazy_penalty_is_paid_every_third_step_from_the_first_on_and_three_times(make_game, penalty, name, each):
    game, lazy = make_game(REAL, FAKE, critic=half_square), penalty(every=3)
    paid = [lazy.discriminator(replace(game, step=step))[name] for step in range(1, 8)]
    for step, term in enumerate(paid, start=1):
        assert_close(term, 3 * tensor(*each) if step in (1, 4, 7) else tensor(0.0, 0.0))
    assert_close(torch.stack(paid[:6]).mean(dim=0), tensor(*each))


def test_a_lazy_penalty_asks_for_no_gradient_where_it_is_not_due(make_game):
    def refuse(samples):
        raise AssertionError("asked")

    game = make_game(REAL, FAKE, critic=refuse)
    R1(every=2).discriminator(replace(game, step=2))
    with pytest.raises(AssertionError, match="asked"):
        R1(every=2).discriminator(replace(game, step=3))


def test_a_penalty_that_is_always_due_does_not_ask_which_step_it_is(make_game):
    game = replace(make_game(REAL, FAKE, critic=half_square), step=None)
    assert_close(R1().discriminator(game)["r1"], tensor(125.0, 5.0))


def test_gp_of_a_critic_with_gradient_norm_3_is_10_times_4_a_sample(make_game):
    terms = GradientPenalty().discriminator(make_game(REAL, FAKE, critic=lambda samples: -3 * samples[:, 1]))
    assert list(terms) == ["gp"]
    assert_close(terms["gp"], tensor(40.0, 40.0))


def test_gp_is_taken_between_real_and_fake_with_an_epsilon_for_each_pair(make_game):
    terms = GradientPenalty(weight=2.0).discriminator(make_game(REAL, FAKE, critic=half_square, seed=4))
    rng = torch.Generator().manual_seed(4)
    epsilon = torch.rand(2, 1, generator=rng, dtype=torch.float64)
    between = epsilon * tensor(*REAL) + (1 - epsilon) * tensor(*FAKE)
    assert_close(terms["gp"], 2 * (between.square().sum(dim=1).sqrt() - 1) ** 2)


def test_gp_draws_other_epsilons_for_equal_pairs(make_game):
    real, fake = torch.full((16, 3, 2, 2), 2.0), torch.zeros(16, 3, 2, 2)
    game = make_game(real, fake, critic=lambda images: images.square().flatten(1).sum(dim=1) / 2)
    norms = GradientPenalty(weight=1.0).discriminator(game)["gp"].sqrt()
    assert len(norms.unique()) == 16


def test_gp_takes_each_samples_norm_over_all_dimensions_of_an_image(make_game):
    images = torch.ones(2, 3, 4, 4)
    game = make_game(images, images, critic=lambda images: images.square().flatten(1).sum(dim=1) / 2)
    terms = GradientPenalty(weight=1.0).discriminator(game)
    assert_close(terms["gp"], torch.full((2,), (math.sqrt(48) - 1) ** 2, dtype=torch.float64))


@pytest.mark.parametrize(("penalty", "name"), [(R1, "r1"), (R2, "r2")])
def test_permuting_the_batch_permutes_the_penalty(make_game, penalty, name):
    critic, order = network(), [1, 0]
    straight = penalty().discriminator(make_game(REAL, FAKE, critic=critic))[name]
    turned = [REAL[index] for index in order], [FAKE[index] for index in order]
    assert_close(penalty().discriminator(make_game(*turned, critic=critic))[name], straight[order])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: R1(gamma=-1.0), "r1: gamma is -1.0, expected 0 or more"),
        (lambda: R2(gamma=math.nan), "r2: gamma is nan, expected 0 or more"),
        (lambda: R1(every=0), "r1: every is 0, expected 1 or more"),
        (lambda: R2(every=-2), "r2: every is -2, expected 1 or more"),
        (lambda: GradientPenalty(weight=-0.1), "gp: weight is -0.1, expected 0 or more"),
    ],
)
def test_a_weight_that_is_no_weight_is_refused(build, message):
    with pytest.raises(ChoiceError, match=message):
        build()
