from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.testing import assert_close

from ganbench_layers.spectral import spectral, spectral_throughout

LAYERS = {
    "linear": lambda: nn.Linear(7, 4),
    "convolution": lambda: nn.Conv2d(3, 5, 4),
    "transposed": lambda: nn.ConvTranspose2d(5, 3, 4),
    "embedding": lambda: nn.Embedding(6, 4),
}


def made(name):
    torch.manual_seed(0)
    return LAYERS[name]().double()


def matrix(name, weight):
    return weight.transpose(0, 1).flatten(1) if name == "transposed" else weight.flatten(1)  # (outputs, inputs)


def used(layer, times):
    for _ in range(times):
        layer.weight  # noqa: B018 - each use is one power iteration
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_the_largest_singular_value_is_1_once_the_iteration_has_converged(name):
    layer = used(spectral(made(name)), 200)
    assert torch.linalg.svdvals(matrix(name, layer.weight))[0].item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_normalised_weights_are_the_weights_over_their_largest_singular_value(name):
    plain = made(name)
    layer = used(spectral(copy.deepcopy(plain)), 200)
    assert_close(layer.weight, plain.weight / torch.linalg.svdvals(matrix(name, plain.weight))[0])


def test_a_new_layer_is_nearly_normalised_already():
    largest = torch.linalg.svdvals(spectral(made("convolution")).weight.flatten(1))[0].item()
    assert largest == pytest.approx(1, abs=0.05)


def test_each_use_in_training_is_one_step_of_power_iteration_and_none_in_evaluation():
    layer = spectral(made("linear"))
    norm, weight = layer.parametrizations.weight[0], layer.parametrizations.weight.original.detach()
    u = norm.u.clone()
    v = weight.T @ u / (weight.T @ u).norm()
    expected = weight @ v / (weight @ v).norm()
    used(layer, 1)
    assert_close(norm.u, expected)
    assert_close(norm.v, v)
    used(layer.eval(), 3)
    assert_close(norm.u, expected)


def test_the_gradient_is_that_of_the_weight_over_its_spectral_norm():
    plain, direction = made("linear"), torch.randn(4, 7, dtype=torch.float64)
    layer = used(spectral(copy.deepcopy(plain)), 200)
    (ours,) = torch.autograd.grad((layer.weight * direction).sum(), layer.parametrizations.weight.original)
    exact = plain.weight / torch.linalg.matrix_norm(plain.weight, ord=2)
    (expected,) = torch.autograd.grad((exact * direction).sum(), plain.weight)
    assert_close(ours, expected)


@pytest.mark.parametrize("name", LAYERS)
def test_torchs_own_spectral_norm_comes_to_the_same(name):
    plain = made(name)
    ours = used(spectral(copy.deepcopy(plain)), 200)
    theirs = used(nn.utils.parametrizations.spectral_norm(copy.deepcopy(plain)), 200)
    assert_close(ours.weight, theirs.weight)


def test_a_layer_may_be_used_twice_before_its_gradient_is_taken():
    layer, samples = spectral(made("linear")), torch.randn(5, 7, dtype=torch.float64)
    (layer(samples) + layer(2 * samples)).sum().backward()
    assert layer.parametrizations.weight.original.grad.abs().sum() > 0


def test_every_kind_of_layer_in_a_network_is_normalised_and_nothing_else():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Sequential(nn.Linear(2, 2)), nn.Embedding(3, 2))
    spectral_throughout(network)
    assert [nn.utils.parametrize.is_parametrized(layer) for layer in network] == [True, False, False, True]
    assert nn.utils.parametrize.is_parametrized(network[2][0])


def test_seeds_in_one_operation_give_what_each_gives_alone():
    layers = [spectral(nn.Linear(3, 2)).double() for _ in range(3)]
    state = {
        name: torch.stack([layer.state_dict()[name] for layer in layers]).clone() for name in layers[0].state_dict()
    }
    samples = torch.randn(3, 5, 3, dtype=torch.float64)
    skeleton = copy.deepcopy(layers[0])
    together = vmap(lambda own, given: functional_call(skeleton, own, (given,)))(state, samples)
    alone = torch.stack([layer(given) for layer, given in zip(layers, samples, strict=True)])
    assert_close(together, alone)
    for place, layer in enumerate(layers):
        assert_close({name: value[place] for name, value in state.items()}, dict(layer.state_dict()))


def test_copies_and_saved_states_carry_the_singular_vectors():
    layer, other = used(spectral(made("linear")), 3).eval(), spectral(LAYERS["linear"]().double()).eval()
    samples = torch.randn(5, 7, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(samples), layer(samples))
    assert torch.equal(copy.deepcopy(layer)(samples), layer(samples))
