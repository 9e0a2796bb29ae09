"""The hooks that a plugin may implement: each returns what the plugin offers, and has no other effect."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from ganbench.terms import KINDS, Component, Kind

PROJECT = "ganbench"
"""The name of the entry-point group, of the pluggy project and of the hooks' prefix."""

API_VERSION = 1
"""A plugin module may state `GANBENCH_API = 1`; one that states another number is refused with both numbers named."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ganbench_generators() -> Iterable[Component]:
    """Offer generators: `build(latent_dim, shape, **parameters) -> Module`, (N, Z) to (N, *shape)."""
    return ()


@hookspec
def ganbench_discriminators() -> Iterable[Component]:
    """Offer discriminators: `build(shape, **parameters) -> Module`, (N, *shape) to logits (N,), high for real."""
    return ()


@hookspec
def ganbench_losses() -> Iterable[Component]:
    """Offer losses: `build(**parameters) -> Loss`. The component's `recipe` travels with it."""
    return ()


@hookspec
def ganbench_penalties() -> Iterable[Component]:
    """Offer penalties, added to a loss with `+`: `build(**parameters) -> Penalty`."""
    return ()


@hookspec
def ganbench_augmentations() -> Iterable[Component]:
    """Offer augmentations of what the discriminator sees, added to a loss with `+`: `build(**parameters)`."""
    return ()


@hookspec
def ganbench_methods() -> Iterable[Component]:
    """Offer methods, which say how the players take turns: `build(**parameters) -> Method`."""
    return ()


@hookspec
def ganbench_datasets() -> Iterable[Component]:
    """Offer data sets: `load(places, **parameters) -> Data`."""
    return ()


@hookspec
def ganbench_metrics() -> Iterable[Component]:
    """Offer metrics: `build(**parameters) -> Metric`."""
    return ()


@hookspec
def ganbench_extractors() -> Iterable[Component]:
    """Offer feature extractors: `load(places, **parameters) -> Extractor`."""
    return ()


@hookspec
def ganbench_executors() -> Iterable[Component]:
    """Offer executors, which carry out jobs: `build(workers, **parameters) -> Executor`."""
    return ()


HOOKS: dict[Kind, str] = dict(
    zip(
        KINDS,
        (
            ganbench_generators.__name__,
            ganbench_discriminators.__name__,
            ganbench_losses.__name__,
            ganbench_penalties.__name__,
            ganbench_augmentations.__name__,
            ganbench_methods.__name__,
            ganbench_datasets.__name__,
            ganbench_metrics.__name__,
            ganbench_extractors.__name__,
            ganbench_executors.__name__,
        ),
        strict=True,
    )
)
"""The hook that collects each kind of component."""
