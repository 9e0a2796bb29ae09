"""Wasserstein losses: the critic estimates a distance, and must be kept from growing steep without bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganbench.errors import ChoiceError
from ganbench.penalties import gradient_penalty

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class Wasserstein:
    """Wasserstein GAN (arXiv:1701.07875, eq. 2 and algorithm 1); its recipe clips the critic's weights."""

    def discriminator(self, game: Game) -> Terms:
        """f − r: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": fake - real}

    def generator(self, game: Game) -> Terms:
        """−f: (N,)."""
        return {"adversarial": -game.critic(game.fake)}


class WassersteinGP(Wasserstein):
    """Wasserstein GAN with gradient penalty (arXiv:1704.00028, eq. 3)."""

    def __init__(self, weight: float = 10.0) -> None:
        if not weight >= 0:  # NaN too
            raise ChoiceError(f"wgan-gp: weight is {weight}, expected 0 or more")
        self.weight = weight

    def discriminator(self, game: Game) -> Terms:
        """f − r, and weight · (‖∇D(x̂)‖₂ − 1)² between real and fake: each (N,)."""
        penalty = gradient_penalty(game.critic, game.real, game.fake, self.weight, game.rng)
        return {**super().discriminator(game), "gradient_penalty": penalty}
