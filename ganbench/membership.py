"""Which of a density's known modes a point belongs to: one rule, for scores and for pictures of them."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.protocols import Modes

RADIUS = 3.0
"""How far, in standard deviations, a point may lie from a mode's centre and still be one of the mode's."""


def modes_of(points: Tensor, modes: Modes) -> Tensor:
    """The mode (N,) of each point (N, D), from 0 to K - 1: the nearest in units of its deviation; K beyond RADIUS."""
    centres = modes.centres.double()
    distances = torch.cdist(points.double(), centres, compute_mode="donot_use_mm_for_euclid_dist")  # (N, K)
    distance, nearest = (distances / modes.deviations.double()).min(dim=1)  # (N,), (N,)
    return torch.where(distance <= RADIUS, nearest, len(centres))
