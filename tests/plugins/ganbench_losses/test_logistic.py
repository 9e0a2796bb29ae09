from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench_losses.logistic import Minimax, NonSaturating

REAL, FAKE = [[2.0], [-0.5], [0.0]], [[-1.0], [0.5], [3.0]]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_hand(formula) -> torch.Tensor:
    return torch.tensor([formula(r, f) for (r,), (f,) in zip(REAL, FAKE, strict=True)], dtype=torch.float64)


@pytest.mark.parametrize("loss", [Minimax, NonSaturating])
def test_the_discriminator_is_a_logistic_classifier(loss, make_game):
    terms = loss().discriminator(make_game(REAL, FAKE))
    assert list(terms) == ["adversarial"]
    wanted = by_hand(lambda r, f: -math.log(sigmoid(r)) - math.log(1 - sigmoid(f)))
    assert_close(terms["adversarial"], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        (Minimax, lambda r, f: math.log(1 - sigmoid(f))),
        (NonSaturating, lambda r, f: -math.log(sigmoid(f))),
    ],
)
def test_the_generators_term_is_the_formula_per_sample(loss, formula, make_game):
    terms = loss().generator(make_game(REAL, FAKE))
    assert list(terms) == ["adversarial"]
    assert_close(terms["adversarial"], by_hand(formula), rtol=1e-12, atol=1e-12)


def test_the_nonsaturating_generator_feels_a_sure_critic_and_the_minimax_one_does_not(make_game):
    slopes = {}
    for loss in (Minimax, NonSaturating):
        fake = torch.tensor([[-30.0]], dtype=torch.float64, requires_grad=True)
        term = loss().generator(make_game([[30.0]], fake))["adversarial"]
        slopes[loss] = torch.autograd.grad(term.sum(), fake)[0].item()
    assert slopes[Minimax] == pytest.approx(-math.exp(-30), rel=1e-9)
    assert slopes[NonSaturating] == pytest.approx(-1, rel=1e-9)


def test_a_sure_critics_gradient_is_not_bent_by_a_constant_in_the_logarithm(make_game):
    real = torch.tensor([[-40.0]], dtype=torch.float64, requires_grad=True)
    term = Minimax().discriminator(make_game(real, [[0.0]]))["adversarial"]
    (slope,) = torch.autograd.grad(term.sum(), real)
    assert slope.item() == pytest.approx(-1, rel=1e-12)  # −log(σ(r) + 1e-8) would have a slope of about −4e-10


def test_the_best_critic_attains_the_jensen_shannon_divergence(make_game):
    p, q = (torch.tensor(chances, dtype=torch.float64) for chances in ([0.2, 0.5, 0.3], [0.6, 0.3, 0.1]))
    middle = (p + q) / 2
    divergence = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    best = (p / q).log().unsqueeze(1)  # logits of p/(p + q)
    of_real = Minimax().discriminator(make_game(best, torch.full((3, 1), -math.inf)))["adversarial"]
    of_fake = Minimax().discriminator(make_game(torch.full((3, 1), math.inf), best))["adversarial"]
    assert_close((p * of_real + q * of_fake).sum(), math.log(4) - 2 * divergence, rtol=1e-12, atol=0)
