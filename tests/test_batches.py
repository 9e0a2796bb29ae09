from __future__ import annotations

import torch

from ganbench.batches import Batches


def shown_by(batches):
    return batches.take(batches.choose())


def test_an_epoch_shows_every_sample_once_in_an_order_of_its_own():
    batches = Batches(torch.arange(12.0).reshape(12, 1), None, 4, [0])
    epochs = [torch.cat([shown_by(batches)[0] for _ in range(3)]).flatten().tolist() for _ in range(2)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_what_an_epoch_leaves_over_begins_the_next():
    batches = Batches(torch.arange(5.0).reshape(5, 1), None, 3, [0])
    shown = torch.cat([shown_by(batches)[0] for _ in range(5)]).flatten().tolist()
    assert all(sorted(shown[start : start + 5]) == list(range(5)) for start in (0, 5, 10))


def test_a_batch_may_be_larger_than_the_data():
    batches = Batches(torch.arange(3.0).reshape(3, 1), None, 7, [0])
    shown = torch.cat([shown_by(batches)[0] for _ in range(3)]).flatten().tolist()
    assert len(shown) == 21
    assert all(shown.count(value) == 7 for value in range(3))


def test_labels_stay_with_their_samples():
    samples = torch.arange(10.0).reshape(10, 1)
    batches = Batches(samples, torch.arange(10) * 3, 4, [0])
    for _ in range(5):
        shown, labels = shown_by(batches)
        assert torch.equal(shown.flatten() * 3, labels.float())


def test_images_at_rest_come_as_networks_see_them():
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
    shown, _ = shown_by(Batches(black_and_white, None, 2, [0]))
    assert shown.dtype == torch.float32
    assert sorted(shown.flatten().tolist()) == [-1.0, 1.0]
