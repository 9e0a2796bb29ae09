"""The script that trained the shipped classifiers, on a budget of seconds."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from ganbench.protocols import Data, Places
from ganbench_classifiers import train
from ganbench_classifiers.networks import DIGITS, Classifier
from ganbench_digits.data import digits

PLAIN = train.Recipe(digits, DIGITS, epochs=2, rotation_degrees=0, shear=0, scaling=0, shift=0, elastic=0)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def small_digits():
    data = digits(Places())
    return Data(data.train[:256], data.heldout[:100], data.train_labels[:256], data.heldout_labels[:100])


def test_training_learns_and_is_the_same_for_the_same_seed():
    data, recipe = small_digits(), replace(PLAIN, epochs=4, averaging=0.5, shift=0.05)
    first, again, other = (train.train(recipe, data, rng(seed)) for seed in (1, 1, 2))
    assert train.accuracy(first, data) > 0.5
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.head.weight, other.head.weight)


def test_training_bakes_the_features_deviation_in():
    data = small_digits()
    features, _ = train.train(PLAIN, data, rng()).eval()(data.train)
    assert (features - features.mean(dim=0)).square().mean().sqrt().item() == pytest.approx(1, abs=1e-4)


def test_without_distortion_images_stay_as_they_are():
    images = digits(Places()).train[:5].float()
    torch.testing.assert_close(train.distort(images, PLAIN, rng()), images, rtol=0, atol=1e-3)


@pytest.mark.parametrize("changed", [{"rotation_degrees": 20}, {"shear": 0.3}, {"shift": 0.2}, {"elastic": 0.1}])
def test_each_distortion_moves_each_image_its_own_way(changed):
    image = digits(Places()).train[:1].float()
    moved = train.distort(image.expand(4, -1, -1, -1), replace(PLAIN, **changed), rng())
    assert torch.unique(moved, dim=0).shape[0] == 4
    assert (moved - image).abs().amax(dim=(1, 2, 3)).min() > 1


def test_a_rotation_turns_by_at_most_the_stated_angle():
    maps = train._affine(2000, replace(PLAIN, rotation_degrees=10), rng())
    angles = torch.atan2(maps[:, 1, 0], maps[:, 0, 0]).rad2deg()
    assert 9.9 < angles.abs().max() < 10.001
    assert maps[:, :, 2].abs().max() == 0


def test_coarse_images_have_lost_what_is_finer_than_two_pixels():
    chequered = torch.arange(8).add(torch.arange(8)[:, None]).remainder(2).mul(200.0).expand(1, 1, 8, 8)
    coarse = train.distort(chequered, replace(PLAIN, coarse=1.0), rng())
    torch.testing.assert_close(coarse[..., 2:-2, 2:-2], torch.full((1, 1, 4, 4), 100.0), rtol=0, atol=1)


def test_the_average_moves_towards_the_network_by_one_minus_its_share():
    average, network = Classifier(DIGITS), Classifier(DIGITS)
    expected = 0.9 * average.head.weight + 0.1 * network.head.weight
    network.body[1].num_batches_tracked.fill_(7)
    with torch.no_grad():
        train.follow(average, network, 0.9)
    torch.testing.assert_close(average.head.weight, expected)
    assert average.body[1].num_batches_tracked == 7


def test_the_script_writes_weights_that_state_their_accuracy(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(train.RECIPES, "digits", PLAIN)
    train.main(["digits", "--out", str(tmp_path)])
    (path,) = tmp_path.iterdir()
    with safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["description"])
    assert (description["n_train"], description["n_test"], description["seed"]) == (899, 898, 0)
    assert 0 < description["accuracy"] <= 1
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:8] in path.name
    assert str(path) in capsys.readouterr().out
