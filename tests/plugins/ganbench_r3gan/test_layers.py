from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ganbench_r3gan.layers import (
    GAIN,
    GenerativeBasis,
    ResidualBlock,
    convolution,
    downwards,
    linear,
    to_point,
    upwards,
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_a_block_is_the_identity_at_first():
    block, features = ResidualBlock(6, expansion=2, group_width=4, blocks=8), torch.randn(2, 6, 4, 4)
    assert torch.equal(block(features), features)
    assert not block.branch[4].weight.any()


def test_a_block_is_two_activations_between_three_convolutions_beside_the_identity():
    block, features = ResidualBlock(6, expansion=2, group_width=4, blocks=8).double(), random(2, 6, 4, 4)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    expand, _, group, _, reduce = block.branch
    inner = F.conv2d(features, expand.weight) + expand.bias[:, None, None]
    inner = torch.where(inner > 0, inner, inner / 5)
    parts = [F.conv2d(inner[:, k : k + 4], group.weight[k : k + 4], padding=1) for k in (0, 4, 8)]
    inner = torch.cat(parts, dim=1) + group.bias[:, None, None]
    inner = torch.where(inner > 0, inner, inner / 5)
    assert_close(block(features), features + F.conv2d(inner, reduce.weight))


@pytest.mark.parametrize("blocks", [1, 16])
def test_the_other_layers_of_a_block_start_smaller_the_more_blocks_there_are(blocks):
    block = ResidualBlock(64, expansion=2, group_width=16, blocks=blocks)
    smaller = GAIN * blocks**-0.25
    assert block.branch[0].weight.std().item() == pytest.approx(smaller / math.sqrt(64), rel=0.03)
    assert block.branch[2].weight.std().item() == pytest.approx(smaller / math.sqrt(16 * 9), rel=0.03)
    assert not block.branch[0].bias.any()
    assert not block.branch[2].bias.any()


def test_the_gain_makes_up_for_what_the_activation_takes():
    rectified = F.leaky_relu(GAIN * random(100_000), 0.2)
    assert rectified.square().mean().item() == pytest.approx(1, rel=0.02)


def test_weights_keep_unit_variance():
    assert convolution(200, 300, 1).double()(random(3, 200, 8, 8)).var().item() == pytest.approx(1, rel=0.05)
    assert to_point(500).double()(random(40, 500, 4, 4)).var().item() == pytest.approx(1, rel=0.05)
    assert linear(300, 200).double()(random(100, 300)).var().item() == pytest.approx(1, rel=0.05)
    assert linear(300, 200, gain=0.1).double()(random(100, 300)).std().item() == pytest.approx(0.1, rel=0.05)


def test_the_basis_is_one_learned_image_a_channel_times_a_linear_function_of_the_latent():
    basis, latents = GenerativeBasis(3, 5).double(), random(2, 3)
    maps = basis(latents)
    assert maps.shape == (2, 5, 4, 4)
    for channel in range(5):
        coefficients = latents @ basis.coefficients.weight[channel]
        assert_close(maps[:, channel], coefficients[:, None, None] * basis.basis[0, channel])
    assert_close(basis(3 * latents), 3 * maps)


def test_a_point_is_what_each_channels_learned_image_says_of_it():
    layer, features = to_point(5).double(), random(2, 5, 4, 4)
    assert_close(layer(features)[..., 0, 0], (features * layer.weight[:, 0]).sum(dim=(2, 3)))


def test_channels_change_at_the_lower_resolution_and_only_where_they_differ():
    features = random(1, 6, 8, 8)
    up, down = upwards(6, 4).double(), downwards(6, 8).double()
    assert [type(layer).__name__ for layer in up] == ["Conv2d", "Doubled"]
    assert [type(layer).__name__ for layer in down] == ["Halved", "Conv2d"]
    assert up(features).shape == (1, 4, 16, 16)
    assert down(features).shape == (1, 8, 4, 4)
    assert len(upwards(6, 6)) == len(downwards(6, 6)) == 1
