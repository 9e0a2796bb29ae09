"""Fréchet distances of features: as fitted to the samples, and extrapolated to infinitely many fakes."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ganbench.errors import ChoiceError
from ganbench.protocols import Evidence, Extractor, Tensors
from ganbench.terms import Score
from ganbench_metrics.gaussians import deviation, distance, fitted
from ganbench_metrics.protocol import blank, canonical, ending, features_of


class Frechet:
    """Fréchet distance between Gaussians fitted to the features (arXiv:1706.08500, eq. 6).

    `fid_inception_…` for the canonical Inception's features, `fcd_…` (classifier) for any other. The mean over seeds is
    geometric, for the distance is positive; rounding alone can make it a little less than 0, where both sets are the
    same. None with fewer than two samples.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: the distance."""
        extractor, real, fake = features_of(evidence, "frechet")
        score = replace(blank(evidence, "frechet"), name=f"{_formula(extractor)}_{ending(extractor, len(fake))}")
        if min(len(real), len(fake)) < 2:
            return (replace(score, mean="geometric"),)
        value, noise = _distance(evidence, real, fake), _noise(evidence, real, fake)
        return (replace(score, value=value, noise=noise, mean="geometric"),)


class FrechetInfinity:
    """The Fréchet distance that infinitely many fakes would have: FID∞ (arXiv:1911.07023, §4).

    The distance from random subsets of `points` sizes falls on a line in 1/N, whose intercept is the score. It removes
    the bias of the fakes' number, and not that of the reals'. A score below 0 is right where the true one is near 0.
    None where there are fewer than two samples a point.
    """

    def __init__(self, points: int = 15) -> None:
        if points < 3:
            raise ChoiceError(f"metric 'frechet-infinity': points is {points}, expected at least 3")
        self._points = points

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: the intercept."""
        extractor, real, fake = features_of(evidence, "frechet-infinity")
        sizes = subset_sizes(self._points, *fake.shape)
        settings = {"points": self._points, "smallest": sizes[0], "rng_seed": evidence.rng_seed}
        score = blank(evidence, "frechet-infinity", **settings)
        score = replace(score, name=f"{_formula(extractor)}_infinity_{extractor.tag}")
        if len(real) < 2 or len(fake) < 2 * self._points:
            return (score,)
        value, error = intercept(sizes, self._distances(evidence, real, fake, sizes))
        noise = _noise(evidence, real, fake)
        return (replace(score, value=value, noise=None if noise is None else math.hypot(noise, error)),)

    def _distances(self, evidence: Evidence, real: Tensor, fake: Tensor, sizes: list[int]) -> list[float]:
        """The distance of a random subset of each size; the last size is that of all fakes."""
        rng = torch.Generator().manual_seed(evidence.rng_seed)
        gaussian = _real_gaussian(evidence, real)
        subsets = (torch.randperm(len(fake), generator=rng)[:size].to(fake.device) for size in sizes[:-1])
        return [*(distance(gaussian, fake[subset]).item() for subset in subsets), _distance(evidence, real, fake)]


def subset_sizes(points: int, count: int, dimension: int) -> list[int]:
    """`points` evenly spaced numbers of samples up to `count`.

    They begin at a tenth of them, as 5,000 of 50,000 do, or at twice the dimension where that is more: with fewer
    samples than dimensions the distances leave the line. They begin at half of them at most.
    """
    smallest = max(count // 10, min(2 * dimension, count // 2), 2)
    return [smallest + (count - smallest) * step // (points - 1) for step in range(points)]


def intercept(sizes: list[int], distances: list[float]) -> tuple[float, float]:
    """Where the line through distances over 1/N meets 1/N = 0, by least squares, and the standard error of that."""
    places, values = torch.tensor(sizes, dtype=torch.float64).reciprocal(), torch.tensor(distances, dtype=torch.float64)
    spread = (places - places.mean()).square().sum()
    slope = (places - places.mean()) @ values / spread
    found = values.mean() - slope * places.mean()
    residual = (values - found - slope * places).square().sum() / (len(sizes) - 2)
    return found.item(), (residual * (1 / len(sizes) + places.mean().square() / spread)).sqrt().item()


def _formula(extractor: Extractor) -> str:
    return "fid" if canonical(extractor) else "fcd"


def _real_gaussian(evidence: Evidence, real: Tensor) -> Tensors:
    kept = evidence.of_real.recall("frechet/gaussian/1", lambda: fitted(real))
    return {name: tensor.to(real.device) for name, tensor in kept.items()}


def _distance(evidence: Evidence, real: Tensor, fake: Tensor) -> float:
    gaussian = _real_gaussian(evidence, real)
    return evidence.of_both.recall("frechet/distance/1", lambda: {"value": distance(gaussian, fake)})["value"].item()


def _noise(evidence: Evidence, real: Tensor, fake: Tensor) -> float | None:
    """None where no time was given for it: it takes as long as the distance itself."""
    if not evidence.resamples:
        return None
    gaussian = _real_gaussian(evidence, real)
    found = evidence.of_both.recall("frechet/noise/1", lambda: {"noise": deviation(gaussian, real, fake)})
    return found["noise"].item()
