"""Gaussians as encoders give them: a mean and a logarithmic variance for each latent number."""

from __future__ import annotations

import torch
from torch import Tensor


def split(encoded: Tensor) -> tuple[Tensor, Tensor]:
    """The means and the logarithms of the variances, (N, Z) each, in an encoder's outputs (N, 2·Z)."""
    means, log_variances = encoded.chunk(2, dim=1)
    return means, log_variances


def drawn(means: Tensor, log_variances: Tensor, rng: torch.Generator) -> Tensor:
    """One latent of each Gaussian, (N, Z), differentiable in both (arXiv:1312.6114, §2.4)."""
    noise = torch.randn(means.shape, generator=rng, device=means.device, dtype=means.dtype)
    return means + torch.exp(log_variances / 2) * noise


def divergence(means: Tensor, log_variances: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) in nats for each sample: (N,) (arXiv:1312.6114, appendix B)."""
    return (means.square() + log_variances.exp() - 1 - log_variances).sum(dim=1) / 2
