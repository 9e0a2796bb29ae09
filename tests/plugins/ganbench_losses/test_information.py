from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_losses.information import InfoGAN
from ganbench_losses.logistic import NonSaturating

LATENTS = torch.tensor([[0.3, 1.2, -2.0, 0.0, 0.5], [0.9, -1.0, 0.1, 1.0, -3.0]], dtype=torch.float64)
HALF_LOG_2_PI = math.log(2 * math.pi) / 2


class CodeCritic:
    """Its logit is the first number of a sample, its guess of the codes are the others."""

    def __call__(self, samples):
        return samples[:, 0]

    def judge(self, samples):
        return {"logits": samples[:, 0], "code": samples[:, 1:]}


@pytest.fixture
def coded(make_game):
    """A function that builds a game of two samples, whose categories are 1 and 0 and whose codes are 0 and 0.6827."""

    def make(real, fake):
        return dataclasses.replace(make_game(real, fake, critic=CodeCritic()), latents=LATENTS)

    return make


REAL = torch.full((2, 5), 7.0)
FAKE = [[0.5, 0.0, math.log(2), 0.0, 2.0], [-1.0, 0.0, 0.0, 0.0, 0.0]]


def test_what_is_missing_is_the_surprise_at_the_category_and_at_the_code(coded):
    loss = InfoGAN(categories=3, continuous=1)
    code = math.erf(1 / math.sqrt(2))  # the middle 68.27 % of a normal
    wanted = [math.log(2) + 2 + HALF_LOG_2_PI, math.log(3) + code**2 / 2 + HALF_LOG_2_PI]
    for player in (loss.discriminator, loss.generator):
        found = player(coded(REAL, FAKE))["information"]
        assert_close(found, torch.tensor(wanted, dtype=torch.float64))


def test_each_kind_of_code_has_its_weight(coded):
    def missing(**weights):
        return InfoGAN(categories=3, continuous=1, **weights).generator(coded(REAL, FAKE))["information"]

    of_category, of_codes = missing(continuous_weight=0.0), missing(weight=0.0)
    assert_close(missing(weight=2.0, continuous_weight=0.1), 2 * of_category + 0.1 * of_codes)


def test_the_term_trains_q_in_the_discriminators_turn_and_samples_in_the_generators(coded):
    for player in ("discriminator", "generator"):
        fake = torch.tensor(FAKE, dtype=torch.float64, requires_grad=True)
        terms = getattr(InfoGAN(categories=3, continuous=1), player)(coded(REAL, fake))
        (slope,) = torch.autograd.grad(terms["information"].sum(), fake)
        assert slope[0, 2] < 0  # towards the category that the latents ask for
        assert slope[0, 1] > 0
        assert slope[0, 4] > 0  # from a mean of 2 down to the code, 0


def test_real_samples_have_no_codes(coded):
    loss = InfoGAN(categories=3, continuous=1)
    here, there = loss.discriminator(coded(REAL, FAKE)), loss.discriminator(coded(-REAL, FAKE))
    assert_close(here["information"], there["information"])
    assert not torch.equal(here["adversarial"], there["adversarial"])


def test_beside_the_codes_it_is_the_nonsaturating_game(coded):
    game = coded(REAL, FAKE)
    for player in ("discriminator", "generator"):
        terms = getattr(InfoGAN(categories=3, continuous=1), player)(game)
        assert list(terms) == ["adversarial", "information"]
        assert_close(terms["adversarial"], getattr(NonSaturating(), player)(game)["adversarial"])


@pytest.mark.parametrize(
    ("categories", "continuous", "wanted"), [(4, 0, math.log(5)), (0, 4, math.log(2) ** 2 / 2 + 4 * HALF_LOG_2_PI)]
)
def test_codes_of_one_kind_alone_will_do(categories, continuous, wanted, make_game):
    fake = torch.tensor([[0.0, math.log(2), 0.0, 0.0, 0.0]], dtype=torch.float64)
    latents = torch.tensor([[0.0, 0.0, 0.0, 0.0, 9.0]], dtype=torch.float64)
    if categories:
        latents[0, 1] = 1.0
    game = dataclasses.replace(make_game(fake, fake, critic=CodeCritic()), latents=latents)
    found = InfoGAN(categories=categories, continuous=continuous).generator(game)["information"]
    assert found.item() == pytest.approx(wanted, rel=1e-12)


def test_at_best_the_bound_is_all_the_entropy_of_a_category(make_game):
    sure = torch.tensor([[0.0, 60.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    latents = torch.tensor([[3.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    game = dataclasses.replace(make_game(sure, sure, critic=CodeCritic()), latents=latents)
    missing = InfoGAN(categories=4, continuous=0).generator(game)["information"].item()
    assert math.log(4) - missing == pytest.approx(math.log(4), abs=1e-12)


@pytest.mark.parametrize("parameter", ["categories", "continuous", "weight", "continuous_weight"])
def test_what_is_negative_is_refused(parameter):
    with pytest.raises(ChoiceError, match=rf"infogan: {parameter} is -1, expected 0 or more"):
        InfoGAN(**{parameter: -1})
