"""The first GAN's losses: the critic is a classifier with a logistic loss, and the generator has two ways to play it.

In the formulas r and f are the critic's logits at real and at fake; −log σ(x) is softplus(−x).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import softplus

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.protocols import Game, Terms


def telling_apart(real: Tensor, fake: Tensor) -> Tensor:
    """−log σ(r) − log(1 − σ(f)), what a logistic classifier minimises: logits (N,) and (N,) to (N,)."""
    return softplus(-real) + softplus(fake)


def passing_for_real(fake: Tensor) -> Tensor:
    """−log σ(f), what a generator minimises that does not saturate: logits (N,) to (N,)."""
    return softplus(-fake)


class Minimax:
    """The zero-sum game of the first GAN: the generator maximises what the discriminator minimises.

    Formula: D minimises −log σ(r) − log(1 − σ(f)); G minimises log(1 − σ(f)).
    Shapes: logits r and f (N,), the term (N,).
    Paper: arXiv:1406.2661, eq. 1 and algorithm 1. At the best critic, D's mean is log 4 − 2·JSD(real, fake) (theorem
        1).
    Recipe: Adam 2e-4 with betas 0.5 and 0.999, of DCGAN (arXiv:1511.06434, §4).
    Traps: log(sigmoid(x) + ε) bends the gradient where the critic is sure; softplus is exact there. The generator's
        gradient does vanish where the critic is sure: that is this game's own weakness, and is kept.
    """

    def discriminator(self, game: Game) -> Terms:
        """softplus(−r) + softplus(f): (N,)."""
        return {"adversarial": telling_apart(game.critic(game.real), game.critic(game.fake))}

    def generator(self, game: Game) -> Terms:
        """−softplus(f), which is log(1 − σ(f)): (N,)."""
        return {"adversarial": -softplus(game.critic(game.fake))}


class NonSaturating(Minimax):
    """The first GAN with the generator's other objective, steep where its fakes fail.

    Formula: D minimises −log σ(r) − log(1 − σ(f)); G minimises −log σ(f).
    Shapes: logits r and f (N,), the term (N,).
    Paper: arXiv:1406.2661, §3.
    Recipe: Adam 2e-4 with betas 0.5 and 0.999, of DCGAN (arXiv:1511.06434, §4).
    Traps: not the minimax game, though many call it so: the two generators differ in slope by the odds σ(f)/(1 − σ(f)).
    """

    def generator(self, game: Game) -> Terms:
        """softplus(−f): (N,)."""
        return {"adversarial": passing_for_real(game.critic(game.fake))}
