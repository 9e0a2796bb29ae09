from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_dcgan.networks import DCGANDiscriminator, DCGANGenerator
from ganbench_layers.codes import coded

NORMS = ["batch", "layer", "spectral", "none"]


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("resolution", [8, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_gives_images_of_the_datas_shape(resolution, channels):
    images = DCGANGenerator(7, (channels, resolution, resolution), width=4)(torch.randn(3, 7))
    assert images.shape == (3, channels, resolution, resolution)


@pytest.mark.parametrize("resolution", [8, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("norm", NORMS)
def test_the_discriminator_gives_one_logit_a_sample_packed_or_not(resolution, channels, norm):
    critic = DCGANDiscriminator((channels, resolution, resolution), width=4, norm=norm)
    assert critic(torch.randn(3, channels, resolution, resolution)).shape == (3,)
    assert critic(torch.randn(1, channels, resolution, resolution)).shape == (1,)


def test_parameter_counts_at_64_pixels_and_width_64_are_those_of_the_common_network():
    # PyTorch's example with 100 latents and widths of 64 has 3,576,704 and 2,765,568. It has no bias anywhere; a layer
    # without BatchNorm after it needs one, which are the image's 3, and the critic's first 64 and last 1.
    assert parameters(DCGANGenerator(100, (3, 64, 64), width=64)) == 3_576_704 + 3
    assert parameters(DCGANDiscriminator((3, 64, 64), width=64)) == 2_765_568 + 64 + 1


def test_parameter_counts_at_64_pixels_and_width_128_are_those_of_the_papers_figure():
    # 100 latents to 1024 channels of 4×4, then 512, 256, 128 and 3 channels; BatchNorm has two numbers a channel.
    common = 100 * 1024 * 16 + 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 2 * (1024 + 512 + 256 + 128)
    assert parameters(DCGANGenerator(100, (3, 64, 64), width=128)) == common + 3
    common = 16 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024 + 1024) + 2 * (256 + 512 + 1024)
    assert parameters(DCGANDiscriminator((3, 64, 64), width=128)) == common + 128 + 1


@pytest.mark.parametrize(
    ("setting", "extra"),
    [
        ({"norm": "spectral"}, 8 - 2 * 8),
        ({"outputs": 3}, 2 * (16 * 8 + 1)),
        ({"conditioning": "concat"}, 16 * 5 * 4),
        ({"conditioning": "projection"}, 5 * 8 * 16),
        ({"conditioning": "auxiliary"}, 5 * (8 * 16 + 1)),
        ({"minibatch": "deviation"}, 16),
        ({"minibatch": "discrimination"}, 100 + 8 * 16 * 500),
        ({"categories": 4, "continuous": 2}, 6 * (8 * 16 + 1)),
    ],
    ids=str,
)
def test_what_is_asked_for_costs_the_parameters_on_paper(setting, extra):
    plain = parameters(DCGANDiscriminator((1, 16, 16), 5, width=4))
    assert parameters(DCGANDiscriminator((1, 16, 16), 5, width=4, **setting)) == plain + extra


@pytest.mark.parametrize(("norm", "extra"), [("batch", 2 * 8), ("layer", 2 * 8), ("none", 8)])
def test_parameter_counts_of_a_small_discriminator_are_those_on_paper(norm, extra):
    plain = 16 * (1 * 4 + 4 * 8 + 8) + 4 + 1
    assert parameters(DCGANDiscriminator((1, 16, 16), width=4, norm=norm)) == plain + extra


@pytest.mark.parametrize("resolution", [8, 32])
def test_weights_start_with_deviation_2_hundredths_and_biases_at_zero(resolution):
    torch.manual_seed(0)
    shape = (3, resolution, resolution)
    for network in (DCGANGenerator(64, shape), DCGANDiscriminator(shape, norm="none")):
        weights = torch.cat([p.detach().flatten() for p in network.parameters() if p.dim() > 1])
        assert weights.std().item() == pytest.approx(0.02, rel=0.03)
        assert weights.mean().item() == pytest.approx(0, abs=0.001)
        assert all(not m.bias.any() for m in network.modules() if getattr(m, "bias", None) is not None)


@pytest.mark.parametrize("setting", [{"conditioning": "auxiliary"}, {"norm": "spectral"}, {"minibatch": "deviation"}])
def test_whatever_is_asked_for_weights_start_with_deviation_2_hundredths(setting):
    torch.manual_seed(0)
    named = DCGANDiscriminator((3, 32, 32), 10, **setting).named_parameters()
    weights = [value.detach().flatten() for name, value in named if name.endswith(("weight", "original"))]
    assert torch.cat([one for one in weights if len(one) > 256]).std().item() == pytest.approx(0.02, rel=0.03)


def test_normalisations_start_as_the_identity():
    network = DCGANDiscriminator((1, 32, 32), width=4, norm="batch")
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 2  # neither after the first convolution nor after the last
    assert all((m.weight == 1).all() and not m.bias.any() for m in norms)


@pytest.mark.parametrize(("norm", "mixes"), [("batch", True), ("layer", False), ("none", False)])
def test_only_batchnorm_mixes_the_discriminators_batch(norm, mixes):
    torch.manual_seed(0)
    critic = DCGANDiscriminator((1, 16, 16), width=4, norm=norm).double()
    samples = torch.randn(6, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(samples)[0], samples)
    assert gradient[0].any()
    assert bool(gradient[1:].any()) is mixes


def test_layer_norm_is_over_all_channels_and_pixels_of_a_sample():
    critic = DCGANDiscriminator((1, 16, 16), width=4, norm="layer").double()
    (norm,) = [m for m in critic.modules() if isinstance(m, torch.nn.GroupNorm)]
    features = torch.randn(2, 8, 4, 4, dtype=torch.float64) + torch.arange(8).reshape(8, 1, 1)
    rows = features.flatten(1)
    expected = (rows - rows.mean(dim=1, keepdim=True)) / (rows.var(dim=1, correction=0, keepdim=True) + 1e-5).sqrt()
    assert_close(norm(features).flatten(1), expected)


def test_at_8_pixels_the_generator_is_one_projection_and_one_transposed_convolution():
    generator, latents = DCGANGenerator(7, (1, 8, 8), width=4).double(), torch.randn(6, 7, dtype=torch.float64)
    projection, scale, shift, kernel, bias = (torch.randn_like(p) for p in generator.parameters())
    for parameter, value in zip(generator.parameters(), (projection, scale, shift, kernel, bias), strict=True):
        parameter.data = value
    maps = (latents @ projection.T).reshape(6, 4, 4, 4)
    centred = maps - maps.mean(dim=(0, 2, 3), keepdim=True)
    standard = centred / (centred.square().mean(dim=(0, 2, 3), keepdim=True) + 1e-5).sqrt()
    active = (standard * scale.reshape(4, 1, 1) + shift.reshape(4, 1, 1)).clamp(min=0)
    images = F.conv_transpose2d(active, kernel, bias, stride=2, padding=1).tanh()
    assert_close(generator(latents), images)


def test_at_8_pixels_the_discriminator_is_two_convolutions_with_a_leak_of_one_fifth_between():
    critic, samples = DCGANDiscriminator((1, 8, 8), width=4).double(), torch.randn(6, 1, 8, 8, dtype=torch.float64)
    first, first_bias, last, last_bias = critic.parameters()
    maps = F.conv2d(samples, first, first_bias, stride=2, padding=1)
    logits = (torch.where(maps > 0, maps, maps / 5) * last).sum(dim=(1, 2, 3)) + last_bias
    assert_close(critic(samples), logits)


@pytest.mark.parametrize("resolution", [8, 16, 64])
def test_a_feature_map_moved_by_a_cell_moves_the_image_by_a_quarter_of_its_side(resolution):
    torch.manual_seed(0)
    layers = DCGANGenerator(7, (3, resolution, resolution), width=4).double().eval().layers[2:]
    maps, cell = torch.randn(2, resolution // 2, 4, 4, dtype=torch.float64), resolution // 4
    image, moved = layers(maps), layers(maps.roll(1, dims=3))
    # What lies around the second column of cells is the same as around the third one after the move.
    assert_close(moved[..., 2 * cell : 3 * cell], image[..., cell : 2 * cell], rtol=0, atol=1e-14)
    assert not torch.allclose(moved[..., :cell], image[..., :cell], rtol=1e-3, atol=0)


def test_a_label_is_as_many_more_latents_as_there_are_classes():
    generator, latents = DCGANGenerator(7, (1, 8, 8), 3, width=4, conditional=True).eval(), torch.randn(4, 7)
    plain = DCGANGenerator(10, (1, 8, 8), width=4).eval()
    plain.load_state_dict(generator.state_dict())
    marks = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]])
    images = generator(latents, torch.tensor([1, 0, 2, 0]))
    assert_close(images, plain(torch.cat([latents, marks], dim=1)))
    assert (generator(latents, torch.tensor([1, 0, 2, 1])) != images).flatten(1).any(dim=1).tolist() == [False] * 3 + [
        True
    ]


def test_codes_take_the_place_of_latents():
    generator, latents = DCGANGenerator(7, (1, 8, 8), width=4, categories=3, continuous=2).eval(), torch.randn(4, 7)
    plain = DCGANGenerator(7, (1, 8, 8), width=4).eval()
    plain.load_state_dict(generator.state_dict())
    assert_close(generator(latents), plain(coded(latents, 3, 2)))


@pytest.mark.parametrize("norm", NORMS)
def test_every_weight_of_both_players_gets_a_gradient(norm):
    generator, critic = DCGANGenerator(7, (1, 16, 16), width=4), DCGANDiscriminator((1, 16, 16), width=4, norm=norm)
    critic(generator(torch.randn(6, 7))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for m in (generator, critic) for p in m.parameters())


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (1, 8, 16), (2,), (1, 0, 0)])
def test_shapes_that_are_no_square_of_a_power_of_two_are_refused(shape):
    for build in (lambda: DCGANGenerator(7, shape), lambda: DCGANDiscriminator(shape)):
        with pytest.raises(
            ChoiceError, match=r"dcgan: samples of shape .*, expected square images with a side of 8, 16, 32"
        ):
            build()


def test_a_network_without_channels_is_refused():
    with pytest.raises(ChoiceError, match="dcgan: width is 0, expected 1 or more"):
        DCGANGenerator(7, (1, 8, 8), width=0)


def test_a_conditional_generator_without_classes_is_refused():
    with pytest.raises(ChoiceError, match="dcgan: conditional needs data with classes, got 0 classes"):
        DCGANGenerator(7, (1, 8, 8), conditional=True)


def test_by_default_the_discriminator_is_plain_layers_in_a_row_to_the_last_bit():
    torch.manual_seed(0)
    critic = DCGANDiscriminator((3, 16, 16), width=4)
    torch.manual_seed(0)
    layers = [
        torch.nn.Conv2d(3, 4, 4, 2, 1),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Conv2d(4, 8, 4, 2, 1, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Conv2d(8, 1, 4),
    ]
    for layer in (layers[0], layers[2], layers[5]):
        torch.nn.init.normal_(layer.weight, std=0.02)
    for layer in (layers[0], layers[5]):
        torch.nn.init.zeros_(layer.bias)
    images = torch.randn(6, 3, 16, 16)
    assert torch.equal(critic(images), torch.nn.Sequential(*layers)(images).flatten())
