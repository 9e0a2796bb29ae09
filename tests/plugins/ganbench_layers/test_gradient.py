from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.testing import assert_close

from ganbench_layers.gradient import gradient_normalised


class Plain(nn.Module):
    """A critic on points, steep enough to be in need of normalisation; in float64."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1)).double()
        nn.init.normal_(self.layers[0].weight, std=5)

    def forward(self, samples):
        return self.layers(samples).squeeze(1)


class GradientNormalised(nn.Module):
    """The critic within, normalised."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, samples):
        logits, _ = gradient_normalised(lambda inputs: (self.module(inputs), {}), samples)
        return logits


def points(count=64):
    return torch.randn(count, 2, dtype=torch.float64, requires_grad=True)


def slopes(critic, samples):
    (gradients,) = torch.autograd.grad(critic(samples).sum(), samples, create_graph=True)
    return gradients.norm(dim=1)


def test_it_is_the_logit_over_its_size_plus_that_of_its_gradient():
    plain, samples = Plain(), points()
    logits, norms = plain(samples), slopes(plain, samples)
    assert norms.min() > 1
    assert_close(GradientNormalised(plain)(samples), logits / (norms + logits.abs()))


def test_of_a_linear_critic_it_is_known_by_hand():
    linear = nn.Linear(2, 1, bias=False)
    linear.weight.data = torch.tensor([[3.0, 4.0]])
    critic = GradientNormalised(nn.Sequential(linear, nn.Flatten(0)))
    assert_close(critic(torch.tensor([[1.0, 0.5], [-1.0, 0.0], [0.0, 0.0]])), torch.tensor([5 / 10, -3 / 8, 0]))


def test_it_is_never_larger_than_1_nor_steeper():
    critic, samples = GradientNormalised(Plain()), points(1000)
    assert critic(samples).abs().max() < 1
    steepness = slopes(critic, samples)
    assert 0.1 < steepness.max() <= 1 + 1e-12


def test_its_slope_is_the_square_of_the_gradients_share():
    plain, samples = Plain(), points()
    share = slopes(plain, samples) / (slopes(plain, samples) + plain(samples).abs())
    assert_close(slopes(GradientNormalised(plain), samples), share.square())


def test_weights_and_samples_get_the_gradients_of_the_formula():
    plain, samples = Plain(), points(8)
    ours = torch.autograd.grad(GradientNormalised(plain)(samples).square().sum(), [samples, *plain.parameters()])
    logits = plain(samples)
    formula = logits / (slopes(plain, samples) + logits.abs())
    assert_close(ours, torch.autograd.grad(formula.square().sum(), [samples, *plain.parameters()]))


def test_a_penalty_on_its_slopes_can_be_minimised():
    critic, samples = GradientNormalised(Plain()), points(8)
    slopes(critic, samples).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in critic.parameters())


def test_without_a_graph_it_says_the_same_and_keeps_none():
    critic, samples = GradientNormalised(Plain()), points(8).detach()
    with torch.no_grad():
        logits = critic(samples)
    assert not logits.requires_grad
    assert_close(logits, critic(samples))


def test_what_else_is_said_stays_as_it_is():
    plain, samples = Plain(), points(8)
    _, others = gradient_normalised(lambda given: (plain(given), {"twice": 2 * given}), samples)
    assert_close(others, {"twice": 2 * samples})


@pytest.mark.parametrize("with_graph", [True, False])
def test_seeds_in_one_operation_give_what_each_gives_alone(with_graph):
    critics, samples = [GradientNormalised(Plain()) for _ in range(3)], torch.randn(3, 8, 2, dtype=torch.float64)
    for scale, critic in enumerate(critics, start=1):
        critic.module.layers[2].weight.data *= scale
    state = {
        name: torch.stack([dict(critic.named_parameters())[name] for critic in critics])
        for name in critics[0].state_dict()
    }
    skeleton = copy.deepcopy(critics[0])
    with torch.set_grad_enabled(with_graph):
        together = vmap(lambda own, given: functional_call(skeleton, own, (given,)))(state, samples)
    assert_close(together, torch.stack([critic(given) for critic, given in zip(critics, samples, strict=True)]))
