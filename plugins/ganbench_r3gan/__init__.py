"""Registers the R3GAN generator and discriminator, for square images with a power of two as their side."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component
from ganbench_layers.contracts import CONDITIONAL, IMAGES, VERDICT, labelled

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer the r3gan generator."""
    yield Component(
        "r3gan",
        "ganbench_r3gan.networks:R3GANGenerator",
        summary="Grouped residual blocks without normalisation, from a modulated 4×4 basis, with bilinear resampling",
        paper="arXiv:2501.05441",
        needs={**IMAGES, **CONDITIONAL},
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the r3gan discriminator."""
    yield Component(
        "r3gan",
        "ganbench_r3gan.networks:R3GANDiscriminator",
        summary="The r3gan generator mirrored; its samples are independent",
        paper="arXiv:2501.05441",
        needs={**IMAGES, **labelled("projection")},
        gives=VERDICT,
    )
