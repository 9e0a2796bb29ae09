"""How near generated points are to real ones: distances that need no features, and the density itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from ganbench.datasets import seed_of
from ganbench.errors import ChoiceError, DataError
from ganbench.metrics import spread
from ganbench.protocols import Evidence, Tensors
from ganbench.terms import Score
from ganbench_metrics.protocol import blank

BANDWIDTHS = 5
"""The kernel's Gaussians: as wide as the median distance of real points, half of that, and so on down to a 16th."""

MOST = 10_000
"""The most points a side whose kernel is summed: the time grows with the square of their number."""

FOR_MEDIAN = 1000
"""Real points among which the median distance is taken."""

CELLS = 2**16
"""Pairs whose kernel is in memory at a time: half a megabyte stays near the processor."""


class SlicedWasserstein:
    """The mean Wasserstein-1 distance of projections on lines (arXiv:1902.00434, §2.3, with p = 1).

    In the plane the directions of the `projections` are evenly spaced, elsewhere they are drawn, the same ones every
    time. Along a line the distance between equally many points is the mean difference of the sorted ones.
    """

    def __init__(self, projections: int = 64) -> None:
        if projections < 1:
            raise ChoiceError(f"sliced-wasserstein(projections={projections}): expected an integer of at least 1")
        self.projections = projections

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: `sliced_w1`, in the unit of the points."""
        directions = _directions(evidence.real.shape[1], self.projections)  # (D, P)
        name = f"sliced-wasserstein/sorted/1/projections={self.projections}"
        real = evidence.of_real.recall(name, lambda: _sorted(evidence.real, directions))
        fake = _sorted(evidence.fake, directions)
        value = (real["sorted"] - fake["sorted"]).abs().mean().item()
        noise = (
            math.hypot(_influence_error(real, fake), _influence_error(fake, real)) if len(evidence.real) > 1 else None
        )
        score = blank(evidence, "sliced-wasserstein", projections=directions.shape[1])
        return (replace(score, name="sliced_w1", value=value, noise=noise, mean="geometric"),)


class KernelDiscrepancy:
    """The unbiased squared maximum mean discrepancy (arXiv:0805.2368) with a mean of five Gaussian kernels.

    The widest deviation is the median distance between real points, each next one is half as wide: so it sees which
    modes are missing and also how wide the modes are.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: `rbf_mmd2`."""
        real, fake = _spread(evidence.real, MOST).double(), _spread(evidence.fake, MOST).double()
        n_real, n_fake = len(real), len(fake)
        score = replace(blank(evidence, "rbf-mmd", most=MOST), name="rbf_mmd2", n_real=n_real, n_fake=n_fake)
        if min(n_real, n_fake) < 2:
            return (score,)
        kept = evidence.of_real.recall(f"rbf-mmd/rows/1/most={MOST}", lambda: _among_real(real))
        among_real, width = kept["rows"], kept["width"].item()
        among_fake = _rows_within(fake, width)
        at_real, at_fake = _rows_between(real, fake, width)
        # How much more alike a point is to its own side than to the other one.
        own_real = among_real / (n_real - 1) - at_real / n_fake  # (N,)
        own_fake = among_fake / (n_fake - 1) - at_fake / n_real  # (N,)
        noise = 2 * math.hypot(_standard_error(own_real), _standard_error(own_fake))
        return (replace(score, value=(own_real.mean() + own_fake.mean()).item(), noise=noise),)


class LogLikelihood:
    """How far the mean log-density of fakes, under the known density of the data, is from that of held-out points.

    The second mean estimates the negative entropy, which no generator of the same density can miss: fakes in empty
    space lie far below, and fakes too near the centres above. No density of the generator is needed or estimated
    (see arXiv:1511.01844 for what such estimates are worth).
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: `log_likelihood_gap`, in nats."""
        density = evidence.data.density
        if density is None:
            raise DataError("metric 'log-likelihood': the density of this data set is not known. Leave the metric out")
        real = evidence.of_real.recall(
            "log-likelihood/real/1", lambda: {"log_prob": density.log_prob(evidence.real).double()}
        )["log_prob"]  # (N,)
        fake = density.log_prob(evidence.fake).double()  # (N,)
        value = (fake.mean() - real.mean()).abs().item()
        noise = math.hypot(_standard_error(real), _standard_error(fake)) if min(len(real), len(fake)) > 1 else None
        score = blank(evidence, "log-likelihood")
        return (replace(score, name="log_likelihood_gap", value=value, noise=noise, mean="geometric"),)


def _standard_error(values: Tensor) -> float:
    """The standard error of the mean of `values` (N,)."""
    return math.sqrt(values.var().item() / len(values))


def _directions(dimension: int, projections: int) -> Tensor:
    """Unit vectors (D, P): one for a line, evenly spaced ones in the plane, drawn ones elsewhere."""
    if dimension == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    if dimension == 2:
        angles = (torch.arange(projections, dtype=torch.float64) + 0.5) * (torch.pi / projections)
        return torch.stack([angles.cos(), angles.sin()])
    rng = np.random.Generator(np.random.PCG64(seed_of("sliced-wasserstein")))
    drawn = torch.from_numpy(rng.standard_normal((dimension, projections)))
    return torch.nn.functional.normalize(drawn, dim=0)


def _sorted(points: Tensor, directions: Tensor) -> Tensors:
    """Points (N, D) along each direction (D, P): `sorted` (P, N) float64, and `order` (P, N), which point is where."""
    along = (directions.T @ points.double().T).numpy()  # (P, N)
    order = np.argsort(along, axis=1)  # NumPy sorts many times faster than torch on a CPU
    return {
        "sorted": torch.from_numpy(np.take_along_axis(along, order, axis=1)),
        "order": torch.from_numpy(order).int(),
    }


def _influence_error(own: Tensors, other: Tensors) -> float:
    """The standard error of the distance from one side's sampling: that of the mean of its points' influences.

    Moving mass to x changes the distance by the integral, up from x, of the sign of the difference of the two
    distribution functions: of F at own points u and G at the others' points v, both with N steps. Between u_(i) and
    u_(i+1), F is i/N, and G is less up to v_(i) and more from v_(i+1) on.
    """
    total = torch.zeros(own["sorted"].shape[1], dtype=torch.float64)  # (N,)
    for u, order, v in zip(own["sorted"], own["order"], other["sorted"], strict=True):  # (N,), (N,), (N,)
        start, end = u[:-1], u[1:]
        less = torch.clamp(v[:-1], start, end) - start
        more = end - torch.clamp(v[1:], start, end)
        total[order[1:]] += (more - less).cumsum(dim=0)  # and 0 for the first: constants do not count
    return _standard_error(total / len(own["sorted"]))


def _spread(points: Tensor, most: int) -> Tensor:
    """At most `most` of the points, evenly spaced."""
    return points if len(points) <= most else points[spread(len(points), most)]


def _among_real(real: Tensor) -> Tensors:
    """The widest kernel's `width`, and the kernel's sum at each real point (N, D) over the other ones: `rows` (N,)."""
    distances = torch.pdist(_spread(real, FOR_MEDIAN))
    width = distances.median()
    if width == 0:  # more than half of the points are the same one
        width = distances.mean() if distances.any() else width.new_ones(())
    return {"width": width, "rows": _rows_within(real, width.item())}


def _rows_within(points: Tensor, width: float) -> Tensor:
    """The kernel's sum at each of points (N, D) over all the others: (N,)."""
    places, sums = points.numpy(), np.zeros(len(points))
    for start, end in _blocks(len(points), len(points)):
        kernel = _kernel(places[start:end], places[start:], width)  # (B, N - start), for the kernel is symmetric
        sums[start:end] += kernel.sum(axis=1) - 1  # a point's kernel with itself is 1
        sums[end:] += kernel[:, end - start :].sum(axis=0)
    return torch.from_numpy(sums)


