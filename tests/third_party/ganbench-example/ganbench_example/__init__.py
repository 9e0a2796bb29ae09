"""Registers a residual generator, a residual discriminator and the squared hinge loss. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component, Optimiser, Recipe

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer the residual generator."""
    yield Component(
        "residual",
        "ganbench_example.networks:ResidualGenerator",
        summary="Fully connected residual blocks, for any data",
        paper="arXiv:1512.03385",
        needs={"data": ("points", "images")},
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the residual discriminator."""
    yield Component(
        "residual",
        "ganbench_example.networks:ResidualDiscriminator",
        summary="Fully connected residual blocks, for any data; does not mix the batch",
        paper="arXiv:1512.03385",
        needs={"data": ("points", "images")},
        gives={"logits": "scalar", "mixes_batch": False},
    )


@hookimpl
def ganbench_losses() -> Iterable[Component]:
    """Offer the squared hinge loss."""
    adam = Optimiser("adam", 2e-4, (0.0, 0.9))
    yield Component(
        "squared-hinge",
        "ganbench_example.losses:SquaredHinge",
        summary="Hinge loss, squared: smooth at the margin",
        needs={"logits": "scalar"},
        recipe=Recipe(generator=adam, discriminator=adam),
    )
