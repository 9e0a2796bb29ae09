from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_autoencoder.networks import Autoencoder, BEGANGenerator

SMALL = {"width": 4, "code": 5}


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def convolution(inputs, outputs):
    return 9 * inputs * outputs + outputs


@pytest.mark.parametrize("shape", [(2,), (5,), (1, 8, 8), (3, 16, 16), (6, 32, 32), (1, 64, 64)])
@pytest.mark.parametrize("error", ["absolute", "squared"])
def test_the_logit_is_minus_the_mean_error_of_the_reconstruction(shape, error):
    critic, samples = Autoencoder(shape, error=error, **SMALL), torch.randn(3, *shape)
    differences = critic.decoder(critic.encoder(samples)) - samples
    errors = [one.abs().mean() if error == "absolute" else one.square().mean() for one in differences]
    assert_close(critic(samples), -torch.stack(errors))


def test_what_is_reconstructed_better_has_the_higher_logit():
    critic = Autoencoder((2,), **SMALL)
    known = torch.zeros(1, 2)
    critic.decoder = nn.Sequential(nn.Linear(5, 2))
    nn.init.zeros_(critic.decoder[0].weight)
    nn.init.zeros_(critic.decoder[0].bias)
    assert critic(known).item() == 0
    assert critic(torch.tensor([[3.0, -1.0]])).item() == -2
    assert critic(torch.tensor([[30.0, -1.0]])).item() < -2


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)])
def test_features_are_the_code_and_the_critic_judges_as_it_is_called(shape):
    critic, samples = Autoencoder(shape, **SMALL), torch.randn(3, *shape)
    judged = critic.judge(samples)
    assert judged.keys() == {"logits", "features"}
    assert torch.equal(judged["logits"], critic(samples))
    assert torch.equal(judged["features"], critic.encoder(samples))
    assert judged["features"].shape == (3, 5)


def test_it_does_not_mix_the_batch():
    critic, samples = Autoencoder((1, 16, 16), **SMALL).double(), torch.randn(3, 1, 16, 16, dtype=torch.float64)
    assert_close(torch.cat([critic(one[None]) for one in samples]), critic(samples))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_parameter_counts_are_those_on_paper(depth):
    # At 32×32, 16×16 and 8×8 the encoder has 4, 8 and 12 channels, and the decoder 4.
    same = sum(depth * convolution(channels, channels) for channels in (4, 8, 12))
    encoder = convolution(3, 4) + convolution(4, 8) + convolution(8, 12) + same + (12 * 64 * 5 + 5)
    decoder = (5 * 4 * 64 + 4 * 64) + 3 * depth * convolution(4, 4) + convolution(4, 3)
    critic = Autoencoder((3, 32, 32), depth=depth, **SMALL)
    assert (parameters(critic.encoder), parameters(critic.decoder)) == (encoder, decoder)
    assert parameters(BEGANGenerator(5, (3, 32, 32), width=4, depth=depth)) == decoder


def test_parameter_counts_for_points_are_those_on_paper():
    critic = Autoencoder((3,), depth=2, **SMALL)
    assert parameters(critic.encoder) == (3 * 4 + 4) + (4 * 4 + 4) + (4 * 5 + 5)
    assert parameters(critic.decoder) == (5 * 4 + 4) + (4 * 4 + 4) + (4 * 3 + 3)


def test_at_8_pixels_the_decoder_is_a_linear_layer_and_two_convolutions():
    generator, latents = BEGANGenerator(7, (1, 8, 8), width=4, depth=1).double(), torch.randn(3, 7, dtype=torch.float64)
    linear, bias, inner, inner_bias, last, last_bias = generator.parameters()
    maps = (latents @ linear.T + bias).reshape(3, 4, 8, 8)
    active = F.conv2d(maps, inner, inner_bias, padding=1)
    active = torch.where(active > 0, active, active.exp() - 1)
    assert_close(generator(latents), F.conv2d(active, last, last_bias, padding=1).tanh())


def test_doubling_the_side_repeats_pixels():
    generator = BEGANGenerator(7, (1, 16, 16), width=4)
    (upsample,) = [module for module in generator.modules() if isinstance(module, nn.Upsample)]
    assert upsample(torch.tensor([[[[1.0, 2.0]]]])).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


@pytest.mark.parametrize("resolution", [8, 16, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_gives_images_of_the_datas_shape_within_1(resolution, channels):
    images = BEGANGenerator(7, (channels, resolution, resolution), width=4)(100 * torch.randn(3, 7))
    assert images.shape == (3, channels, resolution, resolution)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)])
def test_every_weight_gets_a_gradient_even_from_a_penalty_on_slopes(shape):
    critic, samples = Autoencoder(shape, error="squared", **SMALL).double(), torch.randn(3, *shape, dtype=torch.float64)
    samples.requires_grad_()
    (slopes,) = torch.autograd.grad(critic(samples).sum(), samples, create_graph=True)
    slopes.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in critic.parameters())


def test_packing_changes_the_first_and_the_last_layer_only():
    alone, packed = (Autoencoder((channels, 16, 16), **SMALL).state_dict() for channels in (1, 2))
    changed = [name for name in alone if alone[name].shape != packed[name].shape]
    ends = ["encoder.0.weight", "decoder.11.weight", "decoder.11.bias"]
    assert changed == ends


def test_a_saved_critic_and_a_copy_say_the_same():
    critic, other, samples = Autoencoder((2,), **SMALL), Autoencoder((2,), **SMALL), torch.randn(3, 2)
    other.load_state_dict(critic.state_dict())
    assert torch.equal(other(samples), critic(samples))
    assert torch.equal(copy.deepcopy(critic)(samples), critic(samples))


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (1, 8, 16), (2, 2), (1, 0, 0)])
def test_shapes_that_are_neither_points_nor_squares_of_a_power_of_two_are_refused(shape):
    for build in (lambda: BEGANGenerator(7, shape), lambda: Autoencoder(shape)):
        with pytest.raises(ChoiceError, match=r"samples of shape .*, expected square images with a side of 8, 16, 32"):
            build()


def test_the_generator_refuses_points():
    with pytest.raises(ChoiceError, match=r"began: samples of shape \(2,\), expected square images"):
        BEGANGenerator(7, (2,))


@pytest.mark.parametrize("sizes", [{"width": 0}, {"depth": 0}, {"code": 0}])
def test_an_autoencoder_without_units_layers_or_a_code_is_refused(sizes):
    with pytest.raises(ChoiceError, match=r"autoencoder: (width|depth|code) is (0|-1), expected 1 or more"):
        Autoencoder((2,), **sizes)
