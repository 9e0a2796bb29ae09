from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from ganbench_layers.pixels import (
    mirrored,
    normal,
    product,
    resampled,
    shifted,
    turned,
    uniform,
    whole_number,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def each(*values: float) -> Tensor:
    return torch.tensor(values).reshape(-1, 1, 1, 1)


def identity(count: int) -> Tensor:
    return torch.eye(2, dtype=torch.float64).repeat(count, 1, 1)


def rotation(degrees: float) -> Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[[c, -s], [s, c]]], dtype=torch.float64)


def nowhere(count: int) -> Tensor:
    return torch.zeros(count, 2, dtype=torch.float64)


@pytest.mark.parametrize("draw", [uniform, normal, lambda samples, rng: whole_number(samples, rng, 0, 10**9)])
@pytest.mark.parametrize("shape", [(6, 3, 4, 5), (6, 2)])
def test_each_sample_gets_a_number_of_its_own(draw, shape):
    numbers = draw(images(*shape), rng())
    assert numbers.shape == (6, *[1] * (len(shape) - 1))
    assert len(numbers.unique()) == 6
    assert torch.equal(numbers, draw(images(*shape), rng()))


def test_uniform_numbers_fill_their_range_and_whole_numbers_reach_both_ends():
    many = torch.zeros(5000, 1)
    numbers = uniform(many, rng(), -0.5, 2.0)
    assert -0.5 <= numbers.min() < -0.49
    assert 1.99 < numbers.max() < 2.0
    assert set(whole_number(many, rng(), -2, 3).flatten().tolist()) == set(range(-2, 4))


def test_only_the_chosen_images_are_mirrored():
    given = images(2, 3, 4, 5)
    result = mirrored(given, each(1, 0) == 1)
    assert torch.equal(result[0], given[0].flip(2))
    assert torch.equal(result[1], given[1])


def test_images_are_turned_by_quarters_all_in_one_direction():
    given = images(1, 3, 4, 4).expand(4, -1, -1, -1)
    result = turned(given, each(0, 1, 2, 3))
    for quarters in range(4):
        assert torch.equal(result[quarters], torch.rot90(given[0], quarters, (1, 2)))


def test_images_that_are_not_square_are_turned_by_halves():
    given = images(4, 1, 3, 5)
    result = turned(given, each(0, 1, 2, 3))
    assert torch.equal(result[:2], given[:2])
    assert torch.equal(result[2:], given[2:].flip(2, 3))


def test_shifting_without_reflection_brings_in_zeros():
    given = images(3, 2, 4, 5)
    result = shifted(given, each(1, -2, 0), each(0, 3, -5), reflect=False)
    expected = torch.zeros_like(given)
    expected[0, :, 1:] = given[0, :, :-1]
    expected[1, :, :2, 3:] = given[1, :, 2:, :2]
    assert torch.equal(result, expected)


def test_shifting_with_reflection_is_a_window_of_the_reflected_image():
    given = images(2, 2, 6, 5)
    result = shifted(given, each(2, -1), each(-3, 1), reflect=True)
    wide = F.pad(given, (4, 4, 4, 4), mode="reflect")
    assert torch.equal(result[0], wide[0, :, 2:8, 7:12])
    assert torch.equal(result[1], wide[1, :, 5:11, 3:8])


def test_an_image_one_pixel_wide_can_be_shifted():
    given = images(1, 1, 1, 1)
    assert torch.equal(shifted(given, each(3), each(-2), reflect=True), given)


def test_resampling_with_the_identity_gives_the_very_same_image():
    for shape in ((2, 3, 8, 8), (2, 1, 5, 7)):
        given = images(*shape).float()
        assert torch.equal(resampled(given, identity(2).float(), nowhere(2).float()), given)


def test_resampling_by_a_quarter_turn_is_a_quarter_turn():
    given = images(1, 3, 8, 8)
    result = resampled(given, rotation(90), nowhere(1))
    assert_close(result, torch.rot90(given, 1, (2, 3)))


def test_resampling_by_whole_pixels_is_shifting():
    given = images(1, 2, 6, 7)
    result = resampled(given, identity(1), torch.tensor([[2.0, -1.0]], dtype=torch.float64))
    assert_close(result, shifted(given, each(1), each(-2), reflect=True))


def test_resampling_agrees_with_torch_inside_an_image():
    given, matrix = images(1, 2, 9, 9), rotation(33) * 0.5
    offset = torch.tensor([[0.7, -0.4]], dtype=torch.float64)
    theta = torch.cat([matrix, offset.unsqueeze(2) * 2 / 9], dim=2)
    grid = F.affine_grid(theta, [1, 2, 9, 9], align_corners=False)
    assert_close(resampled(given, matrix, offset), F.grid_sample(given, grid, align_corners=False))


def test_each_image_is_resampled_by_its_own_map():
    given = images(2, 1, 6, 6)
    matrix, offset = torch.cat([rotation(20), rotation(-70)]), torch.tensor([[0.3, 1.0], [-2.0, 0.1]]).double()
    together = resampled(given, matrix, offset)
    for index in range(2):
        one = slice(index, index + 1)
        assert_close(together[one], resampled(given[one], matrix[one], offset[one]))


def test_the_product_is_that_of_matrices():
    one, other = images(3, 2, 4), images(3, 4, 5, seed=1)
    assert_close(product(one, other), one @ other)


@pytest.mark.parametrize("change", ["shift", "resample", "turn"])
def test_changes_can_be_differentiated_twice(change):
    changes = {
        "shift": lambda given: shifted(given, each(1, -1), each(0, 2), reflect=True),
        "resample": lambda given: resampled(given, torch.cat([rotation(20), rotation(70)]), nowhere(2) + 0.3),
        "turn": lambda given: turned(given, each(1, 2)),
    }
    given = images(2, 1, 3, 3).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda given: changes[change](given).pow(3), given)
