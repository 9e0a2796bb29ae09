from __future__ import annotations

import numpy as np
import pytest
import torch

from ganbench import pixels
from ganbench.pixels import nearest_images


def images(count, channels, side, seed, levels=256):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, levels, (count, channels, side, side), generator=rng, dtype=torch.uint8)


def by_hand(queries, others, count):
    """Every difference of every pixel, in float64; of those equally near the first come first."""
    left, right = (side.flatten(1).numpy().astype(np.float64) / 255 for side in (queries, others))
    distances = np.stack([np.sqrt(((right - query) ** 2).sum(axis=1)) for query in left])
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(distances, order, axis=1), order


@pytest.mark.parametrize(
    ("channels", "side", "others"), [(1, 8, 300), (3, 8, 2 * pixels.CHUNK + 7), (3, 32, 60), (1, 33, 60)]
)
def test_neighbours_are_those_of_a_search_by_hand(channels, side, others):
    queries, searched = images(20, channels, side, 1), images(others, channels, side, 2)
    distances, indices = nearest_images(queries, searched, 5)
    expected, order = by_hand(queries, searched, 5)
    assert indices.tolist() == order.tolist()
    np.testing.assert_allclose(distances.numpy(), expected, rtol=1e-13)


def test_of_images_equally_near_the_first_come_first_over_all_chunks(monkeypatch):
    monkeypatch.setattr(pixels, "CHUNK", 4)
    queries, searched = images(50, 1, 1, 3, levels=3), images(90, 1, 1, 4, levels=3)
    _, order = by_hand(queries, searched, 7)
    assert nearest_images(queries, searched, 7)[1].tolist() == order.tolist()


def test_a_copy_is_at_no_distance_at_all():
    searched = images(100, 3, 32, 5)
    distances, indices = nearest_images(searched[40:43], searched, 1)
    assert distances.tolist() == [[0.0]] * 3
    assert indices.tolist() == [[40], [41], [42]]


def test_black_and_white_are_as_far_apart_as_the_root_of_the_number_of_pixels():
    black, white = torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    assert nearest_images(black, white, 1)[0].item() == pytest.approx((3 * 32 * 32) ** 0.5, rel=1e-15)


def test_one_level_of_one_pixel_is_seen():
    black = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    nearly = black.clone()
    nearly[0, 2, 31, 31] = 1
    assert nearest_images(nearly, black, 1)[0].item() == 1 / 255


def test_fewer_images_than_are_wanted_are_all_there_are():
    distances, indices = nearest_images(images(2, 1, 4, 6), images(3, 1, 4, 7), 5)
    assert distances.shape == (2, 3)
    assert [sorted(row) for row in indices.tolist()] == [[0, 1, 2]] * 2


@pytest.mark.gpu
def test_a_gpu_finds_the_same_bits(cuda):
    queries, searched = images(100, 3, 32, 8), images(3000, 3, 32, 9)
    for here, there in zip(
        nearest_images(queries, searched, 5), nearest_images(queries, searched, 5, cuda), strict=True
    ):
        assert torch.equal(here, there)
