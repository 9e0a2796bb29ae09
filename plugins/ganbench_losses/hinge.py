"""Hinge loss: the critic stops caring about samples that it tells apart by a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import relu

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class Hinge:
    """Hinge loss with margin 1, and a generator that raises its logits without end.

    Formula: D minimises max(0, 1 − r) + max(0, 1 + f); G minimises −f.
    Shapes: logits r and f (N,), the term (N,).
    Paper: arXiv:1705.02894; arXiv:1802.05957, eq. 16 and 17.
    Recipe: Adam 2e-4 with betas 0 and 0.9 (arXiv:1802.05957), with one critic step.
    Traps: the hinge is the discriminator's only: a generator with one gets no gradient once its fakes pass. Each
        sample has its own hinge; one over the batch's mean lets good samples excuse bad ones.
    """

    def discriminator(self, game: Game) -> Terms:
        """relu(1 − r) + relu(1 + f): (N,). Samples beyond the margin no longer count."""
        return {"adversarial": relu(1 - game.critic(game.real)) + relu(1 + game.critic(game.fake))}

    def generator(self, game: Game) -> Terms:
        """−f: (N,)."""
        return {"adversarial": -game.critic(game.fake)}
