from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_augmentations.diffaugment import DiffAugment

MANY = 3000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=rng(seed), dtype=torch.float64) * 2 - 1


def changed(policy: str, given: Tensor, seed: int = 0) -> Tensor:
    return DiffAugment((policy,))(given, rng(seed), {})


def test_brightness_of_a_plain_image_is_uniform_within_a_half():
    plain = torch.full((MANY, 1, 4, 4), 0.25, dtype=torch.float64)
    added = changed("color", plain) - plain
    assert_close(added, added[:, :, :1, :1].expand_as(added))
    assert -0.5 <= added.min() < -0.49
    assert 0.49 < added.max() < 0.5
    assert abs(added.mean()) < 0.03


def test_contrast_of_a_grey_image_is_between_a_half_and_one_and_a_half():
    given = images(1, 1, 4, 4).expand(MANY, -1, -1, -1)
    spread = changed("color", given).std(dim=(1, 2, 3)) / given.std(dim=(1, 2, 3))
    assert 0.5 <= spread.min() < 0.51
    assert 1.49 < spread.max() < 1.5


def test_saturation_is_between_nothing_and_twice_as_much():
    given = torch.tensor([0.6, -0.2, 0.1], dtype=torch.float64).reshape(1, 3, 1, 1).expand(MANY, 3, 2, 2)
    # All pixels are of one colour, so that contrast moves the channels by as much as saturation does.
    result = changed("color", given)
    factor = (result[:, 0] - result[:, 1]).mean(dim=(1, 2)) / 0.8
    assert 0 <= factor.min() < 0.02
    assert 2.7 < factor.max() < 3.0  # 2 · 1½
    assert abs(factor.mean() - 1) < 0.05


def test_color_leaves_the_greys_of_a_pixel_in_the_order_that_they_had():
    given = images(16, 1, 4, 4)
    assert torch.equal(changed("color", given).flatten(1).argsort(), given.flatten(1).argsort())


@pytest.mark.parametrize(("size", "reach"), [(8, 1), (28, 4), (32, 4)])
def test_translation_is_by_whole_pixels_up_to_an_eighth_with_zeros_from_outside(size, reach):
    given = images(200, 2, size, size) + 3  # nowhere 0
    result = changed("translation", given)
    found = set()
    wide = torch.nn.functional.pad(given, (reach,) * 4)
    for before, after in zip(wide, result, strict=True):
        moves = [
            (down, right)
            for down in range(-reach, reach + 1)
            for right in range(-reach, reach + 1)
            if torch.equal(before[:, reach - down :, reach - right :][:, :size, :size], after)
        ]
        assert len(moves) == 1
        found.update(moves)
    assert {down for down, _ in found} == {right for _, right in found} == set(range(-reach, reach + 1))


@pytest.mark.parametrize("size", [8, 9, 28])
def test_cutout_hides_a_square_of_half_the_size_with_its_centre_anywhere_in_the_image(size):
    side = int(size / 2 + 0.5)
    hidden = changed("cutout", torch.ones(MANY, 2, size, size)) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    heights, widths = hidden[:, 0].any(dim=2).sum(dim=1), hidden[:, 0].any(dim=1).sum(dim=1)
    assert torch.equal(hidden[:, 0].sum(dim=(1, 2)), heights * widths)  # a rectangle
    for sides in (heights, widths):
        assert sides.max() == side
        assert sides.min() == side // 2 + side % 2 if size == 9 else sides.min() == side // 2
    assert (heights * widths == side**2).any()
    first, last = hidden[:, 0, 0].any(dim=1), hidden[:, 0, -1].any(dim=1)
    assert abs(first.double().mean() - last.double().mean()) < 0.05


def test_what_cutout_leaves_is_as_it_was():
    given = images(20, 3, 8, 8) + 3
    result = changed("cutout", given)
    assert torch.equal(result[result != 0], given[result != 0])


def test_the_policies_are_applied_in_their_order_and_all_three_by_default():
    given, one = images(8, 3, 8, 8), rng(5)
    for policy in ("color", "translation", "cutout"):
        given = DiffAugment((policy,))(given, one, {})
    assert torch.equal(DiffAugment()(images(8, 3, 8, 8), rng(5), {}), given)


@pytest.mark.parametrize("policy", ["color", "translation", "cutout"])
def test_equal_images_are_changed_each_in_its_own_way(policy):
    given = images(1, 3, 16, 16).expand(16, -1, -1, -1)
    assert len({tuple(image.flatten().tolist()) for image in changed(policy, given)}) >= 8


def test_the_result_depends_on_the_generator_alone():
    given = images(4, 3, 8, 8)
    torch.manual_seed(1)
    first = DiffAugment()(given, rng(5), {})
    torch.manual_seed(2)
    assert torch.equal(DiffAugment()(given, rng(5), {}), first)
    assert not torch.equal(DiffAugment()(given, rng(6), {}), first)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_can_be_differentiated_twice(channels):
    given = images(2, channels, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: DiffAugment()(given, rng(), {}), given)
    assert torch.autograd.gradgradcheck(lambda given: DiffAugment()(given, rng(), {}).pow(3), given)


def test_an_empty_policy_is_refused():
    with pytest.raises(ChoiceError, match="diffaugment: policy is empty, expected one or more of color, translation"):
        DiffAugment(())
