from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from ganbench_layers.conditioning import ConditionalBatchNorm2d
from ganbench_layers.critic import Duties
from ganbench_layers.residual import CriticBlock, GeneratorBlock, Pooled, Stage, finished_head


def as_it_is(layer: nn.Module, _gain: float) -> nn.Module:
    return layer


def randomised(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.double()


def batch_norm(maps: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    centred = maps - maps.mean(dim=(0, 2, 3), keepdim=True)
    standard = centred / (centred.square().mean(dim=(0, 2, 3), keepdim=True) + 1e-5).sqrt()
    return standard * norm.weight.reshape(1, -1, 1, 1) + norm.bias.reshape(1, -1, 1, 1)


def test_a_generators_block_is_the_published_one_with_the_doubling_before_each_convolution():
    torch.manual_seed(0)
    block, maps = randomised(GeneratorBlock(3, 2, nn.BatchNorm2d, as_it_is)), torch.randn(4, 3, 5, 5).double()
    doubled = batch_norm(maps, block.before).clamp(min=0).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    residual = F.conv2d(doubled, block.inner.weight, block.inner.bias, padding=1)
    residual = F.conv2d(
        batch_norm(residual, block.between).clamp(min=0), block.outer.weight, block.outer.bias, padding=1
    )
    large = maps.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert_close(block(maps), residual + F.conv2d(large, block.shortcut.weight, block.shortcut.bias))


def test_a_block_hands_its_condition_to_both_normalisations():
    torch.manual_seed(0)
    block = GeneratorBlock(3, 2, lambda channels: ConditionalBatchNorm2d(channels, 2), as_it_is)
    maps, plain = torch.randn(4, 3, 5, 5), GeneratorBlock(3, 2, nn.BatchNorm2d, as_it_is)
    plain.inner, plain.outer, plain.shortcut = block.inner, block.outer, block.shortcut
    ones, zeros = torch.ones(4, dtype=torch.long), torch.zeros(4, dtype=torch.long)
    assert_close(block(maps, zeros), plain(maps))
    for norm in (block.before, block.between):
        before = block(maps, ones)
        norm.shift.weight.data[1] += 1
        assert not torch.allclose(block(maps, ones), before)
        assert_close(block(maps, zeros), plain(maps))


def test_a_critics_block_is_the_published_one_with_the_mean_after_each_convolution():
    torch.manual_seed(0)
    block = randomised(CriticBlock(Stage(3, 4, 2), nn.Identity, as_it_is))
    maps = torch.randn(4, 3, 6, 6).double()
    residual = F.conv2d(maps.clamp(min=0), block.inner.weight, block.inner.bias, padding=1).clamp(min=0)
    both = F.conv2d(residual, block.outer.weight, block.outer.bias, padding=1)
    both = both + F.conv2d(maps, block.shortcut.weight, block.shortcut.bias)
    expected = (both[:, :, ::2, ::2] + both[:, :, 1::2, ::2] + both[:, :, ::2, 1::2] + both[:, :, 1::2, 1::2]) / 4
    assert_close(block(maps), expected)


def test_the_first_block_of_a_critic_does_not_rectify_the_image():
    torch.manual_seed(0)
    block = randomised(CriticBlock(Stage(1, 2, 2, first=True), nn.Identity, as_it_is))
    images = -torch.rand(3, 1, 4, 4).double()
    residual = F.conv2d(images, block.inner.weight, block.inner.bias, padding=1).clamp(min=0)
    both = F.conv2d(residual, block.outer.weight, block.outer.bias, padding=1)
    assert_close(block(images), F.avg_pool2d(both + F.conv2d(images, block.shortcut.weight, block.shortcut.bias), 2))


def test_a_block_that_keeps_channels_and_side_has_no_shortcut_to_learn():
    kept, wider = (CriticBlock(Stage(3, 3, outputs, halves=False), nn.Identity, as_it_is) for outputs in (3, 4))
    assert sum(p.numel() for p in kept.parameters()) == 2 * (9 * 9 + 3)
    assert sum(p.numel() for p in wider.parameters()) == 9 * 9 + 3 + 9 * 12 + 4 + 12 + 4
    maps = torch.randn(2, 3, 4, 4)
    kept.outer.weight.data.zero_()
    kept.outer.bias.data.zero_()
    assert_close(kept(maps), maps)


def test_layers_are_finished_with_the_gain_of_their_place():
    gains = {}

    def finish(layer: nn.Module, gain: float) -> nn.Module:
        gains[layer] = gain
        return layer

    generator, critic = GeneratorBlock(3, 2, nn.BatchNorm2d, finish), CriticBlock(Stage(3, 4, 2), nn.Identity, finish)
    for block in (generator, critic):
        assert [gains[layer] for layer in (block.inner, block.outer, block.shortcut)] == [2**0.5, 2**0.5, 1]


def test_every_layer_of_the_head_and_every_embedding_is_finished():
    finished = []

    def finish(layer: nn.Module, gain: float) -> nn.Module:
        finished.append((type(layer), gain))
        return layer

    finished_head(Duties(classes=4, outputs=2, conditioning="projection"), 5, finish)
    assert finished == [(nn.Linear, 1), (nn.Embedding, 1), (nn.Embedding, 1)]
    finished.clear()
    head = finished_head(Duties(classes=4, conditioning="auxiliary"), 5, finish)
    assert finished == [(nn.Linear, 1)] * 2
    features = torch.randn(6, 5)
    assert (head(features).shape, head.beside(features)["classes"].shape) == ((6,), (6, 4))


def test_pixels_are_rectified_and_summed():
    maps = torch.tensor([[[[1.0, -2.0], [3.0, 4.0]], [[-1.0, -1.0], [-1.0, 0.5]]]])
    assert Pooled()(maps).tolist() == [[8.0, 0.5]]
