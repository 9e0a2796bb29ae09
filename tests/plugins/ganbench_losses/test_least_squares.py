from __future__ import annotations

import torch
from torch.testing import assert_close

from ganbench_losses.least_squares import LeastSquares


def test_logits_of_real_are_pulled_to_1_and_those_of_fake_to_0_at_half_the_square(make_game):
    terms = LeastSquares().discriminator(make_game([[3.0], [1.0]], [[0.0], [4.0]]))
    assert_close(terms, {"adversarial": torch.tensor([2.0, 8.0], dtype=torch.float64)})


def test_the_generator_pulls_logits_of_fakes_to_1(make_game):
    terms = LeastSquares().generator(make_game([[9.0], [9.0]], [[1.0], [-2.0]]))
    assert_close(terms, {"adversarial": torch.tensor([0.0, 4.5], dtype=torch.float64)})


def test_logits_are_raw_so_that_what_is_far_away_is_pulled_hardest(make_game):
    fake = torch.tensor([[-100.0]], dtype=torch.float64, requires_grad=True)
    term = LeastSquares().generator(make_game([[0.0]], fake))["adversarial"]
    assert torch.autograd.grad(term.sum(), fake)[0].item() == -101.0
