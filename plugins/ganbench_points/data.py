"""Five mixtures of Gaussians in the plane as data sets, drawn the same way every time."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ganbench.errors import ChoiceError
from ganbench.protocols import Data, Modes, Places
from ganbench_points.mixture import Mixture

TRAIN = 100_000
HELDOUT = 10_000

TURNS = 2
"""How often the spiral goes round."""

RARE = (0.36, 0.24, 0.16, 0.10, 0.07, 0.04, 0.02, 0.01)
"""The weights of `rare-modes`: of 10,000 points, 100 are of the last."""


def ring8(places: Places, radius: float = 1.0, deviation: float = 0.01) -> Data:
    """Eight equal Gaussians of `deviation`, evenly on a circle of `radius` around 0.

    The first is at angle 0: the 2D-ring of arXiv:1712.04086, as its released code has it.
    """
    _require_above(0, "ring8", radius=radius, deviation=deviation)
    return _with_modes("ring8", Mixture.equal(radius * _ring(8), deviation))


def grid25(places: Places, deviation: float = 0.05) -> Data:
    """Twenty-five equal Gaussians of `deviation` at all pairs of -4, -2, 0, 2 and 4.

    The 2D-grid of arXiv:1712.04086, as its released code has it.
    """
    _require_above(0, "grid25", deviation=deviation)
    axis = torch.arange(-4, 5, 2, dtype=torch.float64)
    return _with_modes("grid25", Mixture.equal(torch.cartesian_prod(axis, axis), deviation))


def spiral(places: Places, deviation: float = 0.02) -> Data:
    """Noise around the involute of a circle, from the circle outwards to distance 1 in two turns. There are no modes.

    The density is by definition that of equal Gaussians in the middles of equal arcs, no longer than `deviation`. At
    such a spacing their sum along a line is constant to 1e-8: a continuous curve to any generator, and still exact.
    """
    _require_above(0.001, "spiral", deviation=deviation)
    mixture = Mixture.equal(_involute(deviation), deviation)
    return _drawn("spiral", mixture, labels=None)


def two_scales(places: Places, deviation: float = 0.03, ratio: float = 60.0) -> Data:
    """A ring of eight equal Gaussians of radius 1, and in its middle the same ring `ratio` times smaller.

    Half of the points are of either ring; `deviation` is that of the broad one's Gaussians. The labels say which: 0 is
    the narrow one, 1 the broad one.
    """
    _require_above(0, "two-scales", deviation=deviation)
    _require_above(1, "two-scales", ratio=ratio)
    scales = torch.tensor([1 / ratio, 1.0], dtype=torch.float64).repeat_interleave(8)  # (16,)
    centres = scales[:, None] * _ring(8).repeat(2, 1)  # (16, 2)
    mixture = Mixture(centres, deviation * scales, torch.full((16,), 1 / 16, dtype=torch.float64))
    rings = torch.arange(2).repeat_interleave(8)  # (16,)
    return _with_modes("two-scales", mixture, rings, class_names=("narrow", "broad"))


def rare_modes(places: Places, deviation: float = 0.01) -> Data:
    """The Gaussians of `ring8` with unequal weights: from 36 % at angle 0 down to 1 % at 315 degrees.

    All have the same `deviation`.
    """
    _require_above(0, "rare-modes", deviation=deviation)
    deviations = torch.full((8,), deviation, dtype=torch.float64)
    return _with_modes("rare-modes", Mixture(_ring(8), deviations, torch.tensor(RARE, dtype=torch.float64)))


def _ring(count: int) -> Tensor:
    """Points (count, 2) evenly on the unit circle, the first at angle 0."""
    angles = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def _involute(longest: float) -> Tensor:
    """The middles (K, 2) of equal arcs, none longer than `longest`.

    Unwound by angle t from a circle of radius a, the involute is at distance a·√(1 + t²), after an arc of a·t²/2: arcs
    have a closed form, and the turns are 2πa apart everywhere.
    """
    last = 2 * math.pi * TURNS
    radius = 1 / math.sqrt(1 + last**2)
    count = math.ceil(radius * last**2 / 2 / longest)
    t = last * ((torch.arange(count, dtype=torch.float64) + 0.5) / count).sqrt()  # (K,)
    return radius * torch.stack([t.cos() + t * t.sin(), t.sin() - t * t.cos()], dim=1)


def _with_modes(name: str, mixture: Mixture, labels: Tensor | None = None, class_names: tuple[str, ...] = ()) -> Data:
    """Points whose modes are the mixture's components, labelled by `labels` (K,): unless given, the modes' indices."""
    modes = Modes(mixture.centres, mixture.deviations, mixture.weights)
    labels = torch.arange(len(mixture.centres)) if labels is None else labels
    return replace(_drawn(name, mixture, labels), modes=modes, class_names=class_names)


def _drawn(name: str, mixture: Mixture, labels: Tensor | None) -> Data:
    """Independent draws for both splits; `labels` (K,) are the components'."""
    train, train_components = mixture.draw(TRAIN, f"{name}/train")
    heldout, heldout_components = mixture.draw(HELDOUT, f"{name}/heldout")
    return Data(
        train=train,
        heldout=heldout,
        train_labels=None if labels is None else labels[train_components],
        heldout_labels=None if labels is None else labels[heldout_components],
        density=mixture,
        origin="drawn by ganbench with NumPy's PCG64",
    )


def _require_above(bound: float, name: str, **parameters: float) -> None:
    for parameter, value in parameters.items():
        if not bound < value < float("inf"):
            raise ChoiceError(f"{name}({parameter}={value}): expected a number above {bound:g}")
