from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench_losses.adversarial import Hinge, LeastSquares, Minimax, NonSaturating, Relativistic

LOSSES = [Minimax, NonSaturating, LeastSquares, Hinge, Relativistic]
REAL, FAKE = [[2.0], [-0.5], [0.0]], [[-1.0], [0.5], [3.0]]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


DISCRIMINATOR = {  # by hand, from r and f
    Minimax: lambda r, f: -math.log(sigmoid(r)) - math.log(1 - sigmoid(f)),
    NonSaturating: lambda r, f: -math.log(sigmoid(r)) - math.log(1 - sigmoid(f)),
    LeastSquares: lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * f**2,
    Hinge: lambda r, f: max(0, 1 - r) + max(0, 1 + f),
    Relativistic: lambda r, f: -math.log(sigmoid(r - f)),
}
GENERATOR = {
    Minimax: lambda r, f: math.log(1 - sigmoid(f)),
    NonSaturating: lambda r, f: -math.log(sigmoid(f)),
    LeastSquares: lambda r, f: 0.5 * (f - 1) ** 2,
    Hinge: lambda r, f: -f,
    Relativistic: lambda r, f: -math.log(sigmoid(f - r)),
}
SLOPES = {  # by hand: discriminator in r, discriminator in f, generator in f
    Minimax: lambda r, f: (-sigmoid(-r), sigmoid(f), -sigmoid(f)),
    NonSaturating: lambda r, f: (-sigmoid(-r), sigmoid(f), -sigmoid(-f)),
    LeastSquares: lambda r, f: (r - 1, f, f - 1),
    Hinge: lambda r, f: (-1.0 if r < 1 else 0.0, 1.0 if f > -1 else 0.0, -1.0),
    Relativistic: lambda r, f: (-sigmoid(f - r), sigmoid(f - r), -sigmoid(r - f)),
}


def by_hand(formula) -> torch.Tensor:
    return torch.tensor([formula(r, f) for (r,), (f,) in zip(REAL, FAKE, strict=True)], dtype=torch.float64)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_discriminators_term_is_the_formula_per_sample(loss, make_game):
    terms = loss().discriminator(make_game(REAL, FAKE))
    assert list(terms) == ["adversarial"]
    assert_close(terms["adversarial"], by_hand(DISCRIMINATOR[loss]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_generators_term_is_the_formula_per_sample(loss, make_game):
    terms = loss().generator(make_game(REAL, FAKE))
    assert list(terms) == ["adversarial"]
    assert_close(terms["adversarial"], by_hand(GENERATOR[loss]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_slopes_in_the_logits_are_those_of_the_formula(loss, make_game):
    real = torch.tensor([[2.5], [-0.5], [0.25]], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([[-1.5], [0.5], [3.0]], dtype=torch.float64, requires_grad=True)
    game = make_game(real, fake)
    in_real, in_fake = torch.autograd.grad(loss().discriminator(game)["adversarial"].sum(), [real, fake])
    (of_generator,) = torch.autograd.grad(loss().generator(game)["adversarial"].sum(), [fake])
    slopes = [SLOPES[loss](r, f) for (r,), (f,) in zip(real.tolist(), fake.tolist(), strict=True)]
    assert_close(torch.cat([in_real, in_fake, of_generator], dim=1), torch.tensor(slopes, dtype=torch.float64))


@pytest.mark.parametrize("loss", LOSSES)
def test_higher_logits_on_fakes_please_the_generator_and_not_the_discriminator(loss, make_game):
    before, after = make_game([[0.5]], [[0.25]]), make_game([[0.5]], [[0.75]])
    assert loss().generator(after)["adversarial"] < loss().generator(before)["adversarial"]
    assert loss().discriminator(after)["adversarial"] > loss().discriminator(before)["adversarial"]


@pytest.mark.parametrize("loss", LOSSES)
def test_higher_logits_on_real_samples_please_the_discriminator(loss, make_game):
    before, after = make_game([[-0.5]], [[0.0]]), make_game([[0.5]], [[0.0]])
    assert loss().discriminator(after)["adversarial"] < loss().discriminator(before)["adversarial"]


@pytest.mark.parametrize("loss", LOSSES)
def test_permuting_the_pairs_permutes_the_terms(loss, make_game):
    order = [2, 0, 1]
    plain = make_game(REAL, FAKE)
    permuted = make_game([REAL[n] for n in order], [FAKE[n] for n in order])
    for player in ("discriminator", "generator"):
        terms = getattr(loss(), player)(plain)["adversarial"]
        assert_close(getattr(loss(), player)(permuted)["adversarial"], terms[order])


@pytest.mark.parametrize("loss", LOSSES)
def test_terms_stay_finite_for_a_critic_that_is_very_sure(loss, make_game):
    game = make_game([[800.0]], [[-800.0]])
    for terms in (loss().discriminator(game), loss().generator(game)):
        assert torch.isfinite(terms["adversarial"]).all()


def test_the_nonsaturating_generator_feels_a_sure_critic_and_the_minimax_one_does_not(make_game):
    slopes = {}
    for loss in (Minimax, NonSaturating):
        fake = torch.tensor([[-30.0]], dtype=torch.float64, requires_grad=True)
        term = loss().generator(make_game([[30.0]], fake))["adversarial"]
        slopes[loss] = torch.autograd.grad(term.sum(), fake)[0].item()
    assert slopes[Minimax] == pytest.approx(-math.exp(-30), rel=1e-9)
    assert slopes[NonSaturating] == pytest.approx(-1, rel=1e-9)


def test_a_relativistic_pair_is_the_real_and_the_fake_of_one_row(make_game):
    term = Relativistic().discriminator(make_game([[1.0], [5.0]], [[1.0], [4.0]]))["adversarial"]
    assert_close(term, torch.tensor([softplus(0), softplus(-1)], dtype=torch.float64))
