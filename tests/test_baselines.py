from __future__ import annotations

import copy

import pytest
import torch
from small import Constant, LinearCritic
from torch import nn

from ganbench.baselines import Pictures, Work, tuned, tutorial
from ganbench.datasets import as_input

REAL = torch.tensor([[1.0, 2.0]]).repeat(40, 1)


def work(generator=None, discriminator=None, real=REAL):
    return Work(generator or Constant(), discriminator or LinearCritic(0.5, -0.25), real, 16, 3)


def trained(loop, copied):
    step = loop(copied)
    for _ in range(5):
        step()
    weights = [*copied.generator.parameters(), *copied.discriminator.parameters()]
    return [weight.detach().clone() for weight in weights]


def test_where_chance_decides_nothing_both_loops_train_alike():
    """All samples are one, and so are all fakes: binary cross-entropy on logits is what the softplus says."""
    start = work()
    first = [weight.detach().clone() for weight in (*start.generator.parameters(), *start.discriminator.parameters())]
    ends = [trained(loop, copy.deepcopy(start)) for loop in (tutorial, tuned)]
    torch.testing.assert_close(*ends)
    assert all((end != before).any() for end, before in zip(ends[0], first, strict=True))


@pytest.mark.parametrize("loop", [tutorial, tuned])
def test_the_first_step_moves_each_weight_by_the_learning_rate_against_its_gradient(loop):
    """Adam's first step is a sign: the critic rises towards (1, 2) from (5, 5), and the fakes follow the critic."""
    start = work(Constant(5.0, 5.0), LinearCritic(0.5, 0.5))
    loop(start)()
    rate = 2e-4
    torch.testing.assert_close(start.discriminator.weight.detach(), torch.tensor([0.5 - rate, 0.5 - rate]))
    torch.testing.assert_close(start.generator.point.detach(), torch.tensor([5.0 + rate, 5.0 + rate]))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_by_way_of_pil_are_what_networks_see(channels):
    real = torch.randint(0, 256, (5, channels, 8, 8), dtype=torch.uint8)
    seen = torch.stack([image for image, _ in (Pictures(real)[index] for index in range(len(Pictures(real))))])
    torch.testing.assert_close(seen, as_input(real))


@pytest.mark.parametrize("loop", [tutorial, tuned])
def test_loops_go_on_beyond_an_epoch_of_images(loop):
    generator = nn.Sequential(nn.Linear(3, 16 * 16), nn.Tanh(), nn.Unflatten(1, (1, 16, 16)))
    critic = LinearCritic(*[0.1] * 256)
    real = torch.randint(0, 256, (20, 1, 16, 16), dtype=torch.uint8)
    step = loop(work(generator, critic, real))
    for _ in range(3):
        step()
    assert critic.weight.isfinite().all()
    assert not torch.equal(critic.weight, torch.full((256,), 0.1))
