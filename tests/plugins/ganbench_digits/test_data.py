"""scikit-learn's digits as ganbench splits them."""

import torch
from sklearn.datasets import load_digits

from ganbench.protocols import Places
from ganbench_digits import ganbench_datasets
from ganbench_digits.data import digits

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
    (component,) = ganbench_datasets()
    data = digits(PLACES)
    assert component.gives["shape"] == tuple(data.train.shape[1:])
    assert component.gives["classes"] == len(data.class_names)
    assert component.gives["samples"] == len(data.heldout)
    assert (component.name, component.gives["data"], component.gives["extractor"]) == ("digits", "images", "digits")
