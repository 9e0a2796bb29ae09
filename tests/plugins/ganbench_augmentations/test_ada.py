from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_augmentations.ada import ADA, _hue

PARTS = ("blit", "geometry", "color")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=rng(seed), dtype=torch.float64) * 2 - 1


def memory(ada: ADA, **other: float) -> dict[str, Tensor]:
    return {name: torch.tensor(value) for name, value in {**ada.remembers, **other}.items()}


def changed(given: Tensor, p: float, *pipeline: str, seed: int = 0) -> Tensor:
    ada = ADA(pipeline=pipeline or PARTS)
    return ada(given, rng(seed), memory(ada, p=p))


@pytest.mark.parametrize("shape", [(16, 3, 8, 8), (16, 1, 8, 8), (16, 2, 8, 8), (16, 3, 6, 8)])
def test_with_p_0_images_stay_as_they_are_to_the_last_bit(shape):
    given = images(*shape).float()
    assert torch.equal(changed(given, 0.0), given)


@pytest.mark.parametrize("part", PARTS)
def test_with_p_1_equal_images_are_changed_each_in_its_own_way(part):
    given = images(1, 3, 16, 16).expand(32, -1, -1, -1)
    assert len({tuple(image.flatten().tolist()) for image in changed(given, 1.0, part)}) >= 20


def test_the_more_p_the_more_images_are_changed():
    given = images(400, 1, 8, 8)
    untouched = [
        (changed(given, p, "color") == given).flatten(1).all(dim=1).double().mean().item() for p in (0.1, 0.5, 0.9)
    ]
    # Of brightness, contrast and half the exchanges, none: saturation changes no grey.
    expected = [(1 - p) ** 2 * (1 - p / 2) for p in (0.1, 0.5, 0.9)]
    assert_close(untouched, expected, rtol=0, atol=0.07)


def test_blitting_only_moves_pixels():
    given = images(32, 3, 8, 8)
    for before, after in zip(given, changed(given, 1.0, "blit"), strict=True):
        assert set(after.flatten().tolist()) <= set(before.flatten().tolist())


def test_blitting_turns_half_of_the_images_upside_down_whether_they_are_square_or_not():
    for width in (16, 8):
        given = torch.linspace(-1, 1, 16, dtype=torch.float64).reshape(1, 1, 16, 1).expand(1000, 1, 16, width)
        result = changed(given, 1.0, "blit")
        slope = result[:, 0, 12, 4] - result[:, 0, 4, 4]
        assert result.shape == given.shape
        expected = 0.25 if width == 16 else 0.5  # square ones lie on a side as often as not
        assert abs((slope < 0).double().mean() - expected) < 0.05


def test_geometry_keeps_the_range_of_an_image():
    given = images(200, 1, 8, 8)
    result = changed(given, 1.0, "geometry")
    assert (result.amax(dim=(1, 2, 3)) <= given.amax(dim=(1, 2, 3)) + 1e-12).all()
    assert (result.amin(dim=(1, 2, 3)) >= given.amin(dim=(1, 2, 3)) - 1e-12).all()


def test_geometry_scales_by_two_to_a_fifth_typically_and_keeps_an_image_in_its_place_on_average():
    # An image that is its own x, seen through a map: the slope of the result is the first row of the map.
    size = 33
    x = torch.arange(size, dtype=torch.float64).repeat(size, 1) - 16
    given = torch.stack([x, x.T]).expand(2000, -1, -1, -1)
    result = changed(given, 1.0, "geometry")
    middle = result[:, :, 16, 16]
    inside = (middle.abs() < 10).all(dim=1)
    right, below = result[inside][:, :, 16, 17], result[inside][:, :, 17, 16]
    matrix = torch.stack([right - middle[inside], below - middle[inside]], dim=2)
    logarithms = matrix.det().abs().log2() / 2
    assert abs(logarithms.median()) < 0.03
    assert abs(logarithms.std() - 0.2) < 0.03
    stretches = torch.linalg.svdvals(matrix).log2()
    assert abs(((stretches[:, 0] - stretches[:, 1]) / 2).square().mean().sqrt() - 0.2) < 0.03
    turns = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])
    assert turns.min() < -3
    assert turns.max() > 3
    # Reflection folds the middle's position a little; an eighth of 33 pixels, times the scale.
    assert abs(middle[inside].std() - 33 / 8) < 0.5


