"""Registers the gradient penalties that a suite adds to any loss with `+`."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_penalties() -> Iterable[Component]:
    """Offer r1, r2 and gp."""
    needs = {"logits": "scalar", "independent": True}
    yield Component(
        "r1",
        "ganbench_penalties.gradients:R1",
        summary="Zero-centred gradient penalty at real samples, (γ/2)·‖∇D‖²",
        paper="arXiv:1801.04406",
        needs=needs,
    )
    yield Component(
        "r2",
        "ganbench_penalties.gradients:R2",
        summary="Zero-centred gradient penalty at fake samples, (γ/2)·‖∇D‖²",
        paper="arXiv:1801.04406",
        needs=needs,
    )
    yield Component(
        "gp",
        "ganbench_penalties.gradients:GradientPenalty",
        summary="One-centred gradient penalty between real and fake samples, as in WGAN-GP",
        paper="arXiv:1704.00028",
        needs=needs,
    )
