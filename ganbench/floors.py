"""What real data, a perfect sampler and noise score on the data sets that need no download.

`python -m ganbench.floors` measures it anew and writes the file that `ganbench metrics` quotes.
"""

from __future__ import annotations

import json
from pathlib import Path

from ganbench.building import build_evaluator
from ganbench.evaluations import Asked, measured_as
from ganbench.faults import applying
from ganbench.glossary import FLOORS
from ganbench.plan import references_of
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.terms import Choice
from ganbench.trial import reference_samples
from ganbench.workshop import Workshop, load_data, open_workshop

EMBEDDED = ("ring8", "grid25", "two-scales", "rare-modes", "spiral", "digits")
"""The data sets that come with ganbench or with a package that it needs; of `digits` in stacks, one board is enough."""

SHIPPED = Path(__file__).parent / FLOORS

DIGITS = 6
"""Significant digits that are kept: more would differ from one processor to the next."""


def measure_floors(workshop: Workshop, dataset: Choice) -> dict[str, dict[str, float | None]]:
    """Score → reference → value, by every installed metric that applies, with the data set's own number of samples."""
    metrics = applying(workshop.registry, dataset)
    part, evaluation = measured_as(Asked(dataset, metrics=metrics), workshop.registry)
    data = load_data(workshop, part.choice)
    evaluator = build_evaluator(workshop, data, part.choice, evaluation)
    floors: dict[str, dict[str, float | None]] = {}
    for reference in references_of(part, evaluation):
        for score in evaluator.scores(*reference_samples(reference, data, evaluator.count)):
            floors.setdefault(score.name, {})[reference.name] = _rounded(score.value)
    return floors


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def write(path: Path) -> None:
    """Measure the floors of every embedded data set, and put them into `path` as JSON."""
    workshop = open_workshop(discover(), Places())
    floors = {name: measure_floors(workshop, Choice(name)) for name in EMBEDDED}
    path.write_text(json.dumps(floors, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(SHIPPED)
