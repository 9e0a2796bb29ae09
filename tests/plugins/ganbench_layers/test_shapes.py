from __future__ import annotations

import pytest

from ganbench.errors import ChoiceError
from ganbench_layers.shapes import check_sizes, halvings_of, side_of, widths_of


@pytest.mark.parametrize(("side", "halvings"), [(8, 1), (16, 2), (32, 3), (256, 6)])
def test_a_square_of_a_power_of_two_is_so_many_halvings_from_4_pixels(side, halvings):
    assert side_of("net", (3, side, side)) == side
    assert halvings_of("net", (3, side, side)) == halvings


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (1, 8, 16), (1, 16, 8), (2,), (8,), (1, 0, 0)])
def test_shapes_that_are_no_square_of_a_power_of_two_are_refused(shape):
    with pytest.raises(ChoiceError, match=r"net: samples of shape .*, expected square images with a side of 8, 16, 32"):
        side_of("net", shape)


def test_channels_double_with_every_halving_up_to_the_widest():
    assert widths_of("net", (1, 64, 64), 3, 20) == [3, 6, 12, 20, 20]
    assert widths_of("net", (1, 8, 8), 3, 20) == [3, 6]


def test_the_first_size_below_1_is_named():
    check_sizes("net", width=1, depth=2)
    with pytest.raises(ChoiceError, match="net: depth is 0, expected 1 or more"):
        check_sizes("net", width=1, depth=0, pieces=-1)
    with pytest.raises(ChoiceError, match="net: widest is 0, expected 1 or more"):
        widths_of("net", (1, 8, 8), 3, 0)
