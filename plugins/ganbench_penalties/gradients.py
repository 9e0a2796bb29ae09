"""Penalties on the critic's gradient, added to any loss: each is one term, per sample and already weighted.

The default γ of R1 and R2 is that of their authors' released code; R3GAN (arXiv:2501.05441) takes 0.05 and less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganbench.errors import ChoiceError
from ganbench.penalties import gradient_penalty, zero_centred_penalty

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class R1:
    """(γ/2)·‖∇D(real)‖₂² (arXiv:1801.04406, eq. 9)."""

    def __init__(self, gamma: float = 10.0) -> None:
        self.gamma = _weight("r1", "gamma", gamma)

    def discriminator(self, game: Game) -> Terms:
        """(γ/2)·‖∇D‖₂² at each real sample: (N,)."""
        return {"r1": zero_centred_penalty(game.critic, game.real, self.gamma)}


class R2:
    """(γ/2)·‖∇D(fake)‖₂² (arXiv:1801.04406, eq. 10)."""

    def __init__(self, gamma: float = 10.0) -> None:
        self.gamma = _weight("r2", "gamma", gamma)

    def discriminator(self, game: Game) -> Terms:
        """(γ/2)·‖∇D‖₂² at each fake sample: (N,)."""
        return {"r2": zero_centred_penalty(game.critic, game.fake, self.gamma)}


class GradientPenalty:
    """weight · (‖∇D(x̂)‖₂ − 1)², x̂ between real and fake (arXiv:1704.00028, eq. 3, and §4 for the weight of 10)."""

    def __init__(self, weight: float = 10.0) -> None:
        self.weight = _weight("gp", "weight", weight)

    def discriminator(self, game: Game) -> Terms:
        """weight · (‖∇D‖₂ − 1)² between each real sample and its fake partner: (N,)."""
        return {"gp": gradient_penalty(game.critic, game.real, game.fake, self.weight, game.rng)}


def _weight(penalty: str, parameter: str, value: float) -> float:
    if not value >= 0:  # NaN too
        raise ChoiceError(f"{penalty}: {parameter} is {value}, expected 0 or more")
    return value
