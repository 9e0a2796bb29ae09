"""The squared hinge loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn.functional import relu

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


@dataclass(frozen=True)
class SquaredHinge:
    """relu(margin − r)² + relu(margin + f)² for the discriminator, −f for the generator."""

    margin: float = 1.0

    def discriminator(self, game: Game) -> Terms:
        """What the discriminator minimises, per sample: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": relu(self.margin - real).square() + relu(self.margin + fake).square()}

    def generator(self, game: Game) -> Terms:
        """What the generator minimises, per sample: (N,)."""
        return {"adversarial": -game.critic(game.fake)}
