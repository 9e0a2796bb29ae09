"""Mixtures of round Gaussians: the exact density, independent samples, and draws that are the same every time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganbench.datasets import seed_of

PAIRS = 2**16
"""Pairs of a point and a component looked at together: half a megabyte at a time stays near the processor."""


@dataclass(frozen=True)
class Mixture:
    """The density Σₖ wₖ·N(x; cₖ, σₖ²·I). All in float64: `centres` (K, D), `deviations` (K,), `weights` (K,)."""

    centres: Tensor
    deviations: Tensor
    weights: Tensor

    @classmethod
    def equal(cls, centres: Tensor, deviation: float) -> Mixture:
        """All components of the same deviation and weight, at `centres` (K, D)."""
        count = len(centres)
        deviations = torch.full((count,), deviation, dtype=torch.float64)
        return cls(centres, deviations, torch.full((count,), 1 / count, dtype=torch.float64))

    def log_prob(self, points: Tensor) -> Tensor:
        """The natural logarithm of the density, (N,) float64, at points (N, D). Finite however far away they lie."""
        chunks = torch.split(points.double(), max(1, PAIRS // len(self.centres)))
        return torch.cat([self._log_prob(chunk) for chunk in chunks])

    def _log_prob(self, points: Tensor) -> Tensor:
        # Differences, not ‖x‖² + ‖c‖² - 2x·c, whose rounding a narrow component would blow up.
        distances = torch.cdist(points, self.centres, compute_mode="donot_use_mm_for_euclid_dist")  # (N, K)
        scale = -self.centres.shape[1] * (self.deviations.log() + math.log(2 * math.pi) / 2)  # (K,)
        logarithms = self.weights.log() + scale - (distances / self.deviations).square() / 2  # (N, K)
        return logarithms.logsumexp(dim=1)

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Independent points, (count, D) float32, drawn with `rng`."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=rng)  # (count,)
        noise = torch.randn(count, self.centres.shape[1], generator=rng, dtype=torch.float64)  # (count, D)
        return self._around(chosen, noise)

    def draw(self, count: int, name: str) -> tuple[Tensor, Tensor]:
        """Independent points, (count, D) float32, that `name` decides, and their components' indices (count,) int64."""
        rng = np.random.Generator(np.random.PCG64(seed_of(name)))
        chosen = torch.from_numpy(self._components(count, rng))  # (count,)
        noise = torch.from_numpy(rng.standard_normal((count, self.centres.shape[1])))  # (count, D)
        return self._around(chosen, noise), chosen

    def _components(self, count: int, rng: np.random.Generator) -> np.ndarray:
        if (self.weights == self.weights[0]).all():
            return rng.integers(len(self.weights), size=count)
        ends = self.weights.cumsum(dim=0).numpy()[:-1]  # the last component takes what rounding leaves
        return np.searchsorted(ends, rng.random(count), side="right")

    def _around(self, chosen: Tensor, noise: Tensor) -> Tensor:
        return (self.centres[chosen] + self.deviations[chosen, None] * noise).float()
