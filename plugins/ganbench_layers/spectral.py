"""Spectral normalisation (arXiv:1802.05957): weights divided by their largest singular value."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

WARM_UP = 15
"""Power iterations when a layer is made, so that its first outputs are normalised already."""

TINY = 1e-12

_Layer = TypeVar("_Layer", bound=nn.Module)


def spectral(module: _Layer) -> _Layer:
    """The same layer, its weight divided by its largest singular value whenever it is used.

    For linear layers, convolutions and embeddings. A convolution's weight counts as the matrix (outputs, inputs ·
    kernel area), as published (arXiv:1802.05957, §2.1 and appendix A). In training mode each use of the weight makes
    one step of power iteration; in evaluation mode none. torch's own form comes to the same, but not under vmap.
    """
    outputs = 1 if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) else 0
    weight = module.weight
    assert isinstance(weight, Tensor)
    register_parametrization(module, "weight", SpectralNorm(weight, outputs))
    return module


def spectral_throughout(network: nn.Module) -> None:
    """Let every linear layer, convolution and embedding of the network be spectrally normalised."""
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding
    for layer in [module for module in network.modules() if isinstance(module, kinds)]:
        spectral(layer)


class SpectralNorm(nn.Module):
    """W to W / σ(W), with singular vectors that follow W by one power iteration a use (arXiv:1802.05957, algorithm 1).

    No gradient passes through the singular vectors u and v, only through σ = uᵀWv.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, outputs: int = 0) -> None:
        super().__init__()
        self.outputs = outputs  # the axis of the output channels
        matrix = self._matrix(weight.detach())
        u = _unit(torch.randn(len(matrix), dtype=weight.dtype, device=weight.device))
        v = _unit(matrix.mT @ u)
        for _ in range(WARM_UP):
            u, v = self._iterated(matrix, u)
        self.register_buffer("u", u)  # (outputs,)
        self.register_buffer("v", v)  # (inputs,)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight, of the same shape, with 1 as its largest singular value."""
        matrix = self._matrix(weight)
        u, v = self.u, self.v
        if self.training:
            u, v = self._iterated(matrix.detach(), u)
            self.u.copy_(u)
            self.v.copy_(v)
        return weight / (u @ (matrix @ v))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.outputs, 0).flatten(1)  # (outputs, inputs)

    @staticmethod
    def _iterated(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        v = _unit(matrix.mT @ u)
        return _unit(matrix @ v), v


def _unit(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0, eps=TINY)
