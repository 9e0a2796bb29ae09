"""Gradient normalisation of a critic (arXiv:2109.02235)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor
from torch.func import vjp

Judged = dict[str, Tensor]
_Backwards = tuple[Tensor, Callable[[Tensor], tuple[Tensor]], Judged]


def gradient_normalised(judge: Callable[[Tensor], tuple[Tensor, Judged]], samples: Tensor) -> tuple[Tensor, Judged]:
    """Logits f̂ = f / (‖∇f‖ + |f|) with the norm of each sample's own gradient, and what else `judge` says of it.

    So f̂ is at most 1 in size, and ‖∇f̂‖ ≤ 1 where f is linear around a sample, as with (leaky) ReLUs. `judge` maps
    samples (N, …) to logits (N,) and a mapping of other things, which stay as they are. It must neither mix the batch
    (BatchNorm) nor change a buffer (spectral normalisation). Paper: arXiv:2109.02235, §3.
    """
    logits, gradient_of, others = cast(_Backwards, vjp(judge, samples, has_aux=True))
    (gradients,) = gradient_of(torch.ones_like(logits))
    norms = torch.linalg.vector_norm(gradients.flatten(1), dim=1)  # (N,)
    return logits / (norms + logits.abs()), others
