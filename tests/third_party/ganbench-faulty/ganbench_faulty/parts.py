"""Components that break their contract in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class WrongShape(nn.Module):
    """Latents (N, Z) to samples (N, D + 1), where (N, *shape) with D elements was asked for."""

    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = nn.Linear(latent_dim, math.prod(shape) + 1)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z) to (N, D + 1)."""
        return self.layer(latents)


class Raising:
    """A loss that raises ValueError."""

    def discriminator(self, game: Game) -> Terms:
        """Nothing: it raises."""
        raise ValueError(f"no discriminator's loss for a batch of {len(game.real)}")

    def generator(self, game: Game) -> Terms:
        """−f: (N,)."""
        return {"adversarial": -game.critic(game.fake)}


class Scalar:
    """A Wasserstein loss that returns means, of shape (), in the place of per-sample terms."""

    def discriminator(self, game: Game) -> Terms:
        """mean(f) − mean(r): ()."""
        return {"adversarial": game.critic(game.fake).mean() - game.critic(game.real).mean()}

    def generator(self, game: Game) -> Terms:
        """−mean(f): ()."""
        return {"adversarial": -game.critic(game.fake).mean()}
