"""What a reader may choose above the boards: pills for groups of rows, and the stops of the budget's slider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ganbench.cells import FAMILIES, Cells, families, family_of
from ganbench.charts_style import AXIS_NAMES
from ganbench.cuts import Cut
from ganbench.slider import Stops, rounded

STATUSES = {
    "complete": "complete", "failed": "with failures", "evaluated": "evaluated only", "reference": "references",
}  # fmt: skip
"""Groups of a board's rows, with the words on their pills."""

BUDGETS = {**AXIS_NAMES, "kimg": "thousand images"}
"""How the axes are called where there is room for words."""


def controls(sections: Sequence[Cells], stops: Stops) -> Cells:
    """The pills and the slider, and what their script is told: the names that rows refer to by number."""
    rows = [row for section in sections for row in section["rows"]]
    known = families(rows)
    present = {row["group"] for row in rows}
    datasets = dict.fromkeys(section["dataset"] for section in sections)
    choices = {
        "dataset": ("Data set", {name: name for name in datasets}),
        "status": ("Status", {name: words for name, words in STATUSES.items() if name in present}),
        **{part: (part.capitalize(), {name: name for name in names}) for part, names in known.items()},
    }
    groups = [
        {"name": name, "title": title, "options": [{"value": key, "title": text} for key, text in options.items()]}
        for name, (title, options) in choices.items()
        if len(options) > 1
    ]
    told = {axis: [{"value": value, "text": _told(axis, value)} for value in at] for axis, at in stops.items()}
    return {
        "groups": groups,
        "stops": {axis: {"title": BUDGETS[axis]} for axis in stops},
        "data": {
            "status": list(STATUSES),
            **{part: known.get(part, []) for part in FAMILIES},
            "stops": {axis: {"at": at} for axis, at in told.items()},
        },
    }


def _told(axis: str, value: float) -> str:
    """What a stop is called."""
    return str(Cut(axis, rounded(value)))


def row_facts(rows: Sequence[Cells], names: Mapping[str, list[str]]) -> list[list[int]]:
    """Each row's status and, if it was trained, its families, as places in `names`; -1 where all have one in common."""
    places = {part: {name: place for place, name in enumerate(names[part])} for part in FAMILIES}
    statuses = list(STATUSES)
    return [
        [
            statuses.index(row["group"]),
            *(places[part].get(family_of(row[part]), -1) for part in FAMILIES if row["kind"] == "trial"),
        ]
        for row in rows
    ]
