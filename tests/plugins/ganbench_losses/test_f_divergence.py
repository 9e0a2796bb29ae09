"""f-GAN: the bound is attained, by a critic that is found without the loss's own code, and it is the divergence."""

from __future__ import annotations

import typing

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.testing import assert_close

from ganbench_losses.f_divergence import DIVERGENCES, FGAN

P = torch.tensor([0.15, 0.4, 0.25, 0.2], dtype=torch.float64)
Q = torch.tensor([0.45, 0.2, 0.05, 0.3], dtype=torch.float64)
M = (P + Q) / 2
CLOSED = {  # divergences of P from Q as textbooks have them, not by f
    "kl": (P * (P / Q).log()).sum(),
    "reverse-kl": (Q * (Q / P).log()).sum(),
    "pearson": ((P - Q) ** 2 / Q).sum(),
    "squared-hellinger": ((P.sqrt() - Q.sqrt()) ** 2).sum(),
    "jensen-shannon": (P * (P / M).log()).sum() + (Q * (Q / M).log()).sum(),  # twice the usual one
    "total-variation": (P - Q).abs().sum() / 2,
}
every_divergence = pytest.mark.parametrize("divergence", CLOSED)


def terms_at(divergence, logit, make_game):
    """The real and the fake part of the discriminator's term at a logit, told apart by differences."""
    loss = FGAN(divergence)
    at = lambda r, f: loss.discriminator(make_game([[r]], [[f]]))["adversarial"].item()  # noqa: E731
    return at(logit, 0.0) - at(0.0, 0.0), at(0.0, logit)  # −g(v) + g(0), f*(g(v)) − g(0)


@every_divergence
def test_the_best_critic_attains_the_divergence(divergence, make_game):
    total = 0.0
    for p, q in zip(P.tolist(), Q.tolist(), strict=True):

        def minimised(logit, p=p, q=q):
            of_real, of_fake = terms_at(divergence, logit, make_game)
            return p * of_real + q * of_fake

        total += minimize_scalar(minimised, bounds=(-20, 20), method="bounded", options={"xatol": 1e-10}).fun
    assert -total == pytest.approx(CLOSED[divergence].item(), rel=1e-6)


GENERATORS = {  # f of each divergence, whose slope at p/q is the best T
    "kl": lambda u: u * u.log(),
    "reverse-kl": lambda u: -u.log(),
    "pearson": lambda u: (u - 1) ** 2,
    "squared-hellinger": lambda u: (u.sqrt() - 1) ** 2,
    "jensen-shannon": lambda u: u * u.log() - (u + 1) * ((u + 1) / 2).log(),
}


@pytest.mark.parametrize("divergence", GENERATORS)
def test_the_conjugate_at_the_slope_of_f_is_the_one_of_legendre(divergence):
    ratios = torch.tensor([0.2, 0.7, 1.0, 1.8], dtype=torch.float64, requires_grad=True)
    values = GENERATORS[divergence](ratios)
    (best,) = torch.autograd.grad(values.sum(), ratios)  # T* = f'(u), and f*(T*) = u·T* − f(u)
    row = DIVERGENCES[divergence]
    low, high = torch.full_like(best, -30), torch.full_like(best, 30)
    for _ in range(100):  # the logit whose activation is T*, by bisection
        middle = (low + high) / 2
        below = row.activation(middle) < best
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    assert_close(row.activation(low), best, rtol=1e-9, atol=1e-9)
    assert_close(row.conjugate_of_activation(low), (ratios * best - values).detach(), rtol=1e-7, atol=1e-9)


@every_divergence
def test_no_critic_beats_the_divergence_of_equal_distributions(divergence, make_game):
    for logit in torch.linspace(-5, 5, 41).tolist():
        of_real, of_fake = terms_at(divergence, logit, make_game)
        assert of_real + of_fake >= -1e-12


@every_divergence
def test_a_higher_logit_says_more_real_to_both_players(divergence, make_game):
    def slope(player, logit, side):
        samples = torch.tensor([[logit]], dtype=torch.float64, requires_grad=True)
        other = torch.zeros(1, 1, dtype=torch.float64)
        game = make_game(samples, other) if side == "real" else make_game(other, samples)
        return torch.autograd.grad(player(game)["adversarial"].sum(), samples)[0].item()

    for logit in (-1.0, 0.0, 1.5):
        assert slope(FGAN(divergence).discriminator, logit, "real") < 0
        assert slope(FGAN(divergence).discriminator, logit, "fake") > 0
        assert slope(FGAN(divergence).generator, logit, "fake") < 0
        assert slope(FGAN(divergence, "alternative").generator, logit, "fake") < 0


def test_the_order_is_real_from_fake(make_game):
    wrong = (Q * (Q / P).log()).sum()
    assert abs(CLOSED["kl"] - wrong) > 0.01  # else nothing above could tell kl from reverse-kl


def test_the_alternative_is_steep_where_the_paper_s_objective_is_flat(make_game):
    slopes = {}
    for way in ("saturating", "alternative"):
        fake = torch.tensor([[-20.0]], dtype=torch.float64, requires_grad=True)
        term = FGAN("jensen-shannon", way).generator(make_game([[0.0]], fake))["adversarial"]
        slopes[way] = torch.autograd.grad(term.sum(), fake)[0].item()
    assert abs(slopes["saturating"]) < 1e-8
    assert slopes["alternative"] == pytest.approx(-1, abs=1e-8)


def test_an_exponential_is_exact_up_to_40_and_straight_beyond(make_game):
    fake = torch.tensor([[41.0], [42.0], [44.0]], dtype=torch.float64)
    found = FGAN("kl").discriminator(make_game(torch.zeros(3, 1), fake))["adversarial"]
    assert_close(found / torch.tensor(40.0).double().exp(), torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))


def test_every_divergence_that_a_user_can_name_is_in_the_table():
    names = typing.get_args(typing.get_type_hints(FGAN.__init__)["divergence"])
    assert list(names) == list(DIVERGENCES) == list(CLOSED)
