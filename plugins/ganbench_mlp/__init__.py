"""Registers fully connected players for points and for images: mlp, and PacGAN's maxout critic."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component
from ganbench_layers.contracts import CODES, CONDITIONAL, HEADS, VERDICT, labelled

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer the mlp generator."""
    yield Component(
        "mlp",
        "ganbench_mlp.networks:MLPGenerator",
        summary="Fully connected layers with ReLU, for any data",
        paper="arXiv:1406.2661",
        needs={"data": ("points", "images"), **CONDITIONAL},
        gives=CODES,
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the mlp discriminator and the maxout critic."""
    yield Component(
        "mlp",
        "ganbench_mlp.networks:MLPDiscriminator",
        summary="Fully connected layers with LeakyReLU, for any data; mixes the batch only if minibatch is set",
        paper="arXiv:1406.2661",
        needs={"data": ("points", "images"), **labelled("concat", "projection")},
        gives={
            **VERDICT,
            **CODES,
            "heads": {**HEADS, "code": True},
            "mixes_batch": {"minibatch": ("deviation", "discrimination")},
        },
    )
    yield Component(
        "maxout",
        "ganbench_mlp.networks:MaxoutDiscriminator",
        summary="PacGAN's toy critic: 3 layers of 200 maxout units with 5 pieces, for any data; does not mix the batch",
        paper="arXiv:1712.04086",
        needs={"data": ("points", "images")},
        gives={"logits": "scalar", "outputs": "{outputs}", "mixes_batch": False, "heads": {"features": True}},
    )
