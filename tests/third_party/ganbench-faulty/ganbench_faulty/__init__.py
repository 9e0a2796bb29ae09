"""Registers components that load well and break their contract when they are trained."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_generators() -> Iterable[Component]:
    """Offer a generator whose samples have one element too many."""
    yield Component("wrong-shape", "ganbench_faulty.parts:WrongShape", summary="Samples with one element too many")


@hookimpl
def ganbench_losses() -> Iterable[Component]:
    """Offer a loss that raises and a loss that averages too early."""
    yield Component("raising", "ganbench_faulty.parts:Raising", summary="Raises an error for the discriminator")
    yield Component("scalar", "ganbench_faulty.parts:Scalar", summary="Averages over the batch, which the core does")
