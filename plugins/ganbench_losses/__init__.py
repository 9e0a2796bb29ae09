"""Registers the adversarial losses, each with the optimiser settings that make it work as published."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component, Optimiser, Recipe

GANBENCH_API = 1


@hookimpl
def ganbench_losses() -> Iterable[Component]:
    """Offer the losses of every family."""
    yield from _first_gan()
    yield from _margins()
    yield from _wasserstein()
    yield from _relativistic()
    yield from _divergences()
    yield from _energies()
    yield from _informed()


def _first_gan() -> Iterable[Component]:
    yield Component(
        "minimax",
        "ganbench_losses.logistic:Minimax",
        summary="The zero-sum game of the first GAN; its generator's gradient vanishes where the critic is sure",
        paper="arXiv:1406.2661",
        needs={"logits": "scalar"},
        recipe=_dcgan(),
    )
    yield Component(
        "nonsaturating",
        "ganbench_losses.logistic:NonSaturating",
        summary="The first GAN with the generator's objective that does not saturate",
        paper="arXiv:1406.2661",
        needs={"logits": "scalar"},
        recipe=_dcgan(),
    )
    yield Component(
        "dragan",
        "ganbench_losses.dragan:Dragan",
        summary="Nonsaturating, with a critic whose gradient is pulled to length 1 around real samples",
        paper="arXiv:1705.07215",
        needs={"logits": "scalar", "independent": True},
        gives={"mixes_batch": True},  # through the deviation of the real batch, which scales the noise
        recipe=_dcgan(),
    )


def _margins() -> Iterable[Component]:
    yield Component(
        "lsgan",
        "ganbench_losses.least_squares:LeastSquares",
        summary="Least squares on raw logits, with targets 1 for real and 0 for fake",
        paper="arXiv:1611.04076",
        needs={"logits": "scalar"},
        recipe=_dcgan(),
    )
    yield Component(
        "hinge",
        "ganbench_losses.hinge:Hinge",
        summary="Hinge loss with margin 1",
        paper="arXiv:1705.02894",
        needs={"logits": "scalar"},
        recipe=_both(Optimiser("adam", 2e-4, (0.0, 0.9))),  # arXiv:1802.05957, with one critic step
    )


def _wasserstein() -> Iterable[Component]:
    # The paper states no smoothing constant; its authors' code leaves PyTorch's, 0.99.
    rmsprop = Optimiser("rmsprop", 5e-5, (0.0, 0.99))
    penalised = _both(Optimiser("adam", 1e-4, (0.0, 0.9)), discriminator_steps=5)  # arXiv:1704.00028, algorithm 1
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
        recipe=penalised,
    )
    yield Component(
        "wgan-lp",
        "ganbench_losses.wasserstein:WassersteinLP",
        summary="Wasserstein distance by a critic that pays only where it is steeper than 1",
        paper="arXiv:1709.08894",
        needs={"logits": "scalar", "independent": True},
        recipe=penalised,
    )


def _relativistic() -> Iterable[Component]:
    r3gan = _both(Optimiser("adam", 2e-4, (0.0, 0.99)))  # betas of arXiv:2501.05441 at the end of its schedule
    yield Component(
        "relativistic",
        "ganbench_losses.relativistic:Relativistic",
        summary="Relativistic pairing: how much more real than its fake partner a real sample looks",
        paper="arXiv:1807.00734",
        needs={"logits": "scalar"},
        recipe=r3gan,
    )
    yield Component(
        "relativistic-average",
        "ganbench_losses.relativistic:RelativisticAverage",
        summary="Each sample against the mean logit of the other side",
        paper="arXiv:1807.00734",
        needs={"logits": "scalar"},
        gives={"mixes_batch": True},
        recipe=r3gan,
    )
    yield Component(
        "r3gan",
        "ganbench_losses.relativistic:R3GAN",
        summary="Relativistic pairing with zero-centred gradient penalties at real and at fake",
        paper="arXiv:2501.05441",
        needs={"logits": "scalar", "independent": True},
        recipe=r3gan,
    )


def _divergences() -> Iterable[Component]:
    yield Component(
        "f-gan",
        "ganbench_losses.f_divergence:FGAN",
        summary="Any of six f-divergences by its variational lower bound, from KL to total variation",
        paper="arXiv:1606.00709",
        needs={"logits": "scalar"},
        recipe=_dcgan(),
    )
    yield Component(
        "mmd",
        "ganbench_losses.mmd:MMD",
        summary="Maximum mean discrepancy of the critic's vectors under a mixture of Gaussian kernels",
        paper="arXiv:1705.08584",
        # The penalty is on the witness, whose gradient only autograd knows.
        needs={"logits": "vector", "independent": True, "driver": ("eager",)},
        gives={"mixes_batch": True},
        recipe=_both(Optimiser("adam", 1e-4, (0.5, 0.9)), discriminator_steps=5),  # arXiv:1801.01401
    )
    yield Component(
        "mmd-repulsive",
        "ganbench_losses.mmd:RepulsiveMMD",
        summary="MMD whose critic spreads real samples and draws fakes together, by a bounded kernel",
        paper="arXiv:1812.09916",
        needs={"logits": "vector"},
        gives={"mixes_batch": True},
        recipe=Recipe(Optimiser("adam", 5e-4, (0.5, 0.999)), Optimiser("adam", 2e-4, (0.5, 0.999))),
    )


def _energies() -> Iterable[Component]:
    yield Component(
        "ebgan",
        "ganbench_losses.energy:EBGAN",
        summary="Low energy for real samples, a margin for fakes, and fakes whose codes point apart",
        paper="arXiv:1609.03126",
        needs={"logits": "energy", "heads": ("features",)},
        gives={"mixes_batch": True},
        recipe=_dcgan(),
    )
    yield Component(
        "began",
        "ganbench_losses.energy:BEGAN",
        summary="Energies of fake and real kept in a ratio by a weight that is steered",
        paper="arXiv:1703.10717",
        needs={"logits": "energy"},
        recipe=_both(Optimiser("adam", 1e-4, (0.9, 0.999))),
    )


def _informed() -> Iterable[Component]:
    yield Component(
        "acgan",
        "ganbench_losses.auxiliary:ACGAN",
        summary="Nonsaturating, with a classifier that both players want to be right",
        paper="arXiv:1610.09585",
        needs={"logits": "scalar", "heads": ("classes",), "labels": True},
        recipe=_dcgan(),
    )
    yield Component(
        "infogan",
        "ganbench_losses.information:InfoGAN",
        summary="Nonsaturating, with latent codes that can be read off the samples again",
        paper="arXiv:1606.03657",
        needs={"logits": "scalar", "heads": ("code",), "codes": ("{categories}", "{continuous}")},
        recipe=Recipe(Optimiser("adam", 1e-3, (0.5, 0.999)), Optimiser("adam", 2e-4, (0.5, 0.999))),
    )


def _dcgan() -> Recipe:
    return _both(Optimiser("adam", 2e-4, (0.5, 0.999)))  # arXiv:1511.06434, §4


def _both(optimiser: Optimiser, discriminator_steps: int = 1, clip: float | None = None) -> Recipe:
    return Recipe(optimiser, optimiser, discriminator_steps, clip)