def _rows_between(real: Tensor, fake: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """The kernel's sum at each real point (N, D) over the fakes (M, D), (N,), and at each fake over the reals, (M,)."""
    at_real, at_fake = np.zeros(len(real)), np.zeros(len(fake))
    for start, end in _blocks(len(real), len(fake)):
        kernel = _kernel(real[start:end].numpy(), fake.numpy(), width)  # (B, M)
        at_real[start:end] = kernel.sum(axis=1)
        at_fake += kernel.sum(axis=0)
    return torch.from_numpy(at_real), torch.from_numpy(at_fake)


def _blocks(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Where consecutive blocks of rows start and end, so that `columns` for each row fill the cells."""
    step = max(1, CELLS // columns)
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def _kernel(real: np.ndarray, fake: np.ndarray, width: float) -> np.ndarray:
    """The mean over s of exp(-‖x - y‖² / 2s²), s = width, width/2, ...: (N, M).

    In NumPy, for blocks this small are no work to share among threads.
    """
    gaussian = cdist(real, fake, "sqeuclidean")  # (N, M)
    np.exp(np.multiply(gaussian, -1 / (2 * width**2), out=gaussian), out=gaussian)
    total = gaussian.copy()
    for _ in range(1, BANDWIDTHS):
        np.square(np.square(gaussian, out=gaussian), out=gaussian)  # half the width: the fourth power
        total += gaussian
    return np.divide(total, BANDWIDTHS, out=total)
