from __future__ import annotations

import math

import pytest
import torch
from torch.func import vmap
from torch.testing import assert_close

from ganbench_layers.batch import MinibatchDeviation, MinibatchDiscrimination


def samples(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64)


def deviation_by_loops(features, group, channels):
    """(N, F) to (N, channels): for each sample, the mean deviation of its group in each share of the features."""
    count, width = features.shape
    groups, share = count // group, width // channels
    added = torch.zeros(count, channels, dtype=features.dtype)
    for sample in range(count):
        members = [other for other in range(count) if other % groups == sample % groups]
        for channel in range(channels):
            deviations = []
            for feature in range(channel * share, (channel + 1) * share):
                values = [features[member, feature].item() for member in members]
                mean = sum(values) / group
                deviations.append(math.sqrt(sum((value - mean) ** 2 for value in values) / group + 1e-8))
            added[sample, channel] = sum(deviations) / share
    return added


@pytest.mark.parametrize(("count", "group"), [(8, 4), (6, 3), (4, 4), (2, 2), (10, 2)])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_deviation_of_a_group_is_that_of_plain_loops(count, group, channels):
    features = samples(count, 6)
    appended = MinibatchDeviation(group, channels)(features)
    assert_close(appended[:, :6], features)
    assert_close(appended[:, 6:], deviation_by_loops(features, group, channels))


def test_for_maps_each_added_channel_is_one_number_a_sample():
    features = samples(4, 6, 3, 3)
    appended = MinibatchDeviation(2, 3)(features)
    assert appended.shape == (4, 9, 3, 3)
    expected = deviation_by_loops(features.flatten(1), 2, 3)
    assert_close(appended[:, 6:], expected[:, :, None, None].expand(-1, -1, 3, 3))


@pytest.mark.parametrize(("count", "group"), [(6, 3), (7, 1), (9, 3), (3, 3), (1, 1)])
def test_a_batch_that_the_group_does_not_divide_has_groups_of_its_largest_divisor(count, group):
    features = samples(count, 4)
    assert_close(MinibatchDeviation(4)(features), MinibatchDeviation(group)(features))


def test_equal_samples_have_almost_no_deviation_and_opposite_ones_have_1():
    assert_close(MinibatchDeviation()(torch.ones(4, 3))[:, 3], torch.full((4,), 1e-4))
    opposite = torch.tensor([[1.0], [-1.0]]).expand(-1, 5)
    assert_close(MinibatchDeviation()(opposite)[:, 5], torch.ones(2))


def test_discrimination_is_that_of_plain_loops():
    layer, features = MinibatchDiscrimination(3, kernels=4, size=2).double(), samples(5, 3)
    weights = layer.projection.weight.detach()
    expected = torch.zeros(5, 4, dtype=torch.float64)
    for i in range(5):
        for kernel in range(4):
            for j in range(5):
                rows = weights[2 * kernel : 2 * kernel + 2]
                expected[i, kernel] += torch.exp(-(rows @ features[i] - rows @ features[j]).abs().sum())
    appended = layer(features)
    assert_close(appended[:, :3], features)
    assert_close(appended[:, 3:].detach(), expected)


def test_a_sample_alone_is_at_no_distance_from_itself():
    assert_close(MinibatchDiscrimination(3)(samples(1, 3).float())[:, 3:], torch.ones(1, 100))


@pytest.mark.parametrize("layer", [MinibatchDeviation(), MinibatchDiscrimination(3, 4, 2).double()])
def test_second_derivatives_are_right(layer):
    assert torch.autograd.gradgradcheck(layer, samples(4, 3).requires_grad_())


@pytest.mark.parametrize("layer", [MinibatchDeviation(), MinibatchDiscrimination(3, 4, 2).double()])
def test_seeds_in_one_operation_do_not_see_each_other(layer):
    features = samples(2, 8, 3)
    assert_close(vmap(layer)(features), torch.stack([layer(one) for one in features]))
