from __future__ import annotations

import torch

from ganbench.membership import RADIUS, modes_of
from ganbench.protocols import Modes

TWO = Modes(
    torch.tensor([[0.0, 0.0], [10.0, 0.0]]), torch.tensor([1.0, 4.0]), torch.tensor([0.5, 0.5], dtype=torch.float64)
)


def test_a_point_belongs_to_the_mode_that_is_nearest_in_units_of_its_deviation():
    points = torch.tensor([[0.0, 0.0], [1.9, 0.0], [2.1, 0.0], [10.0, 11.9]])
    assert modes_of(points, TWO).tolist() == [0, 0, 1, 1]  # 2 is two deviations from either


def test_a_point_that_is_beyond_three_deviations_of_every_mode_belongs_to_none():
    points = torch.tensor([[-RADIUS, 0.0], [-3.001, 0.0], [10.0, -12.001], [1e30, 0.0]])
    assert modes_of(points, TWO).tolist() == [0, 2, 2, 2]
