"""scikit-learn's digits as ganbench splits and stacks them."""

import torch
from sklearn.datasets import load_digits

from ganbench.datasets import fingerprint
from ganbench.protocols import Places
from ganbench_digits import ganbench_datasets
from ganbench_digits.data import digits, stacked_digits

PLACES = Places()


def test_both_parts_together_are_all_of_the_digits_each_once():
    data = digits(PLACES)
    together = torch.cat([data.train, data.heldout]).flatten(1)
    labels = torch.cat([data.train_labels, data.heldout_labels])
    original = torch.from_numpy(load_digits().data).mul(255).div(16).round().long()
    expected = sorted(zip(original.tolist(), load_digits().target.tolist(), strict=True))
    assert sorted(zip(together.long().tolist(), labels.tolist(), strict=True)) == expected


def test_the_brightest_ink_is_255_and_half_of_it_128():
    values = set(digits(PLACES).train.unique().tolist())
    assert values == {round(value * 255 / 16) for value in range(17)}
    assert {0, 128, 255} <= values


def test_images_are_bytes_and_labels_integers():
    data = digits(PLACES)
    assert (data.train.shape, data.heldout.shape) == ((899, 1, 8, 8), (898, 1, 8, 8))
    assert data.train.dtype == data.heldout.dtype == torch.uint8
    assert data.train_labels.dtype == data.heldout_labels.dtype == torch.int64


def test_every_class_is_in_both_parts_in_about_equal_numbers():
    data = digits(PLACES)
    train, heldout = torch.bincount(data.train_labels), torch.bincount(data.heldout_labels)
    assert len(train) == len(heldout) == len(data.class_names) == 10
    assert (train - heldout).abs().max() < 5 * 180**0.5
    assert data.class_names[7] == "7"


def test_the_split_is_the_same_every_time_and_its_parts_are_disjoint():
    first, again = digits(PLACES), digits(PLACES)
    assert torch.equal(first.train, again.train)
    assert torch.equal(first.heldout_labels, again.heldout_labels)
    train, heldout = ({bytes(image.flatten().tolist()) for image in part} for part in (first.train, first.heldout))
    assert not train & heldout


def test_what_is_declared_is_what_is_loaded():
    loaded = {"digits": digits(PLACES), "stacked-digits": stacked_digits(PLACES)}
    components = {component.name: component for component in ganbench_datasets()}
    assert list(components) == list(loaded)
    for name, data in loaded.items():
        gives = components[name].gives
        assert gives["shape"] == tuple(data.train.shape[1:])
        assert gives["classes"] == len(data.class_names)
        assert gives["splits"] == (len(data.train), len(data.heldout))
        assert gives["samples"] == len(data.heldout)
        assert (gives["data"], gives["extractor"]) == ("images", name)


def test_stacked_digits_are_three_digits_and_their_label_reads_them():
    source, data = digits(PLACES), stacked_digits(PLACES)
    for split in ("train", "heldout"):
        images, labels = getattr(data, split), getattr(data, f"{split}_labels")
        known = {
            image.numpy().tobytes(): label
            for image, label in zip(getattr(source, split), getattr(source, f"{split}_labels").tolist(), strict=True)
        }
        for image, label in zip(images[:500], labels[:500].tolist(), strict=True):
            first, second, third = (known[channel.numpy().tobytes()] for channel in image)
            assert label == 100 * first + 10 * second + third


def test_all_thousand_modes_are_in_both_splits_in_about_equal_numbers():
    data = stacked_digits(PLACES)
    for labels in (data.train_labels, data.heldout_labels):
        counts = torch.bincount(labels, minlength=1000)
        assert (len(counts), counts.min() > 0) == (1000, True)
        fair = len(labels) / 1000
        assert ((counts - fair).abs() < 0.5 * fair + 5 * fair**0.5).all()
    assert data.class_names[7] == "007"


def test_channels_are_drawn_independently():
    labels = stacked_digits(PLACES).train_labels
    columns = torch.stack([labels // 100, labels // 10 % 10, labels % 10]).double()
    assert (torch.corrcoef(columns) - torch.eye(3)).abs().max() < 5 / len(labels) ** 0.5


def test_stacked_splits_are_frozen_and_disjoint():
    data = stacked_digits(PLACES)
    # Triples are remainders of PCG64's raw numbers, which NumPy promises not to change.
    assert fingerprint(data.train, data.train_labels) == "d975c2ee9e3e"
    assert fingerprint(data.heldout, data.heldout_labels) == "7ec3ab0af3a2"
    train, heldout = ({image.numpy().tobytes() for image in part} for part in (data.train, data.heldout))
    assert not train & heldout
