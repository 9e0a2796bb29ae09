"""Least-squares GAN: logits are pulled to targets, and overshooting costs as much as falling short."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class LeastSquares:
    """Least squares on raw logits, with targets 1 for real and 0 for fake.

    Formula: D minimises ½(r − 1)² + ½f²; G minimises ½(f − 1)².
    Shapes: logits r and f (N,), the term (N,).
    Paper: arXiv:1611.04076, eq. 9 (the 0–1 coding).
    Recipe: Adam 2e-4 with betas 0.5 and 0.999, of DCGAN (arXiv:1511.06434, §4).
    Traps: a sigmoid before the squares brings back the flat ends that they are to avoid, and a dropped ½ doubles the
        learning rate; here logits are raw and the halves are there.
    """

    def discriminator(self, game: Game) -> Terms:
        """½(r − 1)² + ½f²: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": ((real - 1).square() + fake.square()) / 2}

    def generator(self, game: Game) -> Terms:
        """½(f − 1)²: (N,)."""
        return {"adversarial": (game.critic(game.fake) - 1).square() / 2}
