"""Penalties on the critic's gradient, added to any loss: each is one term, per sample and already weighted.

The default γ of R1 and R2 is that of their authors' released code; R3GAN (arXiv:2501.05441) takes 0.05 and less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganbench.penalties import at_least_one, gradient_penalty, nonnegative, zero_centred_penalty

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.protocols import Game, Terms


class R1:
    """Zero-centred gradient penalty at real samples: the critic is to be flat where the data are.

    Formula: every · (γ/2) · ‖∇D(real)‖₂² on each `every`-th step, from the first on, and 0 on the others.
    Shapes: real (N, ...); the term is (N,), each sample's norm over all of its dimensions.
    Paper: arXiv:1801.04406, eq. 9; lazily evaluated as in arXiv:1912.04958, §3.1.
    Recipe: γ 10 of the authors' code; 0.05 to 0.005 in R3GAN (arXiv:2501.05441); StyleGAN2 takes `every` 16.
    Traps: the half is part of the definition, and some code leaves it out, so that its γ means twice as much. A lazy
    penalty that is not multiplied by its interval is weaker by that factor. The gradient is taken at the sample before
    any augmentation. Published with the interval k are an update of its own for the penalty, and Adam's rate times
    k/(k + 1) with betas to that power; here it is added to the loss, and Adam stays as it is.
    Parameters: `gamma` is γ; `every` is the number of discriminator steps from one evaluation to the next.
    """

    def __init__(self, gamma: float = 10.0, every: int = 1) -> None:
        self.gamma = nonnegative("r1", "gamma", gamma)
        self.every = at_least_one("r1", "every", every)

    def discriminator(self, game: Game) -> Terms:
        """every · (γ/2) · ‖∇D‖₂² at each real sample: (N,)."""
        return {"r1": _lazily(game, game.real, self.gamma, self.every)}


class R2:
    """Zero-centred gradient penalty at fake samples: the critic is to be flat where the generator is.

    Formula: every · (γ/2) · ‖∇D(fake)‖₂² on each `every`-th step, from the first on, and 0 on the others.
    Shapes: fake (N, ...); the term is (N,), each sample's norm over all of its dimensions.
    Paper: arXiv:1801.04406, eq. 10; lazily evaluated as in arXiv:1912.04958, §3.1.
    Recipe: γ as for R1; R3GAN (arXiv:2501.05441, §2) takes both with one γ, at every step.
    Traps: the half is part of the definition. A lazy penalty is multiplied by its interval. Nothing of the penalty
    reaches the generator.
    Parameters: `gamma` is γ; `every` is the number of discriminator steps from one evaluation to the next.
    """

    def __init__(self, gamma: float = 10.0, every: int = 1) -> None:
        self.gamma = nonnegative("r2", "gamma", gamma)
        self.every = at_least_one("r2", "every", every)

    def discriminator(self, game: Game) -> Terms:
        """every · (γ/2) · ‖∇D‖₂² at each fake sample: (N,)."""
        return {"r2": _lazily(game, game.fake, self.gamma, self.every)}


class GradientPenalty:
    """One-centred gradient penalty between real and fake samples, to be added to any loss.

    Formula: weight · (‖∇D(x̂)‖₂ − 1)², x̂ = ε·real + (1 − ε)·fake, ε ~ U[0, 1).
    Shapes: real and fake (N, ...); the term is (N,), each sample's norm over all of its dimensions.
    Paper: arXiv:1704.00028, eq. 3.
    Recipe: a weight of 10 (§4), and no BatchNorm in the critic, whose gradients would not be those of one sample.
    Traps: known code draws one ε for the whole batch, takes one norm over the whole batch, or a norm over the channels
    only. Here ε and the norm are each sample's own.
    Parameters: `weight` is λ.
    """

    def __init__(self, weight: float = 10.0) -> None:
        self.weight = nonnegative("gp", "weight", weight)

    def discriminator(self, game: Game) -> Terms:
        """weight · (‖∇D‖₂ − 1)² between each real sample and its fake partner: (N,)."""
        return {"gp": gradient_penalty(game.critic, game.real, game.fake, self.weight, game.rng)}


def _lazily(game: Game, samples: Tensor, gamma: float, every: int) -> Tensor:
    """The zero-centred penalty where a step is due, as strong over `every` steps as if each had paid: (N,)."""
    # A step that is always due does not ask for its number, so that it can be recorded once and replayed.
    if every > 1 and (game.step - 1) % every:
        return samples.new_zeros(len(samples))
    return zero_centred_penalty(game.critic, samples, every * gamma)
