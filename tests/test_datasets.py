"""Conversions and splits that every data set shares."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganbench.datasets import as_input, fingerprint, fit, noise_like, quantise, resize_images, seed_of, split, stacked
from ganbench.errors import DataError
from ganbench.protocols import Data


def test_quantising_gives_the_pixels_of_a_png():
    samples = torch.tensor([-1.0, 0.0, 1.0, -3.0, 1.7, -1 + 2 / 255, -1 + 2.8 / 255]).view(1, 1, 1, 7)
    assert quantise(samples).flatten().tolist() == [0, 128, 255, 0, 255, 1, 1]
    assert quantise(samples).dtype == torch.uint8


def test_quantising_leaves_points_alone():
    points = torch.tensor([[-4.0, 3.25]])
    assert torch.equal(quantise(points), points)


def test_quantising_a_networks_output_needs_no_gradient():
    assert not quantise(torch.zeros(1, 1, 2, 2, requires_grad=True)).requires_grad


def test_inputs_reach_from_minus_one_to_one_and_come_back_exactly():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    inputs = as_input(pixels)
    assert (inputs.min().item(), inputs.max().item(), inputs.dtype) == (-1.0, 1.0, torch.float32)
    assert torch.equal(quantise(inputs), pixels)


def test_points_are_inputs_as_they_are():
    points = torch.tensor([[200.0, -3.0]])
    assert torch.equal(as_input(points), points)


def test_noise_for_images_is_uniform_over_all_pixel_values():
    data = Data(train=torch.full((3, 2, 4, 4), 7, dtype=torch.uint8), heldout=torch.zeros(1, 2, 4, 4))
    noise = noise_like(data, 1000, torch.Generator().manual_seed(1))
    assert (noise.shape, noise.dtype) == ((1000, 2, 4, 4), torch.uint8)
    counts = torch.bincount(noise.flatten().long(), minlength=256)  # 125 expected of each, deviation 11.2
    assert counts.min() > 125 - 5 * 11.2
    assert counts.max() < 125 + 5 * 11.2


def test_noise_for_points_fills_the_bounding_box_of_the_training_points():
    data = Data(train=torch.tensor([[-1.0, 10.0], [3.0, 30.0], [0.0, 20.0]]), heldout=torch.zeros(1, 2))
    noise = noise_like(data, 20_000, torch.Generator().manual_seed(2))
    assert noise.shape == (20_000, 2)
    torch.testing.assert_close(noise.amin(dim=0), torch.tensor([-1.0, 10.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(noise.amax(dim=0), torch.tensor([3.0, 30.0]), atol=0.02, rtol=0)
    assert (noise.amin(dim=0) >= torch.tensor([-1.0, 10.0])).all()
    torch.testing.assert_close(noise.mean(dim=0), torch.tensor([1.0, 20.0]), atol=0.25, rtol=0)


def test_noise_is_what_its_generator_says():
    data = Data(train=torch.tensor([[0.0, 0.0], [1.0, 1.0]]), heldout=torch.zeros(1, 2))
    first, again, other = (noise_like(data, 5, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@given(st.integers(2, 200), st.data(), st.text(max_size=8))
def test_a_split_holds_every_index_once(count, data, seed):
    heldout_count = data.draw(st.integers(1, count - 1))
    train, heldout = split(count, heldout_count, seed)
    assert len(heldout) == heldout_count
    assert sorted(train.tolist() + heldout.tolist()) == list(range(count))
    assert train.tolist() == sorted(train.tolist())


def test_a_split_is_frozen_and_named_by_its_seed():
    # sha256sum of demo/3, demo/6 and demo/9 begins with 2259, 278f and 2c2a; the other seven begin with 3a66 or more.
    _, heldout = split(10, 3, "demo")
    assert heldout.tolist() == [3, 6, 9]
    assert split(10, 3, "other")[1].tolist() != heldout.tolist()


@pytest.mark.parametrize("heldout", [0, 10, 11, -1])
def test_a_split_with_an_empty_part_is_refused(heldout):
    with pytest.raises(DataError, match=f"split 'demo': {heldout} held-out of 10 samples"):
        split(10, heldout, "demo")


def test_seeds_fit_into_63_bits_and_differ():
    seeds = {seed_of(str(index)) for index in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_fingerprint_tells_contents_and_their_order_apart():
    first, second = torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([3], dtype=torch.uint8)
    # printf '\001\002\003' | sha256sum
    assert fingerprint(first, second) == "039058c6f2c0"
    assert fingerprint(second, first) != fingerprint(first, second)


def test_28_pixels_are_framed_with_two_black_ones_to_reach_32():
    images = torch.randint(1, 256, (3, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    framed = resize_images(images, 32)
    assert framed.shape == (3, 1, 32, 32)
    assert torch.equal(framed[:, :, 2:-2, 2:-2], images)
    assert framed.long().sum() == images.long().sum()


def test_28_pixels_stay_as_they_are_where_28_is_asked_for():
    images = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(6))
    assert torch.equal(resize_images(images, 28), images)


def test_halving_uses_the_triangle_filter():
    # White 28² in its black frame of 2: at the edge, of weights 3, 3 and 1, the last is on white; then 7 of 8 are.
    small = resize_images(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8), 16)[0, 0]
    assert small[0, 8] == round(255 / 7)
    assert small[0, 0] == round(255 / 49)
    assert small[1, 8] == round(255 * 7 / 8)
    assert (small[2:-2, 2:-2] == 255).all()


def test_many_images_are_resized_as_one_is():
    images = torch.randint(0, 256, (9000, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))
    assert torch.equal(resize_images(images, 2)[8765], resize_images(images[8765:8766], 2)[0])


def test_fitting_keeps_the_scale_of_float_images():
    torch.testing.assert_close(fit(torch.full((1, 3, 8, 8), 0.25), 32), torch.full((1, 3, 32, 32), 0.25))


def tiny(train_labels, heldout_labels):
    """Images of one pixel: 10 + label to train on, 100 + label held out."""
    train, heldout = torch.tensor(train_labels), torch.tensor(heldout_labels)
    images = [(base + labels).to(torch.uint8).view(-1, 1, 1, 1) for base, labels in ((10, train), (100, heldout))]
    return Data(images[0], images[1], train, heldout, origin="tiny")


def test_a_stacked_image_holds_three_of_its_own_split_and_its_class_reads_them():
    data = stacked(tiny([3, 1, 4, 1, 5], [9, 2, 6]), "demo", 400, 300)
    assert (data.train.shape, data.heldout.shape) == ((400, 3, 1, 1), (300, 3, 1, 1))
    for base, images, labels in ((10, data.train, data.train_labels), (100, data.heldout, data.heldout_labels)):
        parts = images.flatten(1).long() - base  # (N, 3)
        assert torch.equal(labels, 100 * parts[:, 0] + 10 * parts[:, 1] + parts[:, 2])
    assert set(data.heldout_labels.tolist()) == {
        100 * a + 10 * b + c for a in (9, 2, 6) for b in (9, 2, 6) for c in (9, 2, 6)
    }
    assert (len(data.class_names), data.class_names[42]) == (1000, "042")
    assert data.origin == "400 training and 300 held-out triples of tiny"


def test_stacked_triples_are_decided_by_the_name():
    source = tiny(list(range(10)), list(range(10)))
    first, again, other = (stacked(source, name, 50, 50) for name in ("a", "a", "b"))
    assert torch.equal(first.train, again.train)
    assert not torch.equal(first.train, other.train)
    assert not torch.equal(first.train_labels, first.heldout_labels)


def test_every_image_is_drawn_equally_often_into_every_channel():
    data = stacked(tiny(list(range(10)), [0]), "demo", 20_000, 1)
    for channel in range(3):
        counts = torch.bincount(data.train[:, channel].flatten().long() - 10, minlength=10)
        assert (counts - 2000).abs().max() < 5 * (20_000 * 0.1 * 0.9) ** 0.5
