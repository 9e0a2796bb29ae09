from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_losses.mmd import MMD, RepulsiveMMD, mean_to_others, squared_distances, squared_mmd


def vectors(seed: int, count: int = 5, shift: float = 0.0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=rng, dtype=torch.float64) + shift


def gaussian(one, other):
    return torch.exp(-squared_distances(one, other) / 2)


def test_near_vectors_far_from_the_origin_keep_their_distance():
    one = torch.tensor([[1e4, 1e4]])
    assert squared_distances(one, one + 0.0078125).item() == pytest.approx(2 * 0.0078125**2, rel=1e-6)
    assert squared_distances(one, one).item() == 0


def test_the_mean_to_others_leaves_itself_out():
    similarities = torch.tensor([[9.0, 1.0, 3.0], [1.0, 9.0, 5.0], [3.0, 5.0, 9.0]])
    assert mean_to_others(similarities).tolist() == [2.0, 3.0, 4.0]


def test_the_estimate_is_the_one_that_loops_over_pairs_give():
    real, fake = vectors(1), vectors(2, shift=0.4)
    k = lambda a, b: math.exp(-((a - b) ** 2).sum().item() / 2)  # noqa: E731
    pairs = list(itertools.permutations(range(5), 2))
    within = sum(k(real[i], real[j]) + k(fake[i], fake[j]) for i, j in pairs) / len(pairs)
    across = sum(k(a, b) for a in real for b in fake) / 25
    assert squared_mmd(real, fake, gaussian).mean().item() == pytest.approx(within - 2 * across, rel=1e-12)


def test_the_estimate_is_unbiased_so_equal_distributions_score_0_on_average():
    estimates = [squared_mmd(vectors(2 * n), vectors(2 * n + 1), gaussian).mean().item() for n in range(800)]
    error = torch.tensor(estimates).std().item() / 800**0.5
    assert abs(sum(estimates) / 800) < 4 * error
    assert min(estimates) < 0  # the biased one never is
    assert 4 * error < 0.02  # the biased one's mean is 2/5·(1 − E k), about 0.3


def test_equal_samples_have_less_than_no_discrepancy():
    # Of a sample against itself, across has the N ones on its diagonal that within leaves out.
    real = vectors(1)
    off_diagonal = mean_to_others(gaussian(real, real)).mean()
    expected = 2 * off_diagonal - 2 * (off_diagonal * 4 + 1) / 5
    assert_close(squared_mmd(real, real, gaussian).mean(), expected)
    assert expected < 0


def identity(samples):
    return samples


@pytest.mark.parametrize("loss", [MMD(bandwidths=(1.0,)), RepulsiveMMD()])
def test_the_generator_comes_nearer_as_the_discrepancy_falls(loss, make_game):
    near, far = (
        loss.generator(make_game(vectors(1), vectors(2, shift=shift), critic=identity))["adversarial"].mean()
        for shift in (0.1, 3.0)
    )
    assert near < far


def test_the_kernels_of_a_mixture_are_summed(make_game):
    game = make_game(vectors(1), vectors(2), critic=identity)
    narrow, wide, both = (
        MMD(bandwidths=widths).generator(game)["adversarial"] for widths in [(1.0,), (4.0,), (1.0, 4.0)]
    )
    assert_close(both, narrow + wide)


def test_the_mmd_critic_maximises_what_the_generator_minimises(make_game):
    game = make_game(vectors(1), vectors(2), critic=identity)
    assert_close(MMD().discriminator(game)["adversarial"], -MMD().generator(game)["adversarial"])


def test_the_repulsive_critic_spreads_real_samples_and_gathers_fakes(make_game):
    real, fake = vectors(1).requires_grad_(), vectors(2).requires_grad_()
    term = RepulsiveMMD(lower=0.0, upper=math.inf).discriminator(make_game(real, fake, critic=identity))
    of_real, of_fake = torch.autograd.grad(term["adversarial"].mean(), [real, fake])
    spread = lambda points: torch.pdist(points).square().sum()  # noqa: E731
    assert spread((real - 1e-3 * of_real).detach()) > spread(real.detach())
    assert spread((fake - 1e-3 * of_fake).detach()) < spread(fake.detach())


def test_real_samples_far_apart_and_fakes_near_together_are_left_alone(make_game):
    far = torch.tensor([[0.0, 0.0], [3.0, 0.0]], dtype=torch.float64, requires_grad=True)  # 9 apart, squared
    near = torch.tensor([[0.0, 0.0], [0.4, 0.0]], dtype=torch.float64, requires_grad=True)  # 0.16 apart, squared
    term = RepulsiveMMD().discriminator(make_game(far, near, critic=identity))["adversarial"]
    assert_close(term, torch.full((2,), math.exp(-2) - math.exp(-0.125), dtype=torch.float64))
    for slope in torch.autograd.grad(term.sum(), [far, near]):
        assert slope.abs().max() == 0


def test_the_generator_of_the_repulsive_loss_knows_no_bounds(make_game):
    game = make_game([[0.0], [9.0]], [[0.0], [0.1]], critic=identity)
    wanted = squared_mmd(game.real, game.fake, gaussian)
    assert_close(RepulsiveMMD().generator(game)["adversarial"], wanted)


def test_the_penalty_is_on_the_witness_and_over_all_dimensions_of_an_image(make_game):
    real, fake = (value * torch.ones(2, 3, 2, 2, dtype=torch.float64) for value in (0.01, -0.01))
    game = make_game(real, fake, critic=lambda samples: samples.flatten(start_dim=1))
    # w(x) = k(x, 0.01·1) − k(x, −0.01·1) with σ = 1 rises by 2·0.01 in each of 12 numbers near 0, to first order.
    penalty = MMD(weight=1.0, bandwidths=(1.0,)).discriminator(game)["gradient_penalty"]
    assert_close(penalty, torch.full((2,), (0.02 * 12**0.5 - 1) ** 2, dtype=torch.float64), rtol=1e-3, atol=0)


@pytest.mark.parametrize("bandwidths", [(), (1.0, 0.0), (-1.0,), (math.nan,)])
def test_bandwidths_that_are_none_are_refused(bandwidths):
    with pytest.raises(ChoiceError, match=r"mmd: bandwidths is .* expected one or more numbers above 0"):
        MMD(bandwidths=bandwidths)


@pytest.mark.parametrize(("loss", "parameter"), [(MMD, "weight"), (RepulsiveMMD, "lower"), (RepulsiveMMD, "upper")])
def test_what_is_negative_is_refused(loss, parameter):
    with pytest.raises(ChoiceError, match=rf"{parameter} is -1.0, expected 0 or more"):
        loss(**{parameter: -1.0})
