"""Registers the fully connected generator and discriminator, for points and for images."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer the mlp generator."""
    yield Component(
        "mlp",
        "ganbench_mlp.networks:MLPGenerator",
        summary="Fully connected layers with ReLU, for any data",
        paper="arXiv:1406.2661",
        needs={"data": ("points", "images")},
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the mlp discriminator."""
    yield Component(
        "mlp",
        "ganbench_mlp.networks:MLPDiscriminator",
        summary="Fully connected layers with LeakyReLU, for any data; does not mix the batch",
        paper="arXiv:1406.2661",
        needs={"data": ("points", "images")},
        gives={"logits": "scalar", "mixes_batch": False},
    )
