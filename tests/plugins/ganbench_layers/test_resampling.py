from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import convolve2d, upfirdn
from torch.testing import assert_close

from ganbench_layers.resampling import Blurred, Doubled, Halved

TAPS = np.array([1.0, 3.0, 3.0, 1.0])
KERNEL = np.outer(TAPS, TAPS) / 64


@pytest.fixture
def features():
    return torch.randn(2, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def each(features: torch.Tensor, oracle) -> torch.Tensor:
    """The oracle's answer to each channel of each sample."""
    return torch.stack([torch.stack([torch.from_numpy(oracle(c.numpy()).copy()) for c in row]) for row in features])


def test_doubling_is_scipys_upsampling_by_two_with_the_filter_at_a_gain_of_four(features):
    def oracle(channel):
        rows = upfirdn(TAPS / 4, channel, up=2, axis=0)[1:-1]
        return upfirdn(TAPS / 4, rows, up=2, axis=1)[:, 1:-1]

    assert_close(Doubled().double()(features), each(features, oracle))


def test_halving_is_scipys_convolution_at_every_second_pixel(features):
    doubled = each(features, lambda channel: convolve2d(channel, KERNEL)[2:-2:2, 2:-2:2])
    assert_close(Halved().double()(features), doubled)


@pytest.mark.parametrize(("padding", "gain"), [(1, 4.0), (2, 1.0), (3, 1.0)])
def test_blurring_is_scipys_convolution_with_a_border_of_zeros(features, padding, gain):
    inside = slice(3 - padding, padding - 3 or None)
    expected = each(features, lambda channel: gain * convolve2d(channel, KERNEL)[inside, inside])
    assert_close(Blurred(padding, gain).double()(features), expected)


def test_doubling_interpolates_bilinearly_away_from_the_border(features):
    bilinear = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
    doubled = Doubled().double()(features)
    assert_close(doubled[..., 1:-1, 1:-1], bilinear[..., 1:-1, 1:-1])
    assert_close(doubled[..., 0, 2:-2], bilinear[..., 0, 2:-2] * 0.75)  # a quarter is beyond the border, and zero


@pytest.mark.parametrize("resample", [Doubled(), Halved(), Blurred(padding=2)])
def test_a_constant_stays_what_it_is_away_from_the_border(resample):
    answer = resample(torch.full((1, 2, 8, 8), 0.7))
    assert_close(answer[..., 2:-2, 2:-2], torch.full_like(answer[..., 2:-2, 2:-2], 0.7))


def test_a_filter_follows_the_type_of_its_network_and_is_no_part_of_its_state():
    filters = torch.nn.Sequential(Doubled(), Halved())
    assert not filters.state_dict()
    assert filters.double()(torch.ones(1, 1, 4, 4, dtype=torch.float64)).dtype == torch.float64
