from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_penalties.lecam import LeCam

# Logits are first coordinates: mean 2 at real and 1 at fake, then 4 and -1, then -1 and 0.
STEPS = [([[1.0], [3.0]], [[0.0], [2.0]]), ([[5.0], [3.0]], [[-4.0], [2.0]]), ([[-3.0], [1.0]], [[1.0], [-1.0]])]


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def fresh_memory(penalty: LeCam) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in penalty.remembers.items()}


def played(make_game, penalty: LeCam, steps=STEPS) -> list[torch.Tensor]:
    memory = fresh_memory(penalty)
    return [
        penalty.discriminator(replace(make_game(real, fake), memory=memory))["lecam"].detach() for real, fake in steps
    ]


def test_three_steps_are_as_worked_out_by_hand(make_game):
    # With decay ½, the weights of the steps so far are as 1 : 2 : 4.
    first, second, third = played(make_game, LeCam(weight=1.0, decay=0.5, start=0))
    # Step 1: means 2 and 1. Real 1, 3 above 1 by 0, 2; fake 0, 2 below 2 by 2, 0.
    assert_close(first, tensor(0 + 4, 4 + 0))
    # Step 2: real (2 + 2·4)/3 = 10/3, fake (1 + 2·(−1))/3 = −1/3.
    assert_close(second, tensor((5 + 1 / 3) ** 2 + (10 / 3 + 4) ** 2, (3 + 1 / 3) ** 2 + (10 / 3 - 2) ** 2))
    # Step 3: real (2 + 2·4 + 4·(−1))/7 = 6/7, fake (1 − 2 + 0)/7 = −1/7; real −3 and fake 1 are beyond their anchors.
    assert_close(third, tensor(0 + 0, (1 + 1 / 7) ** 2 + (6 / 7 + 1) ** 2))


def test_real_logits_are_anchored_at_the_mean_of_fakes_and_fakes_at_that_of_real_samples(make_game):
    apart = LeCam(weight=1.0, start=0)
    (paid,) = played(make_game, apart, [([[10.0], [10.0]], [[-10.0], [-10.0]])])
    assert_close(paid, tensor(800.0, 800.0))  # anchors exchanged: 0
    (paid,) = played(make_game, apart, [([[-10.0], [-10.0]], [[10.0], [10.0]])])
    assert_close(paid, tensor(0.0, 0.0))


def test_before_the_start_nothing_is_paid_and_the_means_move(make_game):
    early = played(make_game, LeCam(weight=1.0, decay=0.5, start=2))
    always = played(make_game, LeCam(weight=1.0, decay=0.5, start=0))
    assert_close(early[0], tensor(0.0, 0.0))
    assert_close(early[1], tensor(0.0, 0.0))
    assert_close(early[2], always[2])


def test_the_weight_multiplies_and_is_03_by_default(make_game):
    assert_close(played(make_game, LeCam(start=0))[0], 0.3 * played(make_game, LeCam(weight=1.0, start=0))[0])


def test_the_first_means_are_those_of_the_first_batch_whatever_the_decay(make_game):
    (slow, *_), (fast, *_) = (played(make_game, LeCam(decay=decay, start=0)) for decay in (0.999, 0.0))
    assert_close(slow, fast)


def test_no_gradient_flows_into_a_mean(make_game):
    penalty = LeCam(weight=1.0, decay=0.5, start=0)
    real, fake = (torch.tensor(samples, dtype=torch.float64, requires_grad=True) for samples in STEPS[0])
    game = replace(make_game(STEPS[0][0], STEPS[0][1]), real=real, fake=fake, memory=fresh_memory(penalty))
    penalty.discriminator(game)["lecam"].sum().backward()
    assert_close(real.grad, tensor(0.0, 4.0).reshape(2, 1))  # 2·relu(r − 1), the mean held fixed
    assert_close(fake.grad, tensor(-4.0, 0.0).reshape(2, 1))  # −2·relu(2 − f)


def test_a_game_that_goes_on_from_memory_goes_on_as_before(make_game):
    penalty = LeCam(decay=0.9, start=1)
    through = played(make_game, penalty)
    memory = fresh_memory(penalty)
    for (real, fake), expected in zip(STEPS, through, strict=True):
        game = replace(make_game(real, fake), memory=memory)
        assert_close(LeCam(decay=0.9, start=1).discriminator(game)["lecam"], expected)


def test_permuting_the_batch_permutes_the_penalty(make_game):
    straight = played(make_game, LeCam(start=0))
    turned = played(make_game, LeCam(start=0), [(real[::-1], fake[::-1]) for real, fake in STEPS])
    for one, other in zip(straight, turned, strict=True):
        assert_close(other, one.flip(0))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weight": -1.0}, "lecam: weight is -1.0, expected 0 or more"),
        ({"decay": 1.0}, "lecam: decay is 1.0, expected at least 0 and less than 1"),
        ({"start": -1}, "lecam: start is -1, expected 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(parameters, message):
    with pytest.raises(ChoiceError, match=message):
        LeCam(**parameters)
