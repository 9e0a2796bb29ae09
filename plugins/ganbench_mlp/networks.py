"""Fully connected players, the plainest there are: for points, and for images seen as long vectors."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from ganbench.errors import ChoiceError

LEAK = 0.2


class MLPGenerator(nn.Module):
    """Latents (N, Z) to points (N, D), or through tanh to images (N, C, H, W) in [−1, 1].

    `depth` hidden layers of `width` units, each followed by BatchNorm if `norm` is "batch", and by ReLU.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        *,
        width: int = 128,
        depth: int = 3,
        norm: Literal["none", "batch"] = "none",
    ) -> None:
        super().__init__()
        _check_size(width, depth)
        layers: list[nn.Module] = []
        for inputs in (latent_dim, *[width] * (depth - 1)):
            layers += [nn.Linear(inputs, width, bias=norm == "none")]
            layers += [nn.BatchNorm1d(width)] if norm == "batch" else []
            layers += [nn.ReLU()]
        layers += [nn.Linear(width, math.prod(shape)), nn.Unflatten(1, shape)]
        layers += [nn.Tanh()] if _is_image(shape) else []
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z) to (N, *shape)."""
        samples: Tensor = self.layers(latents)
        return samples


class MLPDiscriminator(nn.Module):
    """Samples (N, *shape) to logits (N,), by `depth` hidden layers of `width` units with LeakyReLU."""

    def __init__(self, shape: tuple[int, ...], *, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        _check_size(width, depth)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs in (math.prod(shape), *[width] * (depth - 1)):
            layers += [nn.Linear(inputs, width), nn.LeakyReLU(LEAK)]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, samples: Tensor) -> Tensor:
        """(N, *shape) to (N,), high for real."""
        logits: Tensor = self.layers(samples)  # (N, 1)
        return logits.squeeze(1)


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3


def _check_size(width: int, depth: int) -> None:
    if width < 1 or depth < 1:
        raise ChoiceError(f"mlp: width is {width} and depth is {depth}, expected 1 or more for both")
