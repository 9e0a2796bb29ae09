from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_mlp.networks import MLPDiscriminator, MLPGenerator

SHAPES = [(2,), (4,), (1, 8, 8), (3, 16, 16)]


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_generator_gives_samples_of_the_datas_shape(shape, norm):
    assert MLPGenerator(5, shape, width=16, depth=2, norm=norm)(torch.randn(6, 5)).shape == (6, *shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 6])
def test_the_discriminator_gives_one_logit_a_sample(shape, count):
    assert MLPDiscriminator(shape, width=16, depth=2)(torch.randn(count, *shape)).shape == (count,)


def test_images_lie_within_1_and_points_need_not():
    latents = 1000 * torch.randn(64, 5)
    assert MLPGenerator(5, (1, 8, 8))(latents).abs().max() <= 1
    assert MLPGenerator(5, (2,))(latents).abs().max() > 1


def test_parameter_counts_are_those_on_paper():
    assert parameters(MLPGenerator(5, (2,), width=16, depth=3)) == (5 * 16 + 16) + 2 * (16 * 16 + 16) + (16 * 2 + 2)
    assert parameters(MLPGenerator(5, (2,), width=16, depth=3, norm="batch")) == 5 * 16 + 2 * 16 * 16 + 3 * 32 + 34
    assert parameters(MLPDiscriminator((1, 8, 8), width=16, depth=2)) == (64 * 16 + 16) + (16 * 16 + 16) + (16 + 1)


def test_a_discriminator_of_one_layer_is_leaky_below_zero_with_slope_one_fifth():
    critic = MLPDiscriminator((1,), width=1, depth=1)
    for parameter in critic.parameters():
        torch.nn.init.ones_(parameter)
    logits = critic(torch.tensor([[2.0], [-6.0]]))  # hidden 3 and -5
    assert_close(logits, torch.tensor([4.0, 0.0]))


def test_the_discriminator_does_not_mix_the_batch():
    critic, samples = MLPDiscriminator((2,)).double(), torch.randn(6, 2, dtype=torch.float64)
    alone = torch.cat([critic(sample[None]) for sample in samples])
    assert_close(critic(samples), alone)


@pytest.mark.parametrize(("norm", "mixes"), [("none", False), ("batch", True)])
def test_only_batchnorm_mixes_the_generators_batch(norm, mixes):
    generator, latents = MLPGenerator(5, (2,), norm=norm).double(), torch.randn(6, 5, dtype=torch.float64)
    first, again = generator(latents)[:3], generator(latents[:3])
    assert torch.allclose(first, again) is not mixes


def test_every_weight_of_both_players_gets_a_gradient():
    generator, critic = MLPGenerator(5, (1, 8, 8)), MLPDiscriminator((1, 8, 8))
    critic(generator(torch.randn(6, 5))).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for m in (generator, critic) for p in m.parameters())


@pytest.mark.parametrize("sizes", [{"width": 0}, {"depth": 0}, {"depth": -1}])
def test_a_network_without_units_or_layers_is_refused(sizes):
    for build in (lambda: MLPGenerator(5, (2,), **sizes), lambda: MLPDiscriminator((2,), **sizes)):
        with pytest.raises(ChoiceError, match=r"mlp: width is .* and depth is .*, expected 1 or more"):
            build()
