"""f-GAN: one variational bound for every f-divergence, and the critic's output activation that fits each.

The critic's logit v becomes T = g_f(v), which lies where the conjugate f* is finite; the bound on the divergence of
real from fake is E[T(real)] − E[f*(T(fake))]. Below, g_f and f* ∘ g_f are written out and simplified, so that neither
overflows where the other would have saved it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms

_STEEPEST = 40.0
"""Where an exponential goes on as a straight line. Adam squares gradients, and float32 ends at e^88."""


def _exp(exponent: Tensor) -> Tensor:
    """e^x, beyond 40 continued by its tangent."""
    return torch.exp(exponent.clamp(max=_STEEPEST)) * (1 + relu(exponent - _STEEPEST))


@dataclass(frozen=True)
class Divergence:
    """A row of the paper's table of output activations: g_f, and the conjugate f* of what it gives."""

    activation: Callable[[Tensor], Tensor]
    conjugate_of_activation: Callable[[Tensor], Tensor]


DIVERGENCES: Mapping[str, Divergence] = {
    # f(u) = u·log u; g = v; f*(t) = e^(t − 1)
    "kl": Divergence(lambda v: v, lambda v: _exp(v - 1)),
    # f(u) = −log u; g = −e^(−v); f*(t) = −1 − log(−t)
    "reverse-kl": Divergence(lambda v: -_exp(-v), lambda v: v - 1),
    # f(u) = (u − 1)²; g = v; f*(t) = ¼t² + t
    "pearson": Divergence(lambda v: v, lambda v: v.square() / 4 + v),
    # f(u) = (√u − 1)²; g = 1 − e^(−v); f*(t) = t/(1 − t)
    "squared-hellinger": Divergence(lambda v: 1 - _exp(-v), lambda v: _exp(v) - 1),
    # f(u) = u·log u − (u + 1)·log((1 + u)/2); g = log 2 − log(1 + e^(−v)); f*(t) = −log(2 − e^t)
    "jensen-shannon": Divergence(lambda v: math.log(2) - softplus(-v), lambda v: softplus(v) - math.log(2)),
    # f(u) = ½|u − 1|; g = ½·tanh v; f*(t) = t
    "total-variation": Divergence(lambda v: torch.tanh(v) / 2, lambda v: torch.tanh(v) / 2),
}


class FGAN:
    """Any of six f-divergences of real from fake, by its variational lower bound.

    Formula: D minimises −g_f(r) + f*(g_f(f)); G minimises −f*(g_f(f)), or with `alternative` −g_f(f).
    Shapes: logits r and f (N,), the term (N,).
    Paper: arXiv:1606.00709, eq. 4 and 7; g_f and f* of its table of output activations; the alternative of §3.2.
    Recipe: Adam 2e-4 with betas 0.5 and 0.999, as for DCGAN.
    Traps: the order is D_f(real ‖ fake), so `kl` covers modes and `reverse-kl` drops them. `jensen-shannon` as the
        paper's f has it is twice the usual JSD, and `squared-hellinger` is ∫(√p − √q)² without a ½. f*(g_f(f)) is
        simplified before it is computed: t/(1 − t) of t = 1 − e^(−v) is 0/0 soon, and is e^v − 1. Where an exponential
        remains, it goes on as its tangent beyond v = 40, so that a wild critic does not end a run.
    Parameters: `divergence` is the one that is estimated; `generator` is what the generator does with it: `saturating`
        is the paper's objective, `alternative` raises T at fakes, as nonsaturating does.
    """

    def __init__(
        self,
        divergence: Literal[
            "kl", "reverse-kl", "pearson", "squared-hellinger", "jensen-shannon", "total-variation"
        ] = "jensen-shannon",
        generator: Literal["saturating", "alternative"] = "saturating",
    ) -> None:
        self._divergence = DIVERGENCES[divergence]
        self._alternative = generator == "alternative"

    def discriminator(self, game: Game) -> Terms:
        """−g_f(r) + f*(g_f(f)), whose mean is at least −D_f(real ‖ fake): (N,)."""
        real = self._divergence.activation(game.critic(game.real))  # (N,)
        fake = self._divergence.conjugate_of_activation(game.critic(game.fake))  # (N,)
        return {"adversarial": fake - real}

    def generator(self, game: Game) -> Terms:
        """−f*(g_f(f)), or the alternative −g_f(f): (N,)."""
        divergence, fake = self._divergence, game.critic(game.fake)
        chosen = divergence.activation if self._alternative else divergence.conjugate_of_activation
        return {"adversarial": -chosen(fake)}
