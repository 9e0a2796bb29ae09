"""Wasserstein losses: the critic estimates a distance, and must be kept from growing steep without bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganbench.penalties import gradient_penalty, interpolate, lipschitz_penalty, nonnegative

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class Wasserstein:
    """Wasserstein distance by a critic whose weights are clipped.

    Formula: D minimises f − r, its weights clipped to [−0.01, 0.01] after each step; G minimises −f.
    Shapes: logits r and f (N,), the term (N,).
    Paper: arXiv:1701.07875, eq. 2 and algorithm 1.
    Recipe: RMSprop 5e-5, 5 critic steps and clipping, all of algorithm 1. The smoothing constant 0.99 is PyTorch's, as
        in the authors' code.
    Traps: the critic has no sigmoid, and its value is no probability. With momentum, hence with Adam, its authors saw
        training become unstable. Clipping belongs to the recipe: without it this loss has no minimum.
    """

    def discriminator(self, game: Game) -> Terms:
        """f − r: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": fake - real}

    def generator(self, game: Game) -> Terms:
        """−f: (N,)."""
        return {"adversarial": -game.critic(game.fake)}


class WassersteinGP(Wasserstein):
    """Wasserstein distance by a critic whose gradient is pulled to length 1.

    Formula: D minimises f − r + weight · (‖∇D(x̂)‖₂ − 1)², x̂ = ε·real + (1 − ε)·fake, ε ~ U[0, 1]; G minimises −f.
    Shapes: logits r and f (N,), each of the two terms (N,).
    Paper: arXiv:1704.00028, eq. 3 and algorithm 1.
    Recipe: Adam 1e-4 with betas 0 and 0.9, 5 critic steps, weight 10 (algorithm 1).
    Traps: one ε for a whole batch, one norm over it, or a norm over the channels only; here ε and the norm are each
        sample's own, the norm over all of its dimensions. With BatchNorm in the critic a row is not a sample's own
        gradient, so such a critic is refused.
    Parameters: `weight` is λ, the penalty's weight.
    """

    def __init__(self, weight: float = 10.0) -> None:
        self.weight = nonnegative("wgan-gp", "weight", weight)

    def discriminator(self, game: Game) -> Terms:
        """f − r, and weight · (‖∇D(x̂)‖₂ − 1)² between real and fake: each (N,)."""
        penalty = gradient_penalty(game.critic, game.real, game.fake, self.weight, game.rng)
        return {**super().discriminator(game), "gradient_penalty": penalty}


class WassersteinLP(Wasserstein):
    """Wasserstein distance by a critic that pays where it is steeper than 1, and nowhere else.

    Formula: D minimises f − r + weight · max(0, ‖∇D(x̂)‖₂ − 1)², x̂ as in wgan-gp; G minimises −f.
    Shapes: logits r and f (N,), each of the two terms (N,).
    Paper: arXiv:1709.08894.
    Recipe: as wgan-gp: Adam 1e-4 with betas 0 and 0.9, 5 critic steps, weight 10.
    Traps: the maximum is taken before the square: after it nothing would be cut off, and this were wgan-gp. Those of
        wgan-gp hold here too.
    Parameters: `weight` is λ, the penalty's weight.
    """

    def __init__(self, weight: float = 10.0) -> None:
        self.weight = nonnegative("wgan-lp", "weight", weight)

    def discriminator(self, game: Game) -> Terms:
        """f − r, and weight · max(0, ‖∇D(x̂)‖₂ − 1)² between real and fake: each (N,)."""
        between = interpolate(game.real, game.fake, game.rng)  # (N, …)
        penalty = lipschitz_penalty(game.critic, between, self.weight, one_sided=True)
        return {**super().discriminator(game), "gradient_penalty": penalty}
