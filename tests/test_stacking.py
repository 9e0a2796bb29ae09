from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import grad, vmap
from torch.testing import assert_close

from ganbench.stacking import NotTogether, StackedNetwork, lift


def networks(make, count=3):
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(make())
    return made


@pytest.fixture(autouse=True)
def own_random_state():
    with torch.random.fork_rng():
        yield


def small():
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))


def test_each_seeds_samples_meet_that_seeds_weights():
    alone = networks(small)
    samples = torch.randn(3, 5, 2)
    expected = torch.stack([one(own) for one, own in zip(alone, samples, strict=True)])
    assert_close(StackedNetwork(alone)(samples), expected)


def test_the_networks_that_were_given_change_with_the_whole():
    alone = networks(small)
    stacked = StackedNetwork(alone)
    with torch.no_grad():
        stacked.weights["0.weight"][1].fill_(7.0)
    assert alone[1][0].weight.tolist() == [[7.0, 7.0]] * 4
    assert (alone[0][0].weight != 7.0).all()


def test_a_weight_of_two_names_is_stacked_once():
    def tied():
        made = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        made[1].weight = made[0].weight
        return made

    stacked = StackedNetwork(networks(tied))
    assert stacked.weights["0.weight"] is stacked.weights["1.weight"]
    assert len(stacked.parameters()) == 3


def test_weights_that_do_not_learn_still_do_not():
    def frozen():
        made = small()
        made[0].weight.requires_grad_(requires_grad=False)
        return made

    stacked = StackedNetwork(networks(frozen))
    assert [weight.requires_grad for weight in stacked.parameters()] == [False, True, True, True]


def test_buffers_of_whole_numbers_stay_whole():
    stacked = StackedNetwork(networks(lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))))
    stacked(torch.randn(3, 5, 2))
    assert stacked.buffers["1.num_batches_tracked"].tolist() == [1, 1, 1]
    assert stacked.buffers["1.running_mean"].shape == (3, 3)
    assert not torch.equal(*stacked.buffers["1.running_mean"][:2])


class Scaled(nn.Module):
    def __init__(self, held) -> None:
        super().__init__()
        self.layer, self.held = nn.Linear(2, 1), held

    def forward(self, samples):
        return self.layer(samples)


def test_networks_whose_weights_differ_in_shape_are_not_stacked():
    with pytest.raises(NotTogether, match="differ in their weights' names, shapes or types"):
        StackedNetwork([nn.Linear(2, 1), nn.Linear(2, 2)])


def test_networks_whose_weights_differ_in_type_are_not_stacked():
    with pytest.raises(NotTogether, match="differ in their weights' names, shapes or types"):
        StackedNetwork([nn.Linear(2, 1), nn.Linear(2, 1).double()])


@pytest.mark.parametrize(
    "pair",
    [(1.0, 1.001), (True, False), ("a", "b"), (torch.ones(2), torch.zeros(2)), ([1, 2], [1, 3]), ({"a": 1}, {"b": 1})],
    ids=str,
)
def test_networks_that_differ_in_more_than_their_weights_are_not_stacked(pair):
    with pytest.raises(NotTogether, match="differ in more than their weights"):
        StackedNetwork([Scaled(held) for held in pair])


def test_networks_that_hold_equal_things_are_stacked():
    stacked = StackedNetwork([Scaled({"size": (2, 3), "scale": torch.ones(2), "name": None}) for _ in range(2)])
    assert stacked(torch.ones(2, 4, 2)).shape == (2, 4, 1)


def test_another_slope_of_an_activation_is_a_difference():
    with pytest.raises(NotTogether, match="differ in more than their weights"):
        StackedNetwork([nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(slope)) for slope in (0.1, 0.2)])


def knowing(kind):
    """A network that holds a function which knows a layer, so that a copy of it calls the layer of the first."""
    made = Scaled(None)
    layer = made.layer
    if kind == "attribute":
        made.held = lambda samples: 2 * layer(samples)
    elif kind == "hook":
        layer.register_forward_hook(lambda module, given, came: came + made.layer.weight.sum())
    else:
        layer.forward = lambda samples, plain=layer.forward: 2 * plain(samples)
    return made


@pytest.mark.parametrize("kind", ["attribute", "hook", "default"])
def test_functions_that_know_a_layer_keep_networks_apart(kind):
    with pytest.raises(NotTogether, match="a function that brings along modules or tensors"):
        StackedNetwork([knowing(kind) for _ in range(2)])


def test_hooks_on_gradients_keep_networks_apart():
    def hooked():
        made = small()
        made[0].weight.register_hook(lambda gradient: 2 * gradient)
        return made

    with pytest.raises(NotTogether, match="hooks on its weights' gradients"):
        StackedNetwork(networks(hooked))


def test_from_inside_vmap_all_seeds_are_seen_at_once():
    shapes = []

    def doubled(samples):
        shapes.append(tuple(samples.shape))
        return 2 * samples

    result = vmap(lambda own: lift(doubled, own) + own)(torch.ones(3, 5))
    assert shapes == [(3, 5)]
    assert result.tolist() == [[3.0] * 5] * 3


def test_what_all_seeds_share_is_given_to_each():
    result = vmap(lambda own: lift(lambda one, shared: one + shared, own, torch.arange(2.0)))(torch.ones(3, 2))
    assert result.tolist() == [[1.0, 2.0]] * 3


def test_transformations_other_than_vmap_are_refused():
    with pytest.raises(NotTogether, match="other than vmap"):
        grad(lambda own: lift(lambda one: one.sum(), own))(torch.ones(2))
