"""Registers SNGAN's residual generator and critic, for square images with a power of two as their side."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component
from ganbench_layers.contracts import CONDITIONAL, IMAGES, VERDICT, labelled

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer the sngan generator."""
    yield Component(
        "sngan",
        "ganbench_sngan.networks:SNGANGenerator",
        summary="Residual blocks with BatchNorm, from 4×4 up to the image; conditional where asked",
        paper="arXiv:1802.05957",
        needs={**IMAGES, **CONDITIONAL},
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the sngan critic."""
    yield Component(
        "sngan",
        "ganbench_sngan.networks:SNGANDiscriminator",
        summary="Residual blocks with spectral normalisation and sum pooling; norm is spectral, layer or none",
        paper="arXiv:1802.05957",
        needs={**IMAGES, **labelled("projection")},
        gives=VERDICT,
    )
