from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from ganbench.batched import batched_form
from ganbench.stacking import StackedNetwork

SEEDS, COUNT = 3, 6


@pytest.fixture(autouse=True)
def own_random_state():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def state_of(networks):
    names = [*dict(networks[0].named_parameters()), *dict(networks[0].named_buffers())]
    return {name: torch.stack([network.state_dict()[name] for network in networks]) for name in names}


class Squeezing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))

    def forward(self, samples):
        return self.layers(samples).squeeze(1)


class Flattening(Squeezing):
    def forward(self, samples):
        return self.layers(samples).flatten(1)


class Doubling(Squeezing):
    def forward(self, samples):
        return 2 * self.layers(samples)


class Skipping(Squeezing):
    def forward(self, samples):
        return self.layers(samples) + samples.sum(1, keepdim=True)


class Branching(Squeezing):
    def forward(self, samples):
        return self.layers(samples) if samples.sum() > 0 else samples


class Eager(nn.Linear):
    """A layer of its own making that only seems to be a linear one."""

    def forward(self, samples):
        return F.linear(samples, self.weight) * 2


KNOWN = {
    "linear": lambda: nn.Linear(4, 3),
    "linear without bias": lambda: nn.Linear(4, 3, bias=False),
    "activations": lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Tanh(), nn.GELU(), nn.Softplus()),
    "overwriting": lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2)),
    "norm": lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
    "norm without weights": lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, affine=False)),
    "norm without memory": lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False)),
    "norm over rows": lambda: nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3)), nn.BatchNorm1d(2), nn.Flatten()),
    "linear on rows": lambda: nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Linear(2, 5), nn.Flatten()),
    "squeezed": Squeezing,
    "flattened": Flattening,
}  # fmt: skip

UNKNOWN = {
    "convolution": lambda: nn.Conv1d(4, 3, 1),
    "dropout": lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)),
    "norm in evaluation": lambda: nn.BatchNorm1d(4).eval(),
    "cumulative norm": lambda: nn.BatchNorm1d(4, momentum=None),
    "flattened from another axis": lambda: nn.Flatten(0),
    "split at the end": lambda: nn.Unflatten(-1, (2, 2)),
    "arithmetic": Doubling,
    "a skip": Skipping,
    "a branch": Branching,
    "a subclass": lambda: Eager(4, 3),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_layer_gives_each_seed_what_it_would_give_alone(name):
    networks = [KNOWN[name]() for _ in range(SEEDS)]
    state = state_of(networks)
    samples = torch.randn(SEEDS, COUNT, 4)
    form = batched_form(networks[0], state)
    assert form is not None
    given = samples.clone()
    came = form(given)
    assert_close(came, torch.stack([one(own) for one, own in zip(networks, samples, strict=True)]))
    assert torch.equal(given, samples)
    assert_close(state, state_of(networks))  # the running means, too


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_has_no_batched_form_is_left_to_vmap(name):
    network = UNKNOWN[name]()
    assert batched_form(network, state_of([network] * SEEDS)) is None


@pytest.mark.parametrize(
    "register", ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"]
)
def test_a_layer_with_hooks_is_left_to_vmap(register):
    network = nn.Linear(4, 3)
    getattr(network, register)(lambda *_: None)
    assert batched_form(network, state_of([network] * SEEDS)) is None


def test_a_layer_whose_forward_was_replaced_is_left_to_vmap():
    network = nn.Linear(4, 3)
    network.forward = lambda samples: samples
    assert batched_form(network, state_of([network] * SEEDS)) is None


def test_a_part_that_occurs_twice_is_run_twice():
    def repeated():
        inner, activation = nn.Linear(4, 4), nn.Tanh()
        return nn.Sequential(inner, activation, inner, activation, inner)

    networks = [repeated() for _ in range(SEEDS)]
    samples = torch.randn(SEEDS, COUNT, 4)
    expected = torch.stack([one(own) for one, own in zip(networks, samples, strict=True)])
    form = batched_form(networks[0], StackedNetwork(networks).weights)
    assert_close(form(samples), expected)


def test_gradients_of_gradients_are_each_seeds_own():
    networks = [nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double() for _ in range(SEEDS)]
    samples = torch.randn(SEEDS, COUNT, 4, dtype=torch.float64)

    def penalty(call, given):
        inputs = given.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(call(inputs).sum(), inputs, create_graph=True)
        return slopes.square().sum()

    for one, own in zip(networks, samples, strict=True):
        penalty(one, own).backward()
    expected = torch.stack([one[0].weight.grad for one in networks])
    stacked = StackedNetwork(networks)
    penalty(stacked, samples).backward()
    assert_close(stacked.weights["0.weight"].grad, expected)
