"""DRAGAN: the first GAN, its critic kept smooth around the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ganbench.penalties import lipschitz_penalty, nonnegative
from ganbench_losses.logistic import NonSaturating

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.protocols import Game, Terms


class Dragan(NonSaturating):
    """The nonsaturating GAN with a critic whose gradient is pulled to length 1 around real samples.

    Formula: D minimises −log σ(r) − log(1 − σ(f)) + weight · (‖∇D(x + δ)‖₂ − 1)², x real, δ ~ N(0, c·I);
        G minimises −log σ(f).
    Shapes: logits r and f (N,), each of the two terms (N,).
    Paper: arXiv:1705.07215, §2.
    Recipe: Adam 2e-4 with betas 0.5 and 0.999, of DCGAN; weight 10 as published. The authors' notebook for MNIST has
        Adam 1e-4 with betas 0.5 and 0.9.
    Traps: noise is around real samples only; fakes play no part in the penalty. Released code adds uniform noise from 0
        to half the data's deviation, which only ever brightens an image, and goes a random part of that way; here it is
        Gaussian as in the paper, √c being `noise` times the deviation of the real batch, and independent in every
        dimension of every sample. ∇D is the logit's gradient, as in the authors' code, not the probability's.
    Parameters: `weight` is λ; `noise` is how far samples are moved, in deviations of the real batch.
    """

    def __init__(self, weight: float = 10.0, noise: float = 0.5) -> None:
        self.weight = nonnegative("dragan", "weight", weight)
        self.noise = nonnegative("dragan", "noise", noise)

    def discriminator(self, game: Game) -> Terms:
        """softplus(−r) + softplus(f), and weight · (‖∇D‖₂ − 1)² around each real sample: each (N,)."""
        around = game.real + self._perturbations(game)  # (N, …)
        penalty = lipschitz_penalty(game.critic, around, self.weight)
        return {**super().discriminator(game), "gradient_penalty": penalty}

    def _perturbations(self, game: Game) -> Tensor:
        real = game.real
        normal = torch.randn(real.shape, generator=game.rng, dtype=real.dtype, device=real.device)
        return self.noise * real.std(correction=0) * normal
