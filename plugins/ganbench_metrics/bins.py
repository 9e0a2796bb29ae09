"""How evenly generated samples fall on bins that the training samples define, with no class known."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import torch
from torch import Tensor

from ganbench.errors import ChoiceError, DataError
from ganbench.metrics import spread
from ganbench.protocols import Evidence, Tensors
from ganbench.terms import Score
from ganbench_metrics.histograms import binomial_noise, counts_of, quadratic_noise, variance
from ganbench_metrics.protocol import blank, features_of

PER_BIN = 20
"""Samples that a bin holds on average at least: with fewer, the normal approximation of a share does not hold."""

FITTED_PER_BIN = 256
"""Training samples per bin that k-means looks at, at most; they are evenly spaced."""

CRITICAL = NormalDist().inv_cdf(0.975)
"""Of the two-sided test at 5 %: 1.96 deviations."""

ROWS = 16_384
"""Samples assigned to bins at once."""


class Bins:
    """How evenly fakes fall on k-means bins of the training features, against held-out samples (arXiv:1805.12462).

    There are `bins` of them, or as many as leave an average of 20 held-out samples to each: 44 of 898.
    """

    def __init__(self, bins: int = 100) -> None:
        if bins < 2:
            raise ChoiceError(f"metric 'bins': bins is {bins}, expected at least 2")
        self._bins = bins

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Two scores: `ndb_…`, the share of bins that differ significantly, and `jsd_…`, in nats."""
        extractor, real, fake = features_of(evidence, "bins")
        train = evidence.train_features
        if train is None:
            raise DataError("metric 'bins' needs training samples to place its bins, and there are none. Leave it out")
        bins = min(self._bins, len(train), min(len(real), len(fake)) // PER_BIN)
        score = blank(evidence, "bins", bins=bins, n_train=len(train))
        ndb, jsd = replace(score, name=f"ndb_{extractor.tag}"), replace(score, name=f"jsd_{extractor.tag}")
        if bins < 2:
            return ndb, jsd
        of_real = evidence.of_real.recall(f"bins/centres/1/{bins}", lambda: _centres(train, real, bins))
        real_counts = of_real["counts"].to(fake.device)  # (K,)
        fake_counts = _assigned(fake, of_real["centres"].to(fake.device))  # (K,)
        share = different(real_counts, fake_counts).double().mean().item()
        return (
            replace(ndb, value=share, noise=binomial_noise(share, bins)),
            replace(jsd, value=jensen_shannon(real_counts, fake_counts), noise=_noise(real_counts, fake_counts)),
        )


def different(real: Tensor, fake: Tensor) -> Tensor:
    """In which bins (K,) the shares of two histograms of counts differ at 5 %, by the pooled two-proportion z-test."""
    n_real, n_fake = real.sum(), fake.sum()
    pooled = (real + fake) / (n_real + n_fake)
    deviation = (pooled * (1 - pooled) * (1 / n_real + 1 / n_fake)).sqrt()
    return (real / n_real - fake / n_fake).abs() > CRITICAL * deviation


def jensen_shannon(real: Tensor, fake: Tensor) -> float:
    """The Jensen–Shannon divergence of two histograms of counts (K,), in nats: 0 if equal, ln 2 if disjoint."""
    p, q = real / real.sum(), fake / fake.sum()
    middle = (p + q) / 2
    return (torch.xlogy(p, p) + torch.xlogy(q, q) - 2 * torch.xlogy(middle, middle)).sum().item() / 2


def _noise(real: Tensor, fake: Tensor) -> float:
    """The deviation of `jensen_shannon`, by the delta method, and by χ² where the histograms are nearly equal."""
    p, q = real / real.sum(), fake / fake.sum()
    middle = (p + q) / 2
    sampling = sum(
        variance(torch.where(own > 0, (own / middle).log() / 2, 0), own) / counts.sum().item()
        for own, counts in ((p, real), (q, fake))
    )
    scale = (1 / real.sum().item() + 1 / fake.sum().item()) / 8  # of the χ², with one degree less than bins
    occupied = int((middle > 0).sum())
    return quadratic_noise(sampling, 2 * (occupied - 1) * scale**2)


def _centres(train: Tensor, real: Tensor, bins: int) -> Tensors:
    """The centres (K, D) of k-means on training features, and how many held-out ones fall to each (K,)."""
    from sklearn.cluster import KMeans

    count = min(len(train), FITTED_PER_BIN * bins)
    fitted = train[spread(len(train), count)].cpu()  # float32 will do: any centres make bins
    centres = torch.from_numpy(KMeans(bins, n_init=1, random_state=0).fit(fitted.numpy()).cluster_centers_).double()
    return {"centres": centres, "counts": _assigned(real, centres.to(real.device))}


def _assigned(samples: Tensor, centres: Tensor) -> Tensor:
    """How many samples (N, D) are nearest to each of the centres (K, D): (K,)."""
    nearest = [torch.cdist(rows.double(), centres).argmin(dim=1) for rows in torch.split(samples, ROWS)]
    return counts_of(torch.cat(nearest), len(centres))
