"""Components that state a contract and that nobody can build: what plans are made of before anything is imported."""

from __future__ import annotations

from ganbench.contracts import Part
from ganbench.terms import Choice, Component


def part(name, needs=None, gives=None, /, **parameters):
    component = Component(name, "nowhere:at_all", "For a test", needs=needs or {}, gives=gives or {})
    return Part(component, Choice(name, tuple(sorted(parameters.items()))))


def pictures(name="mnist", channels=1, resolution=32, **more):
    gives = {"data": "images", "shape": (channels, "{resolution}", "{resolution}"), **more}
    return part(name, {}, gives, resolution=resolution)


RING = part("ring8", {}, {"data": "points", "shape": (2,), "modes": 8})
MLP = part("mlp", {"data": ("points", "images")})
CRITIC = part("critic")
HINGE = part("hinge")
R1 = part("r1", {"independent": True}, {}, gamma=0.1)
