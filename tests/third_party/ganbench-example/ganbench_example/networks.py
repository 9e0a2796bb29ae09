"""Fully connected residual networks, for points and for images seen as long vectors."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import relu


class Block(nn.Module):
    """x + W₂ relu(W₁ relu(x)), (N, width) to (N, width) (arXiv:1512.03385; the order of arXiv:1603.05027)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, width) to (N, width)."""
        return hidden + self.second(relu(self.first(relu(hidden))))


class ResidualGenerator(nn.Module):
    """Latents (N, Z) to points (N, D), or through tanh to images (N, C, H, W) in [−1, 1]."""

    def __init__(self, latent_dim: int, shape: tuple[int, ...], *, width: int = 128, blocks: int = 2) -> None:
        super().__init__()
        hidden = [nn.Linear(latent_dim, width), *(Block(width) for _ in range(blocks)), nn.ReLU()]
        last = [nn.Tanh()] if len(shape) == 3 else []
        self.layers = nn.Sequential(*hidden, nn.Linear(width, math.prod(shape)), nn.Unflatten(1, shape), *last)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z) to (N, *shape)."""
        return self.layers(latents)


class ResidualDiscriminator(nn.Module):
    """Samples (N, *shape) to logits (N,), high for real."""

    def __init__(self, shape: tuple[int, ...], *, width: int = 128, blocks: int = 2) -> None:
        super().__init__()
        hidden = [nn.Linear(math.prod(shape), width), *(Block(width) for _ in range(blocks)), nn.ReLU()]
        self.layers = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, 1))

    def forward(self, samples: Tensor) -> Tensor:
        """(N, *shape) to (N,)."""
        return self.layers(samples).squeeze(1)  # (N, 1) to (N,)
