"""Registers the StyleGAN2 generator and discriminator, for square images with a power of two as their side."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component
from ganbench_layers.contracts import CONDITIONAL, IMAGES, VERDICT, labelled

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer the stylegan2 generator."""
    yield Component(
        "stylegan2",
        "ganbench_stylegan2.generator:StyleGAN2Generator",
        summary="Mapping network, modulated convolutions, noise and skip outputs; equalised learning rate",
        paper="arXiv:1912.04958",
        needs={
            **IMAGES,
            **CONDITIONAL,
            "driver": ("eager", "graph"),  # it draws its noise itself, which seeds in one operation cannot
        },
    )


@hookimpl
def ganbench_discriminators() -> Iterable[Component]:
    """Offer the stylegan2 discriminator."""
    yield Component(
        "stylegan2",
        "ganbench_stylegan2.discriminator:StyleGAN2Discriminator",
        summary="Residual convolutions with blurred strides and, at 4×4, the deviation of the minibatch",
        paper="arXiv:1912.04958",
        needs={**IMAGES, **labelled("projection")},
        gives={
            **VERDICT,
            "mixes_batch": {"minibatch": ("deviation",)},
            "independent": {"minibatch": "none"},
        },
    )
