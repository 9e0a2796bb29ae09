from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ganbench_layers.resampling import Blurred
from ganbench_stylegan2.layers import EqualConvolution, EqualLinear, ModulatedConvolution, Noise, activated, unit


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_a_linear_layer_keeps_unit_variance_whatever_its_rate(rate):
    layer = EqualLinear(256, 300, rate=rate).double()
    assert layer.weight.std().item() == pytest.approx(1 / rate, rel=0.02)
    assert layer(random(400, 256)).var().item() == pytest.approx(1, rel=0.05)


def test_the_rate_shrinks_what_one_step_of_a_given_size_changes():
    slow, fast, vectors = EqualLinear(8, 5, rate=0.01).double(), EqualLinear(8, 5).double(), random(3, 8)
    changes = []
    for layer in (slow, fast):
        before = layer(vectors)
        with torch.no_grad():
            layer.weight += 1e-3
            layer.bias += 1e-3
        changes.append(layer(vectors) - before)
    assert_close(changes[0], 0.01 * changes[1])


def test_a_bias_starts_at_what_was_asked_for_whatever_the_rate():
    assert_close(EqualLinear(3, 2, bias=1.0, rate=0.01)(torch.zeros(1, 3)), torch.ones(1, 2))


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_starts_with_unit_weights_and_keeps_unit_variance(kernel):
    layer = EqualConvolution(64, 96, kernel).double()
    assert layer.weight.std().item() == pytest.approx(1, rel=0.02)
    assert layer(random(4, 64, 12, 12))[..., 1:-1, 1:-1].var().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_halving_convolution_convolves_the_blurred_features_and_keeps_every_second_pixel(kernel):
    layer, features = EqualConvolution(3, 5, kernel, halving=True).double(), random(2, 3, 8, 8)
    blurred = Blurred(padding=2).double()(features)  # (2, 3, 9, 9): half a pixel beyond the border on each side
    reach = kernel // 2
    whole = F.conv2d(F.pad(blurred, [reach - 1] * 4), layer.weight / math.sqrt(3 * kernel**2))
    assert_close(layer(features), whole[..., ::2, ::2])


def test_activation_times_the_root_of_two_keeps_the_second_moment_within_four_hundredths():
    assert activated(random(100_000)).square().mean().item() == pytest.approx(1 + 0.2**2, rel=0.02)


def test_unit_vectors_have_a_mean_square_of_one():
    vectors = random(5, 7) * 3
    assert_close(unit(vectors).square().mean(dim=1), torch.ones(5, dtype=torch.float64))
    assert_close(F.cosine_similarity(unit(vectors), vectors), torch.ones(5, dtype=torch.float64))


def one_by_one(layer: ModulatedConvolution, features: torch.Tensor, styles: torch.Tensor) -> list[torch.Tensor]:
    """Each sample convolved with weights of its own (arXiv:1912.04958, eq. 1 and 3)."""
    answers = []
    for feature, scale in zip(features, layer.style(styles), strict=True):
        weights = layer.weight / math.sqrt(layer.weight[0].numel())
        weights = torch.stack([weights[:, i] * scale[i] for i in range(len(scale))], dim=1)
        if layer.demodulate:
            lengths = torch.stack([weights[j].square().sum().sqrt() for j in range(len(weights))])
            weights = weights / lengths[:, None, None, None]
        answers.append(
            doubled(feature[None], weights) if layer.blur else F.conv2d(feature[None], weights, padding="same")
        )
    return answers


def doubled(feature: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Zeros between the pixels, the filter at a gain of four, then the convolution, all as defined."""
    _, channels, height, width = feature.shape
    spaced = feature.new_zeros(1, channels, 2 * height, 2 * width)
    spaced[..., ::2, ::2] = feature
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=feature.dtype) / 4
    kernel = torch.outer(taps, taps).expand(channels, 1, 4, 4)
    blurred = F.conv2d(F.pad(spaced, [3, 2, 3, 2]), kernel, groups=channels)
    return F.conv2d(blurred, weights.flip(2, 3))


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("doubling", [True, False])
def test_modulation_equals_weights_scaled_sample_by_sample(demodulate, doubling):
    layer = ModulatedConvolution(3, 5, 4, 3, demodulate=demodulate, doubling=doubling).double()
    features, styles = random(6, 3, 4, 4), random(6, 4)
    expected = torch.cat(one_by_one(layer, features, styles))
    assert expected.shape == (6, 5, 8, 8) if doubling else (6, 5, 4, 4)
    assert_close(layer(features, styles), expected, rtol=1e-6, atol=1e-6)


def test_demodulated_white_noise_keeps_unit_variance_however_long_the_style():
    layer = ModulatedConvolution(48, 64, 16, 3).double()
    styles = random(40, 16) * torch.logspace(-2, 2, 40, dtype=torch.float64)[:, None]
    inside = layer(random(40, 48, 10, 10), styles)[..., 1:-1, 1:-1]
    assert inside.var(dim=(1, 2, 3)).tolist() == pytest.approx([1.0] * 40, rel=0.15)


def test_without_demodulation_a_longer_style_gives_larger_features():
    layer, features = ModulatedConvolution(8, 3, 4, 1, demodulate=False).double(), random(2, 8, 4, 4)
    layer.style.bias.data.zero_()
    assert_close(
        layer(features, torch.full((2, 4), 6.0).double()), 3 * layer(features, torch.full((2, 4), 2.0).double())
    )


def test_styles_start_around_one():
    scales = ModulatedConvolution(64, 8, 32, 3).double().style(random(500, 32))
    assert scales.mean().item() == pytest.approx(1, abs=0.05)
    assert scales.var().item() == pytest.approx(1, rel=0.1)


def test_noise_is_one_image_for_all_channels_times_its_strength():
    layer, features = Noise(4).double(), random(3, 5, 4, 4)
    assert_close(layer(features), features)  # the strength starts at zero
    layer.strength.data.fill_(0.5)
    added = layer(features) - features
    assert_close(added, added[:, :1].expand(-1, 5, -1, -1))
    assert not torch.equal(added[0], added[1])  # training: every sample has its own
    assert_close(layer.eval()(features) - features, (0.5 * layer.fixed).expand(3, 5, -1, -1))
