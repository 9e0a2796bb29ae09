"""The Fréchet distance of Gaussians fitted to two sets of samples, in float64, and how it varies with the samples.

Between N(μ, Σ) and N(μ', Σ') it is |μ − μ'|² + tr Σ + tr Σ' − 2·tr (Σ Σ')^½ (arXiv:1706.08500, eq. 6). The last trace,
the overlap, is the sum of the square roots of the eigenvalues of F Σ' Fᵀ for any F with FᵀF = Σ: a symmetric matrix,
unlike Σ Σ'. An eigenvalue of 0 would turn rounding into 1e-8 of the largest, for it is under a root; those within
rounding count as 0. With no more samples than dimensions most of them would; then the overlap is the sum of the
singular values of F Aᵀ, where AᵀA = Σ' are the centred samples themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ganbench.protocols import Tensors

ROWS = 4096
"""Samples that are converted to float64 at a time: 64 MiB of 2048 dimensions."""


PANEL = 256
"""Columns of a covariance that are computed at a time."""


def fitted(samples: Tensor) -> Tensors:
    """The Gaussian of samples (N, D): `mean` (D,), `factor` F (min(N, D), D) with FᵀF = Σ, and `trace` of Σ, ()."""
    mean = _mean(samples)
    if _few(samples):
        factor = _scaled(samples, mean)
        return {"mean": mean, "factor": factor, "trace": factor.square().sum()}
    covariance = _covariance(samples, mean)
    return {"mean": mean, "factor": _factor(covariance), "trace": covariance.trace()}


def distance(real: Tensors, fake: Tensor) -> Tensor:
    """The squared Fréchet distance, (), of the fitted real Gaussian from that of fakes (N, D)."""
    mean = _mean(fake)
    if _few(fake):
        scaled = _scaled(fake, mean)
        trace, overlap = scaled.square().sum(), torch.linalg.svdvals(real["factor"] @ scaled.T).sum()
    else:
        covariance = _covariance(fake, mean)
        trace, overlap = covariance.trace(), _roots(torch.linalg.eigvalsh(_seen_by(real["factor"], covariance))).sum()
    squared: Tensor = (mean - real["mean"]).square().sum() + real["trace"] + trace - 2 * overlap
    return squared


def deviation(real_gaussian: Tensors, real: Tensor, fake: Tensor) -> Tensor:
    """The distance's standard deviation, (), over other samples of both distributions: the infinitesimal jackknife.

    To first order the distance is a mean of each sample's influence on it, so its variance is that of the influences
    over their number, summed over both sides.
    """
    of_reals, of_fakes = influences(fitted(fake), real), influences(real_gaussian, fake)  # (N,), (M,)
    return (of_reals.var() / len(real) + of_fakes.var() / len(fake)).sqrt()


def influences(other: Tensors, samples: Tensor) -> Tensor:
    """How the distance from the `other` Gaussian changes with each sample's weight, (N,), but for a constant.

    With x from the samples' mean μ, and μ' the other one's: 2xᵀ(μ − μ') + |x|² − xᵀTx, where T = Fᵀ(F Σ Fᵀ)^-½ F is the
    optimal transport onto the other Gaussian and FᵀF its covariance.
    """
    mean = _mean(samples)
    roots, vectors = _overlap(other["factor"], samples, mean)
    basis = other["factor"].T @ (vectors / roots.sqrt())  # (D, K)
    towards = 2 * (mean - other["mean"])  # (D,)
    chunks = (x @ towards + x.square().sum(dim=1) - (x @ basis).square().sum(dim=1) for x in _centred(samples, mean))
    return torch.cat(list(chunks))


def _overlap(factor: Tensor, samples: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """The terms of the overlap that are not 0 within rounding, (K,), and the directions they belong to, (R, K)."""
    if _few(samples):
        vectors, roots, _ = torch.linalg.svd(factor @ _scaled(samples, mean).T, full_matrices=False)
    else:
        values, vectors = torch.linalg.eigh(_seen_by(factor, _covariance(samples, mean)))
        roots = _roots(values)
    counts = roots > roots.max() * 1e-7
    return roots[counts], vectors[:, counts]


def _few(samples: Tensor) -> bool:
    """Whether samples (N, D) cannot have a covariance of full rank: N − 1 < D."""
    return len(samples) <= samples.shape[1]


def _centred(samples: Tensor, mean: Tensor) -> Iterator[Tensor]:
    for chunk in torch.split(samples, ROWS):
        yield chunk.double() - mean


def _mean(samples: Tensor) -> Tensor:
    sums = [chunk.double().sum(dim=0) for chunk in torch.split(samples, ROWS)]
    return torch.stack(sums).sum(dim=0) / len(samples)


def _scaled(samples: Tensor, mean: Tensor) -> Tensor:
    """The matrix A (N, D) with AᵀA = Σ."""
    return (samples.double() - mean) / math.sqrt(len(samples) - 1)


def _covariance(samples: Tensor, mean: Tensor) -> Tensor:
    """Σ (D, D): the panels on and above the diagonal are summed over chunks of samples, and mirrored."""
    panels = [slice(start, start + PANEL) for start in range(0, len(mean), PANEL)]
    upper = mean.new_zeros(len(mean), len(mean))  # (D, D)
    for chunk in _centred(samples, mean):
        for panel in panels:
            upper[panel, panel.start :].addmm_(chunk[:, panel].T, chunk[:, panel.start :])
    upper = upper.triu_() / (len(samples) - 1)
    covariance: Tensor = upper + upper.triu(1).T
    return covariance


def _factor(covariance: Tensor) -> Tensor:
    """Cholesky's, which is fast; where some feature is constant or follows from others, one of eigenvectors."""
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        values, vectors = torch.linalg.eigh(covariance)
        lower = vectors * _roots(values)
    factor: Tensor = lower.mT.contiguous()
    return factor


def _seen_by(factor: Tensor, covariance: Tensor) -> Tensor:
    """F Σ Fᵀ, symmetric."""
    return factor @ covariance @ factor.mT


def _roots(eigenvalues: Tensor) -> Tensor:
    """The square roots of eigenvalues (K,) of a matrix without negative ones; 0 where they are 0 but for rounding."""
    rounding = len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps * eigenvalues.max()
    return torch.where(eigenvalues > rounding, eigenvalues, 0).sqrt()
