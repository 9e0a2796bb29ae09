"""Registers the DCGAN generator and discriminator, for square images with a power of two as their side."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component
from ganbench_layers.contracts import CODES, CONDITIONAL, HEADS, IMAGES, VERDICT, labelled

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer the dcgan generator."""
    yield Component(
        "dcgan",
        "ganbench_dcgan.networks:DCGANGenerator",
        summary="Transposed convolutions with BatchNorm, from 4×4 up to the image",
        paper="arXiv:1511.06434",
        needs={**IMAGES, **CONDITIONAL},
        gives=CODES,
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the dcgan discriminator."""
    yield Component(
        "dcgan",
        "ganbench_dcgan.networks:DCGANDiscriminator",
        summary="Strided convolutions with LeakyReLU, from the image to 4×4; norm is batch, layer, spectral or none",
        paper="arXiv:1511.06434",
        needs={**IMAGES, **labelled("concat", "projection")},
        gives={
            **VERDICT,
            **CODES,
            "heads": {**HEADS, "code": True},
            "mixes_batch": {"norm": ("batch",), "minibatch": ("deviation", "discrimination")},
            "independent": {"norm": "layer"},
        },
    )
