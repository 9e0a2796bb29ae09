"""Registers BigGAN's and SAGAN's generator and critic, for square images with a power of two as their side."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component
from ganbench_layers.contracts import CONDITIONAL, IMAGES, VERDICT, labelled

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer the biggan generator."""
    yield Component(
        "biggan",
        "ganbench_biggan.networks:BigGANGenerator",
        summary="Residual blocks with class-conditional BatchNorm, latents for each block, and self-attention",
        paper="arXiv:1809.11096",
        needs={**IMAGES, **CONDITIONAL},
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the biggan critic."""
    yield Component(
        "biggan",
        "ganbench_biggan.networks:BigGANDiscriminator",
        summary="Wide residual blocks with spectral normalisation, self-attention and a projection of the class",
        paper="arXiv:1809.11096",
        needs={**IMAGES, **labelled("projection")},
        gives=VERDICT,
    )
