"""What every comparison of two histograms shares: how far apart they are, how uneven, and how sure that is."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ganbench.protocols import Evidence

SHARE = 0.2
"""The part of its fair share of samples that a mode or a class needs in order to count as covered."""


def counts_of(members: Tensor, number: int) -> Tensor:
    """How often each of 0 to `number` - 1 occurs among `members` (N,): (number,) float64."""
    return torch.bincount(members, minlength=number).double()


def total_variation(histogram: Tensor, reference: Tensor) -> float:
    """Half the sum of absolute differences of two probability vectors (K,): 0 if equal, 1 if disjoint."""
    return (histogram - reference).abs().sum().item() / 2


def total_variation_noise(fake: Tensor, real: Tensor, evidence: Evidence) -> float | None:
    """The deviation of `total_variation` over histograms drawn anew from these counts (K,); None without resamples.

    Where the two are nearly equal it is too large, by up to a third: resampled histograms lie apart twice as far.
    """
    if not evidence.resamples:
        return None
    rng = np.random.default_rng(evidence.rng_seed)
    shares = [_redrawn(counts, evidence.resamples, rng) for counts in (real, fake)]  # (R, K), (R, K)
    return (shares[0] - shares[1]).abs().sum(dim=1).div(2).std().item()


def divergence(counts: Tensor, reference: Tensor) -> float | None:
    """KL divergence, in nats, of the histogram of `counts` (K,) from probabilities `reference` (K,).

    None where it is undefined: nothing was counted, or something was that the reference says does not occur.
    """
    seen = counts > 0
    if not seen.any() or (reference[seen] <= 0).any():
        return None
    histogram = counts[seen] / counts.sum()
    return (histogram * (histogram / reference[seen]).log()).sum().item()


def divergence_noise(fake: Tensor, real: Tensor) -> float:
    """The deviation of `divergence` of counts `fake` (K,) from those of `real` (K,), both drawn independently.

    By the delta method, and for nearly equal histograms by the χ² that twice the divergence then follows.
    """
    occurring = real > 0
    p, q = real[occurring] / real.sum(), fake[occurring] / fake.sum()  # (K',), (K',)
    logarithm = torch.where(q > 0, (q / p).clamp_min(1e-300).log(), 0)
    sampling = variance(logarithm, q) / fake.sum().item() + variance(q / p, p) / real.sum().item()
    scale = (1 / fake.sum().item() + 1 / real.sum().item()) / 2  # of the χ², with one degree less than bins
    return quadratic_noise(sampling, 2 * (len(p) - 1) * scale**2)


def quadratic_noise(sampling: float, equal: float) -> float:
    """The deviation of a divergence: it is quadratic near 0, where the delta method counts its variance twice.

    `sampling` is the variance by the delta method, taken at the measured histograms; `equal` is the variance where the
    true histograms are equal.
    """
    return math.sqrt(max(sampling - equal, equal))


def variance(values: Tensor, probabilities: Tensor) -> float:
    """The variance of a variable that takes `values` (K,) with `probabilities` (K,)."""
    mean = (probabilities * values).sum()
    return (probabilities * (values - mean) ** 2).sum().item()


def covered(counts: Tensor, fair: Tensor) -> Tensor:
    """Which entries (K,) of `counts` are at least a fifth of what is `fair`, where anything is."""
    slack = 1 - 1e-9  # a fifth of 1125 * (1 / 75) must not ask for more than 3 samples
    return (fair > 0) & (counts >= SHARE * fair * slack)


def binomial_noise(share: float, count: int) -> float:
    """The deviation of a share of `count` independent outcomes, not 0 where all of them came out alike.

    Half an outcome of either kind is added, as Jeffreys' prior does.
    """
    drawn = (share * count + 0.5) / (count + 1)
    return math.sqrt(drawn * (1 - drawn) / count)


def _redrawn(counts: Tensor, times: int, rng: np.random.Generator) -> Tensor:
    """Histograms of as many samples as `counts` (K,), drawn anew from their shares: (times, K)."""
    shares = (counts / counts.sum()).cpu().numpy()
    return torch.from_numpy(rng.multinomial(int(counts.sum()), shares, times)) / counts.sum().item()
