from __future__ import annotations

import random
from collections import deque

import numpy as np
import pytest
import torch
from torch import nn

from ganbench.states import (
    beyond_words,
    global_random_state,
    held,
    hold,
    network_state,
    optimiser_state,
    random_states,
    restore_global_random,
    restore_network,
    restore_optimiser,
    restore_random,
)


class Keeping(nn.Module):
    """A network with all that a network may keep."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("passing", torch.zeros(1), persistent=False)
        self.calls = 0
        self.last = (1.0, [2, None], {"a": True})


def test_a_network_gets_back_all_of_its_tensors_and_its_own_attributes():
    one, other = Keeping(), Keeping()
    one.mean.fill_(3)
    one.passing.fill_(4)
    one.calls, one.last = 5, (2.0, [7, "b"], {"a": False})
    restore_network(other, network_state(one))
    assert torch.equal(other.layer.weight, one.layer.weight)
    assert other.mean.tolist() == [3, 3]
    assert other.passing.tolist() == [4]
    assert (other.calls, other.last) == (5, (2.0, [7, "b"], {"a": False}))
    assert other.layer.weight.requires_grad


def test_a_networks_tensors_stay_where_they_are():
    one, other = Keeping(), Keeping()
    weight, mean = other.layer.weight, other.mean
    restore_network(other, network_state(one))
    assert other.layer.weight is weight
    assert other.mean is mean


def test_a_buffer_that_has_taken_another_shape_comes_back_in_it():
    one, other = Keeping(), Keeping()
    one.mean = torch.ones(3)
    restore_network(other, network_state(one))
    assert other.mean.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda weights: torch.optim.Adam(weights, lr=0.1, fused=True),
        lambda weights: torch.optim.RMSprop(weights, lr=0.1),
        lambda weights: torch.optim.SGD(weights, lr=0.1, fused=True),
    ],
)
def test_an_optimiser_goes_on_to_the_same_bits_whatever_the_layout_of_its_weights(make):
    def network():
        torch.manual_seed(0)
        return nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)

    def step(network, optimiser, seed):
        optimiser.zero_grad()
        network(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))).square().sum().backward()
        optimiser.step()

    one, other = network(), network()
    first, second = make(one.parameters()), make(other.parameters())
    for seed in range(3):
        step(one, first, seed)
    restore_network(other, network_state(one))
    copied = {
        key: {name: value.clone().contiguous() for name, value in values.items()}
        for key, values in optimiser_state(first).items()
    }
    restore_optimiser(second, copied)
    for seed in range(3, 6):
        step(one, first, seed)
        step(other, second, seed)
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_random_generators_go_on_with_the_same_numbers():
    rng = torch.Generator().manual_seed(3)
    torch.rand(5, generator=rng)
    kept = random_states([rng])
    expected = torch.rand(5, generator=rng)
    restore_random([rng], kept)
    assert torch.equal(torch.rand(5, generator=rng), expected)


def test_the_global_generators_of_torch_numpy_and_python_go_on_with_the_same_numbers():
    def drawn():
        return torch.rand(2).tolist(), np.random.rand(3).tolist(), random.gauss(0, 1), random.random()  # noqa: NPY002

    drawn()
    kept = global_random_state(torch.device("cpu"))
    expected = drawn()
    drawn()
    restore_global_random(kept, torch.device("cpu"))
    assert drawn() == expected


class Part:
    """A plugin's object with something of each kind."""

    def __init__(self, seed):
        self.count = seed
        self.mean = torch.full((2,), float(seed))
        self.rng = torch.Generator().manual_seed(seed)
        self.array = np.arange(seed, dtype=np.int32)
        self.seen = [torch.ones(seed)]
        self.queue = deque(range(seed))
        self.later = None if seed == 5 else torch.ones(1)
        self.drawn = np.random.default_rng(seed)


def test_an_object_gets_back_what_it_keeps_and_its_generators_stay_its_own():
    one, other = Part(3), Part(5)
    expected = torch.rand(2, generator=torch.Generator().manual_seed(3))
    rng = other.rng
    hold(other, held(one))
    assert (other.count, other.mean.tolist(), other.array.tolist(), other.array.dtype) == (
        3,
        [3, 3],
        [0, 1, 2],
        np.int32,
    )
    assert [tensor.tolist() for tensor in other.seen] == [[1, 1, 1]]
    assert other.later.tolist() == [1]
    assert other.rng is rng
    assert torch.equal(torch.rand(2, generator=other.rng), expected)


def test_what_cannot_be_written_down_is_seen_to_change():
    part = Part(2)
    assert "queue" not in held(part)
    before = beyond_words(part)
    part.count += 1
    assert beyond_words(part) == before
    part.drawn.random()
    assert beyond_words(part) != before
    before = beyond_words(part)
    part.queue.append(9)
    assert beyond_words(part) != before
