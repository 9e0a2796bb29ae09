from __future__ import annotations

import torch
from torch import nn
from torch.testing import assert_close

from ganbench_layers.attention import SelfAttention


def attention(channels=16, gamma=0.7):
    torch.manual_seed(0)
    layer = SelfAttention(channels).double()
    nn.init.constant_(layer.gamma, gamma)
    return layer


def by_loops(layer, features):
    """The formula, pixel by pixel."""
    count, _, height, width = features.shape
    query, key, value, output = (
        module.weight.detach()[:, :, 0, 0] for module in (layer.query, layer.key, layer.value, layer.output)
    )
    result = features.clone()
    for n in range(count):
        pooled = [(row, column) for row in range(0, height, 2) for column in range(0, width, 2)]

        def largest(weights, row, column, n=n):
            around = [features[n, :, row + down, column + right] for down in (0, 1) for right in (0, 1)]
            return torch.stack([weights @ pixel for pixel in around]).amax(dim=0)

        keys = [largest(key, *place) for place in pooled]
        values = [largest(value, *place) for place in pooled]
        for row in range(height):
            for column in range(width):
                asked = query @ features[n, :, row, column]
                scores = torch.stack([asked @ one for one in keys]).exp()
                mixed = sum(score * one for score, one in zip(scores / scores.sum(), values, strict=True))
                result[n, :, row, column] += layer.gamma.item() * (output @ mixed)
    return result


def test_attention_is_that_of_plain_loops():
    layer, features = attention(), torch.randn(2, 16, 4, 6, dtype=torch.float64)
    assert_close(layer(features).detach(), by_loops(layer, features))


def test_at_first_it_is_the_identity():
    features = torch.randn(2, 16, 4, 4)
    assert torch.equal(SelfAttention(16)(features), features)


def test_keys_have_an_eighth_of_the_channels_and_values_half_and_there_is_no_bias():
    shapes = [tuple(parameter.shape) for parameter in attention(64).parameters()]
    assert shapes == [(1,), (8, 64, 1, 1), (8, 64, 1, 1), (32, 64, 1, 1), (64, 32, 1, 1)]


def test_few_channels_have_one_key():
    assert attention(4)(torch.randn(1, 4, 2, 2, dtype=torch.float64)).shape == (1, 4, 2, 2)


def test_second_derivatives_exist():
    layer, features = attention(), torch.randn(2, 16, 4, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(features).square().sum(), features, create_graph=True)
    gradient.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
