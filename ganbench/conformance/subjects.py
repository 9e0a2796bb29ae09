"""What is checked: a component with each of its allowed parameter corners, small enough to be checked in a moment."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args, get_origin

from ganbench.choices import resolve
from ganbench.conformance.grounds import Ground
from ganbench.conformance.reading import Definition, definition_of
from ganbench.contracts import Part
from ganbench.plugins import Offer, Registry
from ganbench.signatures import Parameter, parameters_of
from ganbench.terms import Choice, Component, Kind, Value

LARGE, SMALL = 32, 16
"""A whole-number parameter of a network that is `LARGE` or more by default is set to `SMALL`: widths, mostly."""

MADE_SMALL: tuple[Kind, ...] = ("generator", "discriminator")


@dataclass(frozen=True)
class Subject:
    """A component with one choice of its parameters, and all that is installed beside it."""

    offer: Offer
    choice: Choice
    ground: Ground
    corner: str = ""
    """The one setting in which the choice departs from the defaults, as `norm=layer`; "" if in none."""

    @property
    def registry(self) -> Registry:
        """Every component that can play beside it."""
        return self.ground.workshop.registry

    @property
    def kind(self) -> Kind:
        """The component's kind."""
        return self.offer.kind

    @property
    def component(self) -> Component:
        """The component itself."""
        return self.offer.component

    @property
    def part(self) -> Part:
        """The component with its choice, as contracts are read."""
        return Part(self.component, self.choice)

    @cached_property
    def definition(self) -> Definition:
        """Where its class or function is defined. Raises PluginError where it has no source."""
        return definition_of(self.component.target)

    @property
    def file(self) -> Path:
        """The file that it is defined in."""
        return self.definition.file

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What a user may set. Raises PluginError for what cannot be read."""
        return parameters_of(self.component.target, self.kind)


def subjects(offer: Offer, ground: Ground) -> Iterator[Subject]:
    """The component with its defaults, then with every other allowed value of a parameter, one at a time.

    A choice of words, truth values and what may be absent have values to go through; numbers stay as they are, but for
    a network's large sizes. A parameter without a default takes a value of its type.
    """
    known = parameters_of(offer.component.target, offer.kind)
    sizes = _sizes(offer.kind, known) | {item.name: _some(item.accepts) for item in known if item.required}
    corners: list[dict[str, Value]] = [{}, *({item.name: value} for item in known for value in _others(item))]
    for corner in corners:
        choice = Choice(offer.component.name, tuple(sorted({**sizes, **corner}.items())), offer.owner)
        resolved = resolve(ground.workshop.registry, offer.kind, choice)
        yield Subject(offer, resolved, ground, ", ".join(f"{name}={value}" for name, value in corner.items()))


def _sizes(kind: Kind, known: tuple[Parameter, ...]) -> dict[str, Value]:
    if kind not in MADE_SMALL:
        return {}
    return {item.name: SMALL for item in known if type(item.default) is int and item.default >= LARGE}


def _others(parameter: Parameter) -> list[Value]:
    """The values that a parameter may have besides its default, as far as they can be gone through."""
    return [value for value in _listed(parameter.accepts) if repr(value) != repr(parameter.default)]


def _listed(accepts: object) -> list[Value]:
    if accepts is bool:
        return [False, True]
    if accepts is type(None):
        return [None]
    if get_origin(accepts) is Literal:
        return list(get_args(accepts))
    if get_origin(accepts) is tuple:
        return []
    return list(itertools.chain.from_iterable(map(_listed, get_args(accepts))))


def _some(accepts: object) -> Value:
    """A value of the type, for a parameter that has no default."""
    listed = _listed(accepts)
    if listed:
        return listed[0]
    plain: dict[object, Value] = {int: 1, float: 1.0, str: "text"}
    if get_origin(accepts) is tuple:
        return tuple(_some(item) for item in get_args(accepts) if item is not Ellipsis)
    return plain.get(accepts, next((_some(item) for item in get_args(accepts)), None))
