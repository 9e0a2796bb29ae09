"""Adversarial losses on the logits alone: the formulas of both players, per sample.

In the formulas r and f are the critic's logits at real and at fake; −log σ(x) is softplus(−x).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import relu, softplus

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class Minimax:
    """The zero-sum game (arXiv:1406.2661, eq. 1): the generator maximises what the discriminator minimises."""

    def discriminator(self, game: Game) -> Terms:
        """softplus(−r) + softplus(f), which is −log D(real) − log(1 − D(fake)): (N,)."""
        return {"adversarial": softplus(-game.critic(game.real)) + softplus(game.critic(game.fake))}

    def generator(self, game: Game) -> Terms:
        """−softplus(f), which is log(1 − D(fake)): (N,). Flat where the critic is sure: it saturates."""
        return {"adversarial": -softplus(game.critic(game.fake))}


class NonSaturating(Minimax):
    """The first GAN with the generator's other objective (arXiv:1406.2661, §3), steep where its fakes fail."""

    def generator(self, game: Game) -> Terms:
        """softplus(−f), which is −log D(fake): (N,)."""
        return {"adversarial": softplus(-game.critic(game.fake))}


class LeastSquares:
    """Least-squares GAN with 0–1 coding, on raw logits (arXiv:1611.04076, eq. 9)."""

    def discriminator(self, game: Game) -> Terms:
        """½(r − 1)² + ½f²: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": ((real - 1).square() + fake.square()) / 2}

    def generator(self, game: Game) -> Terms:
        """½(f − 1)²: (N,)."""
        return {"adversarial": (game.critic(game.fake) - 1).square() / 2}


class Hinge:
    """Hinge loss (arXiv:1705.02894; arXiv:1802.05957, eq. 16 and 17)."""

    def discriminator(self, game: Game) -> Terms:
        """relu(1 − r) + relu(1 + f): (N,). Samples beyond the margin no longer count."""
        return {"adversarial": relu(1 - game.critic(game.real)) + relu(1 + game.critic(game.fake))}

    def generator(self, game: Game) -> Terms:
        """−f: (N,)."""
        return {"adversarial": -game.critic(game.fake)}


class Relativistic:
    """Relativistic GAN (arXiv:1807.00734, §4; arXiv:2501.05441, §2): each fake is judged against one real sample."""

    def discriminator(self, game: Game) -> Terms:
        """softplus(−(r − f)), real n paired with fake n: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": softplus(fake - real)}

    def generator(self, game: Game) -> Terms:
        """softplus(−(f − r)), real n paired with fake n: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": softplus(real - fake)}
