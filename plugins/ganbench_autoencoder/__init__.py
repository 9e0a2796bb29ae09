"""Registers the autoencoding critic of EBGAN and BEGAN, and the generator that is its decoder."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component
from ganbench_layers.contracts import IMAGES, SQUARE

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer BEGAN's generator."""
    yield Component(
        "began",
        "ganbench_autoencoder.networks:BEGANGenerator",
        summary="The decoder of BEGAN's critic: convolutions with ELU and nearest-neighbour upsampling from 8×8",
        paper="arXiv:1703.10717",
        needs=IMAGES,
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the autoencoder as a critic."""
    yield Component(
        "autoencoder",
        "ganbench_autoencoder.networks:Autoencoder",
        summary="Minus the error with which it reconstructs a sample, for losses on energies; does not mix the batch",
        paper="arXiv:1703.10717",
        needs={"data": ("points", "images"), **SQUARE},
        gives={"logits": "energy", "mixes_batch": False, "heads": {"features": True}},
    )
