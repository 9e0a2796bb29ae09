from __future__ import annotations

import torch
from small import Constant, LinearCritic

from ganbench.casts import Witness
from ganbench.players import Players


def at_once(function, *tensors):
    return function(*tensors)


def test_accuracy_counts_pairs_and_a_tie_as_half():
    players = Players(Constant(), LinearCritic(1.0), None, (1,))
    real, fake = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[0.0], [2.0], [5.0], [1.0]])
    witness = Witness(players.logits, real, fake, at_once, shared=())
    witness(real), witness(fake)
    summary = {name: float(value) for name, value in witness.summary().items()}
    assert summary == {"logit/real": 2.5, "logit/fake": 2.0, "discriminator/accuracy": 2.5 / 4}


def test_a_critic_that_is_shown_other_batches_only_has_no_summary():
    players = Players(Constant(), LinearCritic(1.0), None, (1,))
    real, fake = torch.ones(2, 1), torch.zeros(2, 1)
    witness = Witness(players.logits, real, fake, at_once, shared=())
    witness(torch.cat([real, fake])), witness(real.clone())
    assert witness.summary() == {}
