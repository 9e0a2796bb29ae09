"""The ground that components are checked on: all that is installed, and data that are loaded once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ganbench.choices import resolve
from ganbench.conformance.pictures import CLASSES, HELDOUT, TRAIN
from ganbench.contracts import Part
from ganbench.hookspecs import PROJECT
from ganbench.plugins import Offer, Registry
from ganbench.protocols import Data, Places
from ganbench.terms import Choice, Component, Kind
from ganbench.workshop import Workshop, load_data, open_workshop

if TYPE_CHECKING:
    from ganbench.conformance.stages import Stage

PICTURES = Component(
    "conformance-pictures",
    "ganbench.conformance.pictures:pictures",
    summary="Made-up pictures of any resolution",
    gives={
        "data": "images",
        "shape": ("{channels}", "{resolution}", "{resolution}"),
        "classes": CLASSES,
        "splits": (TRAIN, HELDOUT),
        "extractor": "",
    },
)


@dataclass(frozen=True)
class Ground:
    """A workshop, and what was made in it once and is used again."""

    workshop: Workshop
    networks: dict[Kind, list[Part]] = field(default_factory=dict)
    stages: dict[tuple[Kind, Choice], Stage] = field(default_factory=dict)
    _data: dict[Choice, Data] = field(default_factory=dict)

    def data(self, choice: Choice) -> Data:
        """The data set, loaded the first time."""
        if choice not in self._data:
            self._data[choice] = load_data(self.workshop, choice)
        return self._data[choice]

    def part(self, kind: Kind, name: str, **parameters: bool | int | str) -> Part:
        """One of ganbench's own components with these parameters, and the others as they are by default."""
        written = Choice(name, tuple(sorted(parameters.items())), PROJECT)
        choice = resolve(self.workshop.registry, kind, written)
        return Part(self.workshop.registry.find(kind, choice).component, choice)


def prepare(registry: Registry, places: Places = Places()) -> Ground:
    """The ground for all that is in the registry, with pictures of the kit's own among the data sets."""
    pictures = Offer("dataset", PICTURES, "conformance", PROJECT, "0")
    return Ground(open_workshop(replace(registry, offers=(*registry.offers, pictures)), places))
