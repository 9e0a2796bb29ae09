"""Registers the adversarial losses, each with the optimiser settings that make it work as published."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component, Optimiser, Recipe

GANBENCH_API = 1


@hookimpl
def ganbench_losses() -> Iterable[Component]:
    """Offer minimax, nonsaturating, lsgan, hinge, wgan, wgan-gp and relativistic."""
    dcgan = _both(Optimiser("adam", 2e-4, (0.5, 0.999)))  # arXiv:1511.06434, §4
    yield Component(
        "minimax",
        "ganbench_losses.adversarial:Minimax",
        summary="The zero-sum game of the first GAN; its generator's gradient vanishes where the critic is sure",
        paper="arXiv:1406.2661",
        needs={"logits": "scalar"},
        recipe=dcgan,
    )
    yield Component(
        "nonsaturating",
        "ganbench_losses.adversarial:NonSaturating",
        summary="The first GAN with the generator's objective that does not saturate",
        paper="arXiv:1406.2661",
        needs={"logits": "scalar"},
        recipe=dcgan,
    )
    yield Component(
        "lsgan",
        "ganbench_losses.adversarial:LeastSquares",
        summary="Least squares on raw logits, with targets 1 for real and 0 for fake",
        paper="arXiv:1611.04076",
        needs={"logits": "scalar"},
        recipe=dcgan,
    )
    yield Component(
        "hinge",
        "ganbench_losses.adversarial:Hinge",
        summary="Hinge loss with margin 1",
        paper="arXiv:1705.02894",
        needs={"logits": "scalar"},
        recipe=_both(Optimiser("adam", 2e-4, (0.0, 0.9))),  # arXiv:1802.05957, with one critic step
    )
    yield from _wasserstein()
    yield Component(
        "relativistic",
        "ganbench_losses.adversarial:Relativistic",
        summary="Relativistic pairing: how much more real than its fake partner a real sample looks",
        paper="arXiv:1807.00734",
        needs={"logits": "scalar"},
        recipe=_both(Optimiser("adam", 2e-4, (0.0, 0.99))),  # betas of arXiv:2501.05441 at the end of its schedule
    )


def _wasserstein() -> Iterable[Component]:
    # The paper states no smoothing constant; its authors' code leaves PyTorch's, 0.99.
    rmsprop = Optimiser("rmsprop", 5e-5, (0.0, 0.99))
    yield Component(
        "wgan",
        "ganbench_losses.wasserstein:Wasserstein",
        summary="Wasserstein distance by a critic whose weights are clipped",
        paper="arXiv:1701.07875",
        needs={"logits": "scalar"},
        recipe=_both(rmsprop, discriminator_steps=5, clip=0.01),  # algorithm 1
    )
    yield Component(
        "wgan-gp",
        "ganbench_losses.wasserstein:WassersteinGP",
        summary="Wasserstein distance by a critic whose gradient is pulled to length 1",
        paper="arXiv:1704.00028",
        needs={"logits": "scalar", "independent": True},
        recipe=_both(Optimiser("adam", 1e-4, (0.0, 0.9)), discriminator_steps=5),  # algorithm 1
    )


def _both(optimiser: Optimiser, discriminator_steps: int = 1, clip: float | None = None) -> Recipe:
    return Recipe(optimiser, optimiser, discriminator_steps, clip)
