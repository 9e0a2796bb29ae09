"""What losses and penalties share: penalties on the critic's gradient with respect to its input, and a few formulas.

A sample's row is its own gradient only while the critic does not mix the batch, hence no BatchNorm in such a critic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.errors import ChoiceError

Critic = Callable[[Tensor], Tensor]
"""Samples (N, ...) to logits (N,)."""


def nonnegative(who: str, parameter: str, value: float) -> float:
    """`value`, if it is 0 or more; else a ChoiceError that says whose parameter it is."""
    if not value >= 0:  # NaN too
        raise ChoiceError(f"{who}: {parameter} is {value}, expected 0 or more")
    return value


def at_least_one(who: str, parameter: str, value: int) -> int:
    """`value`, if it is 1 or more; else a ChoiceError that says whose parameter it is."""
    if value < 1:
        raise ChoiceError(f"{who}: {parameter} is {value}, expected 1 or more")
    return value


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, weight: float, rng: torch.Generator) -> Tensor:
    """weight · (‖∇D(x̂)‖₂ − 1)² for each sample, x̂ between real and fake (arXiv:1704.00028, eq. 3).

    `real` and `fake` are (N, ...) of one shape; the result is (N,) and differentiable in the critic's weights.
    """
    return lipschitz_penalty(critic, interpolate(real, fake, rng), weight)


def lipschitz_penalty(critic: Critic, samples: Tensor, weight: float, *, one_sided: bool = False) -> Tensor:
    """weight · (‖∇D(x)‖₂ − 1)² for each sample; one-sided, only what is steeper than 1 pays (arXiv:1709.08894).

    `samples` is (N, ...), wherever the penalty is taken; the result is (N,).
    """
    excess = gradient_norms(critic, samples) - 1
    return weight * (F.relu(excess) if one_sided else excess).square()


def zero_centred_penalty(critic: Critic, samples: Tensor, gamma: float) -> Tensor:
    """(γ/2) · ‖∇D(x)‖₂² for each sample (arXiv:1801.04406, eq. 9 at real samples, eq. 10 at fake ones).

    The half is part of the definition. `samples` is (N, ...), the result (N,).
    """
    return gamma / 2 * squared_gradient_norms(critic, samples)


def pulling_away(features: Tensor) -> Tensor:
    """The mean squared cosine between each sample's features and those of the others (arXiv:1609.03126, §2.4).

    `features` is (N, F), the result (N,); its mean is the pulling-away term, 1/(N(N−1)) · Σᵢ Σⱼ≠ᵢ cos²(sᵢ, sⱼ).
    """
    directions = F.normalize(features, dim=1)  # (N, F)
    squares = (directions @ directions.T).square()  # (N, N)
    others = 1 - torch.eye(len(features), dtype=features.dtype, device=features.device)
    return (squares * others).sum(dim=1) / max(len(features) - 1, 1)


def interpolate(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """ε·real + (1 − ε)·fake, detached, with one ε ~ U[0, 1) a sample (arXiv:1704.00028, algorithm 1, line 6).

    Everything is (N, ...); `rng` lives on the device of the samples.
    """
    one_a_sample = (len(real), *[1] * (real.dim() - 1))
    epsilon = torch.rand(one_a_sample, generator=rng, dtype=real.dtype, device=real.device)  # (N, 1, ...)
    return torch.lerp(fake.detach(), real.detach(), epsilon)  # (N, ...)


def gradient_norms(critic: Critic, samples: Tensor) -> Tensor:
    """The length of the critic's gradient at each sample, over all of its dimensions: (N, ...) to (N,)."""
    # The square root of a sum would have an infinite slope, hence NaN weights, where a gradient is exactly zero.
    norms: Tensor = torch.linalg.vector_norm(_input_gradients(critic, samples), dim=1)
    return norms


def squared_gradient_norms(critic: Critic, samples: Tensor) -> Tensor:
    """The squared length of the critic's gradient at each sample, over all of its dimensions: (N, ...) to (N,)."""
    return _input_gradients(critic, samples).square().sum(dim=1)


def _input_gradients(critic: Critic, samples: Tensor) -> Tensor:
    """Each sample's own gradient, (N, all its dimensions). The critic that a game holds knows a cheaper way to it."""
    slopes = getattr(critic, "slopes", None)
    if slopes is not None:
        return cast(Tensor, slopes(samples)).flatten(start_dim=1)
    inputs = samples.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(inputs).sum(), inputs, create_graph=True)
    return gradients.flatten(start_dim=1)