def test_two_turns_are_together_as_probable_as_any_other_change(monkeypatch):
    monkeypatch.setattr(
        "ganbench_augmentations.ada.normal", lambda given, rng: torch.zeros(len(given), 1, 1, 1).double()
    )
    given = images(4000, 1, 5, 5)
    turned = (changed(given, 0.36, "geometry") != given).flatten(1).any(dim=1)
    assert turned.double().mean().item() == pytest.approx(0.36, abs=0.03)  # with p for each turn: 1 − 0.64² = 0.59


def test_brightness_and_contrast_of_grey_images_have_the_published_spread():
    given = torch.tensor([-0.5, 0.5], dtype=torch.float64).reshape(1, 1, 1, 2).expand(4000, 1, 2, 2)
    result = changed(given, 1.0, "color")
    half = (result[:, 0, 0, 1] - result[:, 0, 0, 0]) / 2
    exchanged = half < 0
    assert abs(exchanged.double().mean() - 0.5) < 0.03
    contrast = (half.abs() * 2).log2()
    assert abs(contrast.mean()) < 0.03
    assert abs(contrast.std() - 0.5) < 0.03
    middle = (result[:, 0, 0, 1] + result[:, 0, 0, 0]) / 2
    assert abs((middle / (half.abs() * 2)).std() - 0.2) < 0.02


def test_grey_images_stay_grey_and_colour_images_keep_their_greys_when_hue_and_saturation_change():
    grey = images(64, 1, 4, 4).expand(-1, 3, -1, -1)
    result = changed(grey, 1.0, "color")
    assert_close(result, result[:, :1].expand_as(result))


def test_colourfulness_has_the_published_spread_of_contrast_and_saturation():
    given = torch.tensor([0.6, -0.2, 0.1], dtype=torch.float64).reshape(1, 3, 1, 1).expand(4000, 3, 1, 1)

    def colourfulness(images: Tensor) -> Tensor:
        return (images - images.mean(dim=1, keepdim=True)).norm(dim=1).flatten()

    logarithms = (colourfulness(changed(given, 1.0, "color")) / colourfulness(given)).log2()
    assert abs(logarithms.mean()) < 0.06
    assert abs(logarithms.std() - math.sqrt(0.5**2 + 1)) < 0.05


def test_a_third_of_a_circle_of_hue_exchanges_the_channels():
    given = images(1, 3, 4, 4)
    angle = torch.full((1, 1, 1, 1), 2 * math.pi / 3, dtype=torch.float64)
    assert_close(_hue(given, angle), given.roll(1, dims=1))
    assert_close(_hue(given, 3 * angle), given)
    assert_close(_hue(given, angle / 3).mean(dim=1), given.mean(dim=1))
    assert_close(_hue(given, angle / 3).square().sum(dim=1), given.square().sum(dim=1))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_can_be_differentiated_twice(part, channels):
    given = images(2, channels, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: changed(given, 0.8, part), given)
    assert torch.autograd.gradgradcheck(lambda given: changed(given, 0.8, part).pow(3), given)


