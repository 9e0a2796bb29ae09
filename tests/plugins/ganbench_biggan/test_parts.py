from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_biggan.parts import attentions, finished, finisher, initialised
from ganbench_layers.attention import SelfAttention
from ganbench_layers.spectral import SpectralNorm


def as_it_is(layer: nn.Module, _gain: float) -> nn.Module:
    return layer


def test_orthogonal_weights_have_orthonormal_rows():
    torch.manual_seed(0)
    weight = initialised(nn.Conv2d(8, 6, 3), "orthogonal").weight.detach().flatten(1)
    assert_close(weight @ weight.T, torch.eye(6), atol=1e-5, rtol=0)


def test_normal_weights_have_deviation_2_hundredths():
    torch.manual_seed(0)
    weight = initialised(nn.Linear(100, 300), "normal").weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=0.001)


def test_xavier_weights_are_uniform_within_glorots_bound():
    torch.manual_seed(0)
    weight, bound = initialised(nn.Linear(100, 300), "xavier").weight, math.sqrt(6 / 400)
    assert 0.99 * bound < weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_a_finished_layer_is_normalised_from_the_start_and_has_no_bias_yet():
    torch.manual_seed(0)
    layer = finisher("normal")(nn.Linear(20, 10), 2**0.5).eval()
    assert isinstance(layer.parametrizations.weight[0], SpectralNorm)
    assert torch.linalg.matrix_norm(layer.weight.detach(), ord=2).item() == pytest.approx(1, rel=0.02)
    assert not layer.bias.any()


def test_what_is_inside_a_module_is_finished_too():
    attention = finished(SelfAttention(8), finisher("normal"))
    assert sum(isinstance(module, SpectralNorm) for module in attention.modules()) == 4


@pytest.mark.parametrize(
    ("sides", "attention", "place"),
    [
        ([8, 16, 32, 64, 128], 64, 3),
        ([8, 16, 32, 64, 128], 32, 2),
        ([8, 16, 32], 64, 2),  # none has 64: the largest below
        ([64, 32, 16, 8, 4, 4], 64, 0),
        ([16, 8, 8, 8], 8, 1),  # the first of several
        ([8, 16, 32], 0, None),
    ],
)
def test_attention_follows_the_first_block_whose_map_has_the_side(sides, attention, place):
    placed = attentions(sides, [8] * len(sides), attention, as_it_is)
    assert [isinstance(layer, SelfAttention) for layer in placed] == [number == place for number in range(len(sides))]


def test_attention_has_the_channels_of_its_map():
    (layer, _) = attentions([8, 16], [24, 16], 8, as_it_is)
    assert layer(torch.randn(1, 24, 8, 8)).shape == (1, 24, 8, 8)


@pytest.mark.parametrize("attention", [4, -1])
def test_a_side_that_no_generator_has_is_refused(attention):
    with pytest.raises(ChoiceError, match=rf"biggan: attention is {attention}, expected 0 for none, or .* 8 or more"):
        attentions([8, 16], [8, 8], attention, as_it_is)
