"""Consistency regularisation: the critic says the same of a sample and of a slightly changed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ganbench.penalties import nonnegative
from ganbench_layers.pixels import mirrored, shifted, uniform, whole_number

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.protocols import Game, Terms

REACH = 1 / 8
"""How far an image is shifted at most, as a share of its size: 4 pixels of 32."""


class Consistency:
    """Consistency of the critic under small changes of an image; with `fake`, balanced consistency.

    Formula: real · (D(x) − D(T(x)))² + fake · (D(G(z)) − D(T(G(z))))²; T mirrors with probability ½ and shifts by up to
    an eighth of the size, whole pixels each way, the border reflected.
    Shapes: images (N, C, H, W); the term is (N,), T drawn for each sample of each side.
    Paper: arXiv:1910.12027, §2, real alone (CR); arXiv:2002.04724, algorithm 1, both (bCR).
    Recipe: CR is the default, with a weight of 10; bCR is consistency(real=10, fake=10); with latent-consistency added
    it is ICR.
    Traps: the squares are of logits before any activation. The generator does not minimise this term. T is of the
    penalty alone: the loss itself sees images as they are.
    Parameters: `real` is the weight at real images; `fake` is the weight at fakes.
    """

    def __init__(self, real: float = 10.0, fake: float = 0.0) -> None:
        self.real = nonnegative("consistency", "real", real)
        self.fake = nonnegative("consistency", "fake", fake)

    def discriminator(self, game: Game) -> Terms:
        """real · (D(x) − D(T(x)))² + fake · (D(G(z)) − D(T(G(z))))²: (N,)."""
        term = self.real * _change(game, game.real)
        return {"consistency": term + self.fake * _change(game, game.fake) if self.fake else term}


class LatentConsistency:
    """Latent consistency (zCR): latents that differ a little are to look different, and be judged alike.

    Formula: discriminator · (D(G(z)) − D(G(z + δ)))², and for the generator −generator · mean (G(z) − G(z + δ))²,
    δ ~ N(0, radius²).
    Shapes: latents (N, Z); each term is (N,), δ drawn for each number of each latent.
    Paper: arXiv:2002.04724, algorithm 2.
    Recipe: radius 0.05, generator 0.5, discriminator 20.
    Traps: the generator's term is negative: it moves the two samples apart, which keeps it from answering the first
    term by ignoring z. The squared distance is a mean over a sample's dimensions, which the usual weights are meant
    for; a sum would outweigh any loss. Nothing of the discriminator's term reaches the generator.
    Parameters: `radius` is the standard deviation of δ; `generator` is λ_gen; `discriminator` is λ_dis.
    """

    def __init__(self, radius: float = 0.05, generator: float = 0.5, discriminator: float = 20.0) -> None:
        self.radius = nonnegative("latent-consistency", "radius", radius)
        self.generator_weight = nonnegative("latent-consistency", "generator", generator)
        self.discriminator_weight = nonnegative("latent-consistency", "discriminator", discriminator)

    def discriminator(self, game: Game) -> Terms:
        """discriminator · (D(G(z)) − D(G(z + δ)))²: (N,)."""
        with torch.no_grad():
            near = self._near(game)
        change = game.critic(game.fake) - game.critic(near.detach())  # (N,)
        return {"latent_consistency": self.discriminator_weight * change.square()}

    def generator(self, game: Game) -> Terms:
        """−generator · mean (G(z) − G(z + δ))²: (N,)."""
        distance = (game.fake - self._near(game)).square().flatten(start_dim=1).mean(dim=1)  # (N,)
        return {"latent_consistency": -self.generator_weight * distance}

    def _near(self, game: Game) -> Tensor:
        """G(z + δ), packed as the fakes are."""
        latents = game.latents  # (N, Z)
        delta = torch.randn(latents.shape, generator=game.rng, dtype=latents.dtype, device=latents.device)
        return game.generator(latents + self.radius * delta)


def _change(game: Game, images: Tensor) -> Tensor:
    """(D(x) − D(T(x)))²: (N,)."""
    return (game.critic(images) - game.critic(_changed(images, game.rng))).square()


def _changed(images: Tensor, rng: torch.Generator) -> Tensor:
    """T(x): (N, C, H, W)."""
    down, right = (max(1, int(size * REACH)) for size in images.shape[2:])
    images = mirrored(images, uniform(images, rng) < 0.5)
    rows, columns = whole_number(images, rng, -down, down), whole_number(images, rng, -right, right)
    return shifted(images, rows, columns, reflect=True)
