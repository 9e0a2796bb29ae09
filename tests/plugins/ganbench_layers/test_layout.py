from __future__ import annotations

import pytest

from ganbench_layers.layout import critic_stages, generator_channels
from ganbench_layers.residual import Stage
from ganbench_sngan.networks import CRITIC, GENERATOR


@pytest.mark.parametrize("side", [8, 16, 32, 64, 128, 256, 512])
def test_a_generators_maps_double_from_4_pixels_to_the_image(side):
    channels = generator_channels(GENERATOR, side, width=3)
    assert 4 * 2 ** (len(channels) - 1) == side
    assert all(count % 3 == 0 for count in channels)


@pytest.mark.parametrize(
    ("side", "made", "judged"),
    [
        (32, [256, 256, 256, 256], [128, 128, 128, 128]),
        (64, [1024, 512, 256, 128, 64], [64, 128, 256, 512, 1024]),
        (128, [1024, 1024, 512, 256, 128, 64], [64, 128, 256, 512, 1024, 1024]),
        (256, [1024, 1024, 512, 512, 256, 128, 64], [64, 128, 256, 512, 512, 1024, 1024]),
    ],
)
def test_channels_at_the_default_width_are_those_of_the_authors_code(side, made, judged):
    assert generator_channels(GENERATOR, side, width=64) == made
    assert [stage.outputs for stage in critic_stages(CRITIC, (3, side, side), 64, wide=False)] == judged


def test_small_images_have_the_layout_of_32_pixels_with_fewer_doublings():
    assert [generator_channels(GENERATOR, side, width=1) for side in (8, 16, 32)] == [[4] * 2, [4] * 3, [4] * 4]
    halvings = [[stage.halves for stage in critic_stages(CRITIC, (3, side, side), 1, wide=False)] for side in (8, 16)]
    assert halvings == [[True, False, False, False], [True, True, False, False]]


def test_beyond_256_pixels_both_players_get_one_more_block_of_a_single_width():
    channels = generator_channels(GENERATOR, 512, width=5)
    assert channels == [*generator_channels(GENERATOR, 256, width=5), 5]
    large, small = (critic_stages(CRITIC, (3, side, side), 5, wide=True) for side in (512, 256))
    assert large[:2] == [Stage(3, 5, 5, halves=True, first=True), Stage(5, 5, 5, halves=True)]
    assert large[2:] == small[1:]


@pytest.mark.parametrize(("side", "last"), [(8, 4), (16, 4), (32, 8), (64, 2), (128, 4), (256, 4), (512, 4)])
def test_a_critics_last_map_has_the_published_side(side, last):
    stages = critic_stages(CRITIC, (1, side, side), 1, wide=False)
    assert side // 2 ** sum(stage.halves for stage in stages) == last
    assert [stage.first for stage in stages] == [True] + [False] * (len(stages) - 1)


def test_a_narrow_block_widens_with_its_second_convolution_and_a_wide_one_with_its_first():
    narrow, wide = (critic_stages(CRITIC, (3, 64, 64), 10, wide=wide) for wide in (False, True))
    assert [(stage.inputs, stage.hidden, stage.outputs) for stage in narrow[:3]] == [
        (3, 10, 10),  # the first is the same for both: three channels are no width
        (10, 10, 20),
        (20, 20, 40),
    ]
    assert [(stage.inputs, stage.hidden, stage.outputs) for stage in wide[:3]] == [
        (3, 10, 10),
        (10, 20, 20),
        (20, 40, 40),
    ]
