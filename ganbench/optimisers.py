"""What moves the weights: torch's optimisers, learning-rate schedules, clipping, and one descent over all seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor

from ganbench.errors import PluginError
from ganbench.terms import Optimiser


def make_optimiser(settings: Optimiser, weights: Iterable[Tensor], *, captured: bool = False) -> torch.optim.Optimizer:
    """torch's optimiser for one player, fused where torch has it; `captured` for steps that become a CUDA graph.

    A captured step reads its learning rate from the device, so that it can change between replays.
    """
    parameters = [weight for weight in weights if weight.requires_grad]
    rate = settings.learning_rate if not captured else torch.tensor(settings.learning_rate, device=parameters[0].device)
    first, second = map(float, settings.betas)  # torch takes no mixture of integers and floats
    if settings.name == "adam":
        return torch.optim.Adam(
            parameters, lr=rate, betas=(first, second), eps=settings.epsilon, fused=True, capturable=captured
        )
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, alpha=second, eps=settings.epsilon, capturable=captured)
    return torch.optim.SGD(parameters, lr=rate, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """From now on, `rate`: a number, or written into the tensor on the device that a captured step reads."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def rate_factor(schedule: str, progress: float) -> float:
    """What the recipe's learning rates are multiplied by when `progress` (0 to 1) of the budget is spent."""
    remaining = 1 - min(max(progress, 0.0), 1.0)
    if schedule == "linear":
        return remaining
    return (1 - math.cos(math.pi * remaining)) / 2 if schedule == "cosine" else 1.0


def gradients_of(
    optimiser: torch.optim.Optimizer, terms: dict[str, Tensor], player: str, label: str = "the loss"
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Each term's mean, and the gradients of the optimiser's parameters alone, left where the optimiser finds them.

    Each term is (N,), or (seeds, N): the mean goes over the batch and the sum over terms and seeds, so that each seed's
    slice is its own gradient. A parameter that no term reaches has none; if there is no other, raises a PluginError
    that names the loss by its `label` and the `player` that was to move.
    """
    if not any(term.requires_grad for term in terms.values()):
        raise PluginError(f"{label}: none of the {player}'s terms depends on its weights ({', '.join(terms)})")
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    means = {name: term.mean(-1) for name, term in terms.items()}
    total = torch.stack([*means.values()]) if len(means) > 1 else next(iter(means.values()))
    for parameter in parameters:
        parameter.grad = None
    total = total.sum() if total.ndim else total
    torch.autograd.backward(total, inputs=parameters)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        raise PluginError(f"{label}: its terms ({', '.join(terms)}) reach no weight of the player that is to move")
    return means, gradients


def norms(gradients: list[Tensor], *, by_seed: bool) -> Tensor:
    """The Euclidean norm of the whole gradient: a scalar, or (seeds,) where the first axis is that of the seeds."""
    if not by_seed:
        parts = torch.stack(torch._foreach_norm(gradients))  # noqa: SLF001 - as torch's own clipping does
        return cast(Tensor, torch.linalg.vector_norm(parts))
    rows = torch.cat([gradient.reshape(len(gradient), -1) for gradient in gradients], dim=1)  # (seeds, all weights)
    return cast(Tensor, torch.linalg.vector_norm(rows, dim=1))


@torch.no_grad()
def clip_weights(weights: Iterable[Tensor], bound: float) -> None:
    """Bring every weight into [-bound, bound] (Wasserstein GAN, arXiv:1701.07875, algorithm 1)."""
    parameters = list(weights)
    torch._foreach_clamp_min_(parameters, -bound)
    torch._foreach_clamp_max_(parameters, bound)
