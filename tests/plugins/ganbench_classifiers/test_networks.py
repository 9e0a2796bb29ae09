"""The classifiers' network, apart from any trained weights."""

import pytest
import torch

from ganbench.seeding import global_stream
from ganbench_classifiers.networks import DIGITS, MNIST, Architecture, Classifier


@pytest.mark.parametrize(("architecture", "resolution"), [(DIGITS, 8), (MNIST, 32)])
def test_features_and_logits_are_64_and_10_wide(architecture, resolution):
    features, logits = Classifier(architecture).eval()(torch.zeros(3, 1, resolution, resolution))
    assert (features.shape, logits.shape) == ((3, 64), (3, 10))


def test_channels_are_averaged():
    network = Classifier(DIGITS).eval()
    colours = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(1)).float()
    torch.testing.assert_close(network(colours)[0], network(colours.mean(dim=1, keepdim=True))[0])


def test_doubling_the_stated_deviation_halves_the_features_and_leaves_the_logits():
    with global_stream(0, "weights"):
        network = Classifier(Architecture(4, ((2, 2),), features=5, classes=3)).eval()
    images = torch.randint(0, 256, (6, 1, 4, 4), generator=torch.Generator().manual_seed(2)).float()
    before, logits = network(images)
    network.deviation = torch.tensor(2.0)
    after, logits_after = network(images)
    assert before.abs().sum() > 0
    torch.testing.assert_close(after, before / 2)
    assert torch.equal(logits, logits_after)


def test_pixels_are_centred_by_the_stated_mean_and_spread():
    network = Classifier(DIGITS).eval()
    images = torch.randint(0, 256, (2, 1, 8, 8), generator=torch.Generator().manual_seed(3)).float()
    expected = network((images - 30) / 60 * 255)
    network.mean, network.spread = torch.tensor(30.0), torch.tensor(60.0)
    torch.testing.assert_close(network(images)[1], expected[1])


def test_a_network_of_three_channels_sees_colour_and_takes_grey_as_three_equal_channels():
    with global_stream(0, "weights"):
        network = Classifier(Architecture(8, ((2, 1), (2, 2)), channels=3)).eval()
    colours = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(4)).float()
    assert not torch.allclose(network(colours)[1], network(colours.flip(1))[1])
    grey = colours[:, :1]
    assert torch.equal(network(grey)[1], network(grey.repeat(1, 3, 1, 1))[1])
