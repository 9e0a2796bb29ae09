"""How a classifier is trained, on a budget of seconds."""

from dataclasses import replace

import pytest
import torch

from ganbench.protocols import Data, Places
from ganbench_classifiers import training
from ganbench_classifiers.networks import DIGITS, Classifier
from ganbench_digits.data import digits

PLAIN = training.Recipe(epochs=2)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def small_digits():
    data = digits(Places())
    return Data(data.train[:256], data.heldout[:100], data.train_labels[:256], data.heldout_labels[:100])


def test_training_learns_and_is_the_same_for_the_same_seed():
    data, recipe = small_digits(), replace(PLAIN, epochs=4, averaging=0.5, shift=0.05)
    first, again, other = (training.train(DIGITS, recipe, data, rng(seed)) for seed in (1, 1, 2))
    assert training.accuracy(first, data.heldout, data.heldout_labels) > 0.5
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.head.weight, other.head.weight)


def test_training_bakes_the_features_deviation_in():
    data = small_digits()
    features, _ = training.train(DIGITS, PLAIN, data, rng()).eval()(data.train)
    assert (features - features.mean(dim=0)).square().mean().sqrt().item() == pytest.approx(1, abs=1e-4)


def test_without_distortion_images_stay_as_they_are():
    images = digits(Places()).train[:5].float()
    torch.testing.assert_close(training.distort(images, PLAIN, rng()), images, rtol=0, atol=1e-3)


@pytest.mark.parametrize("changed", [{"rotation_degrees": 20}, {"shear": 0.3}, {"shift": 0.2}, {"elastic": 0.1}])
def test_each_distortion_moves_each_image_its_own_way(changed):
    image = digits(Places()).train[:1].float()
    moved = training.distort(image.expand(4, -1, -1, -1), replace(PLAIN, **changed), rng())
    assert torch.unique(moved, dim=0).shape[0] == 4
    assert (moved - image).abs().amax(dim=(1, 2, 3)).min() > 1


def test_a_rotation_turns_by_at_most_the_stated_angle():
    maps = training._affine(2000, replace(PLAIN, rotation_degrees=10), rng())
    angles = torch.atan2(maps[:, 1, 0], maps[:, 0, 0]).rad2deg()
    assert 9.9 < angles.abs().max() < 10.001
    assert maps[:, :, 2].abs().max() == 0


def test_coarse_images_have_lost_what_is_finer_than_two_pixels():
    chequered = torch.arange(8).add(torch.arange(8)[:, None]).remainder(2).mul(200.0).expand(1, 1, 8, 8)
    coarse = training.distort(chequered, replace(PLAIN, coarse=1.0), rng())
    torch.testing.assert_close(coarse[..., 2:-2, 2:-2], torch.full((1, 1, 4, 4), 100.0), rtol=0, atol=1)


def test_the_average_moves_towards_the_network_by_one_minus_its_share():
    average, network = Classifier(DIGITS), Classifier(DIGITS)
    expected = 0.9 * average.head.weight + 0.1 * network.head.weight
    network.body[1].num_batches_tracked.fill_(7)
    with torch.no_grad():
        training.follow(average, network, 0.9)
    torch.testing.assert_close(average.head.weight, expected)
    assert average.body[1].num_batches_tracked == 7


def test_training_leaves_the_global_generator_the_threads_and_the_gradient_mode_alone():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = torch.get_rng_state()
        with torch.no_grad():
            network = training.train(DIGITS, PLAIN, small_digits(), rng())
            assert not torch.is_grad_enabled()
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_pixels_are_centred_by_their_mean_and_deviation():
    images = torch.randint(0, 200, (training.CHUNK + 3, 1, 4, 4), dtype=torch.uint8, generator=rng(3))
    mean, deviation = training._moments(images)
    assert mean.item() == pytest.approx(images.double().mean().item(), rel=1e-6)
    assert deviation.item() == pytest.approx(images.double().std().item(), rel=1e-6)


def test_distortion_moves_all_channels_alike():
    grey = digits(Places()).train[:3].float()
    moved = training.distort(grey.repeat(1, 3, 1, 1), replace(PLAIN, shift=0.2, coarse=0.5), rng())
    assert torch.equal(moved[:, 0], moved[:, 2])
