"""AC-GAN: a discriminator that also tells classes apart, and a generator that must make them recognisable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import cross_entropy

from ganbench.penalties import nonnegative
from ganbench_losses.logistic import passing_for_real, telling_apart

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.protocols import Game, Terms


class ACGAN:
    """The nonsaturating GAN with an auxiliary classifier, which both players want to be right.

    Formula: D minimises −log σ(r) − log(1 − σ(f)) + weight · (CE(real) + CE(fake)); G minimises −log σ(f) +
        weight · CE(fake), where CE is −log P(class = label | sample) by the discriminator's head.
    Shapes: logits r and f (N,), the head classes (N, K), labels (N,) int64; each of the two terms (N,).
    Paper: arXiv:1610.09585, eq. 2 and 3. D maximises L_S + L_C as written there; G maximises L_C − L_S, of which L_S is
        replaced by the objective that does not saturate.
    Recipe: Adam 2e-4 with betas 0.5 and 0.999.
    Traps: D learns classes from fakes too, as published; on real ones alone it is another method. CE is for each
        sample, of logits: a softmax before it would be a second one. G's classes are on the fakes only: on real samples
        they would have no gradient for it.
    Parameters: `weight` is that of the classes, 1 as published.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = nonnegative("acgan", "weight", weight)

    def discriminator(self, game: Game) -> Terms:
        """softplus(−r) + softplus(f), and the weighted cross-entropies on real and on fake: each (N,)."""
        real, fake = game.critic.judge(game.real), game.critic.judge(game.fake)
        classes = _surprise(real["classes"], game.labels) + _surprise(fake["classes"], game.labels)
        return {"adversarial": telling_apart(real["logits"], fake["logits"]), "classes": self.weight * classes}

    def generator(self, game: Game) -> Terms:
        """softplus(−f), and the weighted cross-entropy on fake: each (N,)."""
        fake = game.critic.judge(game.fake)
        classes = _surprise(fake["classes"], game.labels)
        return {"adversarial": passing_for_real(fake["logits"]), "classes": self.weight * classes}


def _surprise(logits: Tensor, labels: Tensor | None) -> Tensor:
    """−log P(label) of class logits (N, K) and labels (N,): (N,)."""
    assert labels is not None, "the contract asks for labels"
    return cross_entropy(logits, labels, reduction="none")
