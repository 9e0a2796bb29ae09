"""What a trial leaves of its generator's character, beside its scores: the files, and the one that holds numbers.

Whatever lies under that file's name is read as if a stranger had written it: nothing in it is believed unchecked.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from ganbench.errors import ResultsError
from ganbench.parsing import read_file

PORTRAIT = "portrait.json"
INTERPOLATIONS = "interpolations.png"
NEIGHBOURS = "neighbours.png"

MOST_BYTES = 2**20
MOST_CLASSES = 1000
MOST_SAMPLES = 500
LONGEST_NAME = 300
"""Characters of a class's name, and of what a distance is."""

ROUNDING = 0.01
"""How far shares may be from adding up to 1."""

Text = Annotated[str, Field(max_length=LONGEST_NAME)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Distance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Classes:
    """The shares of the data's samples and of the generated ones that fall in each class, in the order of `names`."""

    names: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MOST_CLASSES)]
    data: Annotated[tuple[Share, ...], Field(max_length=MOST_CLASSES)]
    samples: Annotated[tuple[Share, ...], Field(max_length=MOST_CLASSES)]


@dataclass(frozen=True)
class Points:
    """Held-out points and generated ones, the first two coordinates of each."""

    data: Annotated[tuple[tuple[Number, Number], ...], Field(max_length=MOST_SAMPLES)]
    samples: Annotated[tuple[tuple[Number, Number], ...], Field(max_length=MOST_SAMPLES)]


@dataclass(frozen=True)
class Neighbours:
    """How far generated and held-out images are from the nearest of `of` training images; `distance` says what that is.

    A generator that has learnt images by heart is nearer to them than held-out images are; so is one that blurs.
    """

    distance: Text
    of: Annotated[int, Field(ge=1, le=2**53)]
    samples: Annotated[tuple[Distance, ...], Field(max_length=MOST_SAMPLES)]
    heldout: Annotated[tuple[Distance, ...], Field(max_length=MOST_SAMPLES)]


@dataclass(frozen=True)
class Portrait:
    """What `portrait.json` holds: None for what the data do not have."""

    classes: Classes | None = None
    points: Points | None = None
    neighbours: Neighbours | None = None


def content_of(portrait: Portrait) -> bytes:
    """The portrait as the file has it. Raises ValueError for a number that is not finite."""
    return json.dumps(portrait, default=vars, separators=(",", ":"), allow_nan=False).encode()


def read_portrait(folder: Path) -> Portrait | None:
    """The portrait in an attempt's folder; None where there is none, as in results of older versions.

    Raises ResultsError that names the file, and the place in it, where it is not one that ganbench wrote.
    """
    path = folder / PORTRAIT
    if not os.path.lexists(path):
        return None
    try:
        portrait = _adapter().validate_json(read_file(path, most=MOST_BYTES), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f"at '{place}': " if place else ""
        raise ResultsError(f"{path}: {where}{first['msg']}") from error
    if flaw := _flaw(portrait):
        raise ResultsError(f"{path}: at {flaw}")
    return portrait


@cache
def _adapter() -> TypeAdapter[Portrait]:
    return TypeAdapter(Portrait)


def _flaw(portrait: Portrait) -> str:
    """What is wrong with shares that are each in order; nothing where they belong together."""
    classes = portrait.classes
    if classes is None:
        return ""
    for side, shares in (("data", classes.data), ("samples", classes.samples)):
        if len(shares) != len(classes.names):
            return f"'classes.{side}': {len(shares)} shares, expected one for each of {len(classes.names)} names"
        if abs(sum(shares) - 1) > ROUNDING:
            return f"'classes.{side}': the shares add up to {sum(shares):.3g}, expected 1"
    return ""