def test_r1_beside_it_is_the_slope_at_the_image_before_augmentation():
    from ganbench.penalties import zero_centred_penalty

    given, weights = images(3, 1, 6, 6), images(36, seed=1)

    def critic(samples: Tensor) -> Tensor:
        return (changed(samples, 0.9).flatten(1) @ weights).tanh()

    paid = zero_centred_penalty(critic, given, 2.0)
    step, squares = 1e-6, torch.zeros(3, dtype=torch.float64)
    for pixel in range(36):
        moved = torch.zeros(36, dtype=torch.float64).index_fill(0, torch.tensor(pixel), step).reshape(1, 6, 6)
        squares += ((critic(given + moved) - critic(given - moved)) / (2 * step)).square()
    assert_close(paid.detach(), squares, rtol=1e-5, atol=1e-7)


def test_the_result_depends_on_the_generator_alone():
    given = images(4, 3, 8, 8)
    torch.manual_seed(1)
    first = changed(given, 0.5, seed=5)
    torch.manual_seed(2)
    assert torch.equal(changed(given, 0.5, seed=5), first)
    assert not torch.equal(changed(given, 0.5, seed=6), first)


def adapted(ada: ADA, batches: list[Tensor], **start: float) -> list[float]:
    kept = memory(ada, **start)
    path = []
    for logits in batches:
        ada.adapt(logits, kept)
        path.append(kept["p"].item())
    return path


SURE, UNSURE = torch.full((64,), 3.0), torch.tensor([2.0, -1.0]).repeat(32)


def test_p_moves_every_fourth_step_by_the_share_of_500_thousand_images_that_was_seen():
    step = 4 * 64 / 500_000
    expected = [0.0, 0.0, 0.0, step, step, step, step, 2 * step, 2 * step]
    assert_close(adapted(ADA(), [SURE] * 9), expected, rtol=1e-5, atol=0)


def test_p_falls_where_real_logits_are_less_often_positive_than_the_target():
    step = 2 * 64 / 100_000
    ada = ADA(every=2, kimg=100.0)
    assert_close(adapted(ada, [UNSURE] * 4, p=0.5), [0.5, 0.5 - step, 0.5 - step, 0.5 - 2 * step], rtol=1e-5, atol=0)


def test_the_signs_of_all_steps_since_the_last_move_count():
    # Signs 1, 1, 1, 0 on average ¾, above 0.6; then 1, 0, 0, 0, below it.
    path = adapted(ADA(), [SURE, SURE, SURE, UNSURE, SURE, UNSURE, UNSURE, UNSURE], p=0.5)
    step = 4 * 64 / 500_000
    assert_close([path[3], path[7]], [0.5 + step, 0.5], rtol=1e-5, atol=0)


def test_only_the_signs_count_and_not_how_high_logits_are():
    high = torch.tensor([100.0, -0.01]).repeat(32)
    assert adapted(ADA(every=1), [high], p=0.5)[0] < 0.5


def test_p_stays_within_0_and_1():
    ada = ADA(every=1, kimg=0.1)
    assert adapted(ada, [UNSURE] * 3, p=0.3)[-1] == 0.0
    assert adapted(ada, [SURE] * 3, p=0.3)[-1] == 1.0


def test_p_stays_where_it_is_without_a_target():
    ada = ADA(target=None, p=0.25, every=1)
    assert adapted(ada, [SURE, UNSURE]) == [0.25, 0.25]


def test_it_starts_with_p_0():
    assert ADA().remembers == {"p": 0.0, "signs": 0.0, "steps": 0.0}
    assert ADA(p=0.2).remembers["p"] == 0.2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"p": 1.5}, "ada: p is 1.5, expected 0 to 1"),
        ({"target": 2.0}, "ada: target is 2.0, expected -1 to 1, or none"),
        ({"kimg": 0.0}, "ada: kimg is 0.0, expected more than 0"),
        ({"every": 0}, "ada: every is 0, expected 1 or more"),
        ({"pipeline": ()}, r"ada: pipeline is \(\), expected one or more of blit, geometry, color"),
    ],
)
def test_what_makes_no_sense_is_refused(parameters, message):
    with pytest.raises(ChoiceError, match=message):
        ADA(**parameters)
