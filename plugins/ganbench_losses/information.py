"""InfoGAN: latent codes that can be read off the samples again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import log_softmax

from ganbench.penalties import nonnegative
from ganbench_layers.codes import codes_of
from ganbench_losses.logistic import passing_for_real, telling_apart

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.protocols import Game, Terms


class InfoGAN:
    """The nonsaturating GAN with a bound on the information that samples hold on a part of their latents.

    Formula: D minimises −log σ(r) − log(1 − σ(f)) + I; G minimises −log σ(f) + I, where I = −weight · log Q(category |
        fake) − continuous_weight · Σ log Q(code | fake), Q's codes normal with variance 1.
    Shapes: logits r and f (N,), the head code (N, categories + continuous): logits of the category, then means of the
        codes; each of the two terms (N,).
    Paper: arXiv:1606.03657, eq. 5 and 6, and §6. E[log Q] is the bound on the information less the codes' entropy,
        which is constant.
    Recipe: Adam with betas 0.5 and 0.999, 2e-4 for the discriminator and 1e-3 for the generator; both weights 1, as in
        the authors' code for MNIST.
    Traps: Q lives in the discriminator, so the term belongs into both objectives: in the generator's alone, Q would
        never learn. It is taken at fakes, whose codes are known, and never at real samples. The variance is fixed: a
        learnt one lets the likelihood grow without bound.
    Parameters: `categories` and `continuous` are how many categories and continuous codes the latents hold, as for the
        networks; `weight` and `continuous_weight` are λ for each kind. Without codes of a kind its count is 0.
    """

    def __init__(
        self, categories: int = 10, continuous: int = 2, weight: float = 1.0, continuous_weight: float = 1.0
    ) -> None:
        self.categories = int(nonnegative("infogan", "categories", categories))
        self.continuous = int(nonnegative("infogan", "continuous", continuous))
        self.weight = nonnegative("infogan", "weight", weight)
        self.continuous_weight = nonnegative("infogan", "continuous_weight", continuous_weight)

    def discriminator(self, game: Game) -> Terms:
        """softplus(−r) + softplus(f), and the codes' weighted −log Q at fake: each (N,)."""
        real, fake = game.critic(game.real), game.critic.judge(game.fake)
        return {"adversarial": telling_apart(real, fake["logits"]), "information": self._missing(game, fake["code"])}

    def generator(self, game: Game) -> Terms:
        """softplus(−f), and the codes' weighted −log Q at fake: each (N,)."""
        fake = game.critic.judge(game.fake)
        return {"adversarial": passing_for_real(fake["logits"]), "information": self._missing(game, fake["code"])}

    def _missing(self, game: Game, guess: Tensor) -> Tensor:
        """What Q does not know of the codes in the latents, in weighted nats: (N,)."""
        category, codes, _ = codes_of(game.latents, self.categories, self.continuous)  # (N, K), (N, c)
        logits, means = torch.split(guess, [self.categories, self.continuous], dim=1)  # (N, K), (N, c)
        of_category = -(category * log_softmax(logits, dim=1)).sum(dim=1)
        of_codes = ((codes - means).square() / 2 + math.log(2 * math.pi) / 2).sum(dim=1)
        return self.weight * of_category + self.continuous_weight * of_codes
