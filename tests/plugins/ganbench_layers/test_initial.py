from __future__ import annotations

import pytest
import torch
from torch import nn

from ganbench_layers.initial import start_normal


def test_weights_of_linear_layers_and_convolutions_are_normal_and_their_biases_zero():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(100, 100), nn.Conv2d(30, 30, 3), nn.ConvTranspose2d(30, 30, 3, bias=False))
    start_normal(network, 0.3)
    for layer in network:
        assert layer.weight.std().item() == pytest.approx(0.3, rel=0.05)
        assert layer.weight.mean().item() == pytest.approx(0, abs=0.02)
        assert layer.bias is None or not layer.bias.any()


def test_normalisations_and_embeddings_keep_what_they_have():
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.LayerNorm(3), nn.Embedding(4, 3))
    before = [parameter.clone() for parameter in network.parameters()]
    start_normal(network, 0.3)
    assert all(map(torch.equal, before, network.parameters()))
