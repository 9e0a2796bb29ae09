from __future__ import annotations

import pytest
import torch
from small import Constant, LinearCritic

from ganbench.players import Players
from ganbench.stacking import NotTogether
from ganbench.witness import Witness, at_once


def witness_of(players: Players, real, fake, **more) -> Witness:
    return Witness(players.logits, real, fake, at_once, **{"shared": (), **more})


def test_accuracy_counts_pairs_and_a_tie_as_half():
    players = Players(Constant(), LinearCritic(1.0), None, (1,))
    real, fake = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[0.0], [2.0], [5.0], [1.0]])
    witness = witness_of(players, real, fake)
    witness(real), witness(fake)
    summary = {name: float(value) for name, value in witness.summary().items()}
    assert summary == {"logit/real": 2.5, "logit/fake": 2.0, "discriminator/accuracy": 2.5 / 4}


def test_a_critic_that_is_shown_other_batches_only_has_no_summary():
    players = Players(Constant(), LinearCritic(1.0), None, (1,))
    real, fake = torch.ones(2, 1), torch.zeros(2, 1)
    witness = witness_of(players, real, fake)
    witness(torch.cat([real, fake])), witness(real.clone())
    assert witness.summary() == {}


def test_what_is_asked_without_a_graph_comes_without_one_however_it_was_computed():
    players = Players(Constant(), LinearCritic(1.0), None, (1,))
    real, fake = torch.ones(2, 1), torch.zeros(2, 1)
    ready = {"real": players.logits(real), "real slopes": players.discriminator.weight.expand(2, 1)}
    for witness in (witness_of(players, real, fake, ready=ready), witness_of(players, real, fake, shared=("real",))):
        with torch.no_grad():
            assert not witness(real).requires_grad
        assert witness(real).requires_grad
        assert witness.slopes(real).requires_grad


# --- heads


class Judge:
    """A critic with the weight 2 and a second head; it remembers what it was given."""

    def __init__(self):
        self.weight, self.given = torch.tensor(2.0, requires_grad=True), []

    def logits(self, samples):
        return self.heads(samples)["logits"]

    def heads(self, samples):
        self.given.append(samples)
        return {"logits": (self.weight * samples.square()).sum(1), "features": 3 * samples}


REAL, FAKE = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]])


def headed(shared=(), **more):
    judge = Judge()
    return judge, Witness(judge.logits, REAL, FAKE, at_once, shared=shared, heads=judge.heads, **more)


@pytest.mark.parametrize("shared", [(), ("real", "fake")])
def test_heads_of_either_batch_are_found_once_with_the_logits(shared):
    judge, witness = headed(shared)
    verdict = witness.judge(REAL)
    assert (verdict["logits"].tolist(), verdict["features"].tolist()) == ([2.0, 8.0], [[3.0], [6.0]])
    assert witness.judge(REAL) is verdict
    assert witness(REAL) is verdict["logits"]
    assert len(judge.given) == 1
    assert witness.judge(FAKE)["logits"].tolist() == [18.0, 32.0]
    assert len(judge.given) == 2


def test_other_samples_are_judged_each_time():
    judge, witness = headed()
    other = REAL.clone()
    assert witness.judge(other)["logits"].tolist() == [2.0, 8.0]
    witness.judge(other)
    assert len(judge.given) == 2
    assert witness.logits_of("real") is None
    assert witness.summary() == {}


def test_slopes_are_of_the_pass_that_gave_the_heads_where_it_is_shared():
    judge, witness = headed(("real",))
    witness.judge(REAL)
    slopes = witness.slopes(REAL)
    assert slopes.tolist() == [[4.0], [8.0]]  # 2·2·x
    assert len(judge.given) == 1
    slopes.sum().backward()
    assert judge.weight.grad.item() == 2 * (1 + 2)
    witness.judge(FAKE), witness.slopes(FAKE)
    assert len(judge.given) == 3


def test_where_heads_are_not_shared_slopes_have_a_pass_of_their_own():
    judge, witness = headed()
    witness.judge(REAL)
    assert witness.slopes(REAL).tolist() == [[4.0], [8.0]]
    assert len(judge.given) == 2


def test_heads_without_a_graph_are_not_taken_for_those_with_one():
    _, witness = headed(("real",))
    with torch.no_grad():
        assert not witness.judge(REAL)["logits"].requires_grad
    assert witness.judge(REAL)["logits"].requires_grad
    with torch.no_grad():
        assert not witness.judge(REAL)["logits"].requires_grad
        assert not witness(REAL).requires_grad
    assert witness(REAL).requires_grad


def test_what_heads_said_is_in_the_summary_and_is_told_without_its_graph():
    _, witness = headed()
    witness.judge(REAL), witness.judge(FAKE)
    assert witness.logits_of("real").tolist() == [2.0, 8.0]
    assert not witness.logits_of("fake").requires_grad
    assert {name: float(value) for name, value in witness.summary().items()} == {
        "logit/real": 5.0,
        "logit/fake": 25.0,
        "discriminator/accuracy": 0.0,
    }


def test_fakes_keep_the_path_to_their_generator_where_they_are_not_shared():
    fake = FAKE.clone().requires_grad_()
    judge = Judge()
    witness = Witness(judge.logits, REAL, fake, at_once, shared=(), heads=judge.heads)
    witness.judge(fake)["features"].sum().backward()
    assert fake.grad.tolist() == [[3.0], [3.0]]


def test_heads_are_not_to_be_had_where_none_are_given():
    with pytest.raises(NotTogether, match="its objective asks the critic for more than its logits"):
        Witness(Judge().logits, REAL, FAKE, at_once, shared=()).judge(REAL)


def test_a_critic_that_gives_vectors_has_no_summary():
    witness = Witness(lambda samples: samples.expand(2, 3), REAL, FAKE, at_once, shared=())
    witness(REAL), witness(FAKE)
    assert witness.summary() == {}
    assert witness.logits_of("real").shape == (2, 3)
