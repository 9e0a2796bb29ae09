from __future__ import annotations

import pytest
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


# --- several seeds


def test_seeds_together_see_what_each_sees_alone():
    samples, labels = torch.arange(40.0).reshape(20, 2), torch.arange(20)
    group = Batches(samples, labels, 8, [3, 4], together=True)
    alone = [Batches(samples, labels, 8, [seed]) for seed in (3, 4)]
    for _ in range(7):
        shown, own_labels = shown_by(group)
        assert shown.shape == (2, 8, 2)
        for place, (expected, expected_labels) in enumerate(map(shown_by, alone)):
            assert torch.equal(shown[place], expected)
            assert torch.equal(own_labels[place], expected_labels)
    assert not torch.equal(*shown)


# --- mirroring


def pictures(count):
    """Pictures whose left column is their number, and whose right column is 100 more."""
    left = torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1).expand(count, 1, 3, 1)
    return torch.cat([left, left * 0 + 50, left + 100], 3)


def at_rest(shown):
    return ((shown + 1) * 127.5).round().to(torch.uint8)


def test_half_of_the_pictures_are_mirrored_and_the_others_are_as_they_were():
    batches = Batches(pictures(100), None, 100, [0], flips=True)
    shown = torch.cat([at_rest(shown_by(batches)[0]) for _ in range(20)])
    mirrored = shown[:, 0, 0, 0] >= 100
    assert 0.46 < float(mirrored.float().mean()) < 0.54  # 2000 coins: three deviations and a half
    upright = torch.where(mirrored[:, None, None, None], shown.flip(-1), shown)
    assert torch.equal(upright[:100].sort(0).values, pictures(100))
    assert torch.equal(upright[:, 0, 0, 0] + 100, upright[:, 0, 0, 2])


def test_mirroring_leaves_the_order_of_the_pictures_and_their_labels_as_they_were():
    labels = torch.arange(100)
    plain, flipped = (Batches(pictures(100), labels, 30, [0], flips=flips) for flips in (False, True))
    for _ in range(5):
        (left, expected), (right, own) = shown_by(plain), shown_by(flipped)
        assert torch.equal(own, expected)
        assert torch.equal(at_rest(right).amin((1, 2, 3)), at_rest(left).amin((1, 2, 3)))
    assert not torch.equal(left, right)


def test_coins_are_of_a_stream_of_their_own_and_each_seeds_own():
    group = Batches(pictures(50), None, 16, [0, 1], together=True, flips=True)
    alone = [Batches(pictures(50), None, 16, [seed], flips=True) for seed in (0, 1)]
    for _ in range(5):
        shown, _ = shown_by(group)
        assert all(torch.equal(shown[place], shown_by(one)[0]) for place, one in enumerate(alone))
    states = [generator.get_state() for generator in group.generators]
    group.choose()
    assert all(map(torch.equal, states, [generator.get_state() for generator in group.generators]))
    assert len(group.generators) == 2
    assert Batches(pictures(50), None, 16, [0]).generators == []


def test_large_pictures_have_a_pixels_channels_in_a_row():
    for side, channels_last in ((8, False), (16, True)):
        samples = torch.zeros(4, 3, side, side, dtype=torch.uint8)
        shown, _ = shown_by(Batches(samples, None, 4, [0]))
        assert shown.is_contiguous(memory_format=torch.channels_last) == channels_last


@pytest.mark.gpu
def test_pictures_are_mirrored_on_the_gpu_without_a_wait(cuda):
    batches = Batches(pictures(100).to(cuda), None, 50, [0, 1], together=True, flips=True)
    batches.take(batches.choose())
    chosen = batches.choose()
    torch.cuda.set_sync_debug_mode("error")
    try:
        shown, _ = batches.take(chosen)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert shown.device.type == "cuda"
    assert shown.shape == (2, 50, 1, 3, 3)
