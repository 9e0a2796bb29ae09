from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_losses.auxiliary import ACGAN
from ganbench_losses.logistic import NonSaturating


class LabelCritic:
    """Its logit is the first number of a sample, its class logits are the others."""

    def __call__(self, samples):
        return samples[:, 0]

    def judge(self, samples):
        return {"logits": samples[:, 0], "classes": samples[:, 1:]}


@pytest.fixture
def labelled(make_game):
    """A function that builds a game of samples whose classes are 1 and 0."""

    def make(real, fake):
        return dataclasses.replace(make_game(real, fake, critic=LabelCritic()), labels=torch.tensor([1, 0]))

    return make


SURE = math.log(3)  # of two classes, three to one
REAL, FAKE = [[2.0, 0.0, SURE], [1.0, 0.0, SURE]], [[-1.0, 0.0, 0.0], [0.5, SURE, 0.0]]


def test_the_discriminator_learns_classes_from_real_and_from_fake(labelled):
    classes = ACGAN().discriminator(labelled(REAL, FAKE))["classes"]
    wanted = [-math.log(3 / 4) - math.log(1 / 2), -math.log(1 / 4) - math.log(3 / 4)]
    assert_close(classes, torch.tensor(wanted, dtype=torch.float64))


def test_the_generator_has_its_own_samples_recognised_only(labelled):
    classes = ACGAN(weight=2.0).generator(labelled(REAL, FAKE))["classes"]
    assert_close(classes, 2 * torch.tensor([math.log(2), -math.log(3 / 4)], dtype=torch.float64))


def test_beside_the_classes_it_is_the_nonsaturating_game(labelled):
    game = labelled(REAL, FAKE)
    for player in ("discriminator", "generator"):
        terms, wanted = (getattr(loss, player)(game) for loss in (ACGAN(), NonSaturating()))
        assert list(terms) == ["adversarial", "classes"]
        assert_close(terms["adversarial"], wanted["adversarial"])


def test_both_players_want_the_classifier_to_be_right(labelled):
    for player in ("discriminator", "generator"):
        fake = torch.tensor(FAKE, dtype=torch.float64, requires_grad=True)
        terms = getattr(ACGAN(), player)(labelled(REAL, fake))
        (slope,) = torch.autograd.grad(terms["classes"].sum(), fake)
        assert slope[0, 2] < 0  # the right class of the first fake
        assert slope[1, 1] < 0  # and of the second


@pytest.mark.parametrize("weight", [-1.0, math.nan])
def test_a_weight_that_is_no_weight_is_refused(weight):
    with pytest.raises(ChoiceError, match=r"acgan: weight is .* expected 0 or more"):
        ACGAN(weight=weight)
