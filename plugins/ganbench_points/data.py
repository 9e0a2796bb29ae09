"""Mixtures of equal Gaussians in the plane, drawn the same way every time."""

from __future__ import annotations

import numpy as np
import torch

from ganbench.datasets import seed_of
from ganbench.errors import ChoiceError
from ganbench.protocols import Data, Modes, Places

TRAIN = 100_000
HELDOUT = 10_000


def ring8(places: Places, radius: float = 1.0, deviation: float = 0.01) -> Data:
    """Eight equal Gaussians, evenly on a circle around 0.

    The first is at angle 0: the 2D-ring of arXiv:1712.04086, as its released code has it.
    """
    _require_positive("ring8", radius=radius, deviation=deviation)
    angles = torch.arange(8, dtype=torch.float64) * (2 * torch.pi / 8)
    centres = radius * torch.stack([angles.cos(), angles.sin()], dim=1)  # (8, 2)
    return _mixture("ring8", centres, deviation)


def grid25(places: Places, deviation: float = 0.05) -> Data:
    """Twenty-five equal Gaussians at all pairs of -4, -2, 0, 2 and 4.

    The 2D-grid of arXiv:1712.04086, as its released code has it.
    """
    _require_positive("grid25", deviation=deviation)
    axis = torch.arange(-4, 5, 2, dtype=torch.float64)
    return _mixture("grid25", torch.cartesian_prod(axis, axis), deviation)


def _mixture(name: str, centres: torch.Tensor, deviation: float) -> Data:
    """Independent draws for both splits; the points' labels are their modes' indices."""
    train, train_labels = _draw(f"{name}/train", centres, deviation, TRAIN)
    heldout, heldout_labels = _draw(f"{name}/heldout", centres, deviation, HELDOUT)
    weights = torch.full((len(centres),), 1 / len(centres), dtype=torch.float64)
    return Data(
        train=train,
        heldout=heldout,
        train_labels=train_labels,
        heldout_labels=heldout_labels,
        modes=Modes(centres, deviation, weights),
        origin="drawn by ganbench with NumPy's PCG64",
    )


def _draw(seed: str, centres: torch.Tensor, deviation: float, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (count, 2) float32, each from a mode chosen at random, and the modes' indices (count,) int64."""
    rng = np.random.Generator(np.random.PCG64(seed_of(seed)))
    modes = torch.from_numpy(rng.integers(len(centres), size=count))  # (count,)
    noise = torch.from_numpy(rng.standard_normal((count, centres.shape[1])))  # (count, 2)
    return (centres[modes] + deviation * noise).float(), modes


def _require_positive(name: str, **parameters: float) -> None:
    for parameter, value in parameters.items():
        if not 0 < value < float("inf"):
            raise ChoiceError(f"{name}({parameter}={value}): expected a number above 0")
