from __future__ import annotations

import torch
from torch.testing import assert_close

from ganbench_losses.hinge import Hinge


def test_samples_beyond_the_margin_cost_the_discriminator_nothing(make_game):
    terms = Hinge().discriminator(make_game([[2.0], [0.5], [-1.0]], [[-3.0], [-0.25], [1.0]]))
    assert_close(terms, {"adversarial": torch.tensor([0.0, 1.25, 4.0], dtype=torch.float64)})


def test_the_generator_has_no_hinge(make_game):
    fake = torch.tensor([[5.0], [-5.0]], dtype=torch.float64, requires_grad=True)
    term = Hinge().generator(make_game([[0.0], [0.0]], fake))["adversarial"]
    assert_close(term, torch.tensor([-5.0, 5.0], dtype=torch.float64))
    assert torch.autograd.grad(term.sum(), fake)[0].tolist() == [[-1.0], [-1.0]]


def test_a_good_sample_does_not_excuse_a_bad_one(make_game):
    term = Hinge().discriminator(make_game([[9.0], [-1.0]], [[-1.0], [-1.0]]))["adversarial"]
    assert term.mean().item() == 1.0  # a hinge of the mean logit, 4, would be 0
