"""What every score means, from what the metrics declare: for `ganbench metrics`, and for the documentation."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ganbench.errors import ChoiceError, suggest
from ganbench.plugins import Offer, Registry
from ganbench.terms import Measure
from ganbench.views import escape_markdown, format_number

FLOORS = "floors.json"
"""What the references scored on the data sets that come with ganbench; written by `python -m ganbench.floors`."""

INDENT = 12
"""Columns that the names of facts take in a terminal."""

NEEDS = {
    "data": "{}",
    "modes": "known modes",
    "density": "a known density",
    "features": "features",
    "classes": "classes",
    "logits": "class logits",
    "labels": "classes asked for",
    "training": "the training split",
}
"""What a metric's contract asks for, in words."""

Floors = Mapping[str, Mapping[str, Mapping[str, float | None]]]


@dataclass(frozen=True)
class Term:
    """A score as a metric declares it, whose metric it is, and what real data and noise score."""

    offer: Offer
    measure: Measure
    floors: tuple[str, ...] = ()

    @property
    def paper(self) -> str:
        """Where the score was published: its own paper, or the metric's."""
        return self.measure.paper or self.offer.component.paper

    @property
    def stem(self) -> str:
        """The score's name without what differs between extractors and counts: `fcd` of `fcd_{extractor}`."""
        return self.measure.name.partition("_{")[0]

    @property
    def span(self) -> str:
        """The range in words: `0 to 1`, `0 and above`, `any`."""
        lowest, highest = self.measure.lowest, self.measure.highest
        if lowest is None:
            return "any number" if highest is None else f"{highest:g} and below"
        return f"{lowest:g} and above" if highest is None else f"{lowest:g} to {highest:g}"

    @property
    def needs(self) -> str:
        """What a data set must have for the metric to apply, in words."""
        contract = self.offer.component.needs
        told = [words.format(_either(contract[key])) for key, words in NEEDS.items() if contract.get(key)]
        return ", ".join(told) or "nothing"


def terms_of(registry: Registry, name: str = "") -> list[Term]:
    """Every score of every metric; with `name`, those of the metric or the one score of that name.

    `fcd_digits` and `fcd` name what is declared as `fcd_{extractor}`. Raises ChoiceError for a name that nothing has.
    """
    offers = [offer for offer in registry.offers if offer.kind == "metric"]
    measures = [measure for offer in offers for measure in offer.component.measures]
    floors = _floors(measures)
    terms = [Term(offer, measure, floors[measure.name]) for offer in offers for measure in offer.component.measures]
    if not name:
        return terms
    found = [term for term in terms if name in (term.offer.component.name, term.measure.name, term.stem)]
    found = found or [term for term in terms if term.measure is _named(name, measures)]
    if not found:
        known = [offer.component.name for offer in offers] + [term.stem for term in terms]
        raise ChoiceError(f"no metric and no score named '{name}'.{suggest(name, known)}")
    return found


def overview(terms: Sequence[Term]) -> list[dict[str, str]]:
    """One row for each score, under the part of its name that is always there."""
    return [
        {
            "score": term.stem,
            "metric": term.offer.component.name,
            "better": term.measure.direction,
            "range": term.span,
            "perfect": "" if term.measure.perfect is None else f"{term.measure.perfect:g}",
            "needs": term.needs,
        }
        for term in terms
    ]


def details(term: Term) -> dict[str, Any]:
    """All that is known of one score, in the order in which it is told."""
    measure = term.measure
    return {
        "score": measure.name,
        "metric": f"{term.offer.component.name}: {term.offer.component.summary}",
        "definition": measure.definition,
        "formula": measure.formula,
        "paper": term.paper,
        "better": measure.direction,
        "unit": measure.unit or "none",
        "range": term.span,
        "perfect": _perfect(measure),
        "floors": list(term.floors),
        "needs": term.needs,
        "minimum N": str(measure.minimum),
        "undefined": measure.undefined or "never",
        "noise": measure.noise or "not estimated",
        "mean": f"{measure.mean} over seeds",
        "traps": list(measure.traps),
    }


def _floors(measures: Sequence[Measure]) -> dict[str, tuple[str, ...]]:
    """Measure's name → what the references scored, by data set: `digits: real data 0.75, noise 36.7 (fcd_digits)`."""
    told: dict[str, tuple[str, ...]] = {measure.name: () for measure in measures}
    for dataset, scores in shipped_floors().items():
        for name, values in scores.items():
            measure = _named(name, measures)
            if measure is not None:
                words = ", ".join(f"{_REFERENCES[key]} {format_number(_number(values[key]))}" for key in values)
                told[measure.name] += (f"{dataset}: {words}" + (f" ({name})" if name != measure.name else ""),)
    return told


def _named(name: str, measures: Sequence[Measure]) -> Measure | None:
    """What `name` was declared as: of several that fit, the one that leaves least open."""
    fitting = [measure for measure in measures if measure.fits(name)]
    return max(fitting, key=lambda measure: len(measure.name), default=None)


_REFERENCES = {"real_floor": "real data", "perfect": "perfect sampler", "noise": "noise"}


@cache
def shipped_floors() -> Floors:
    """Data set → score → reference → value, as they were measured when this version was made."""
    floors: Floors = json.loads((files("ganbench") / FLOORS).read_text(encoding="utf-8"))
    return floors


def to_text(term: Term, width: int = 100) -> str:
    """One score for a terminal of `width` columns, each fact under its name."""
    blocks: list[str] = []
    for name, value in details(term).items():
        items = value if isinstance(value, list) else [value]
        heads = [f"{name:<{INDENT}}", *[" " * INDENT] * (len(items) - 1)]
        blocks += [
            textwrap.fill(item, width, initial_indent=head, subsequent_indent=" " * INDENT, break_long_words=False)
            for head, item in zip(heads, items, strict=False)
            if item
        ]
    return "\n".join(blocks) + "\n"


def to_markdown(terms: Sequence[Term]) -> str:
    """Every score for the documentation: a section each, under its metric."""
    return "\n".join(_section(term) for term in terms)


def _section(term: Term) -> str:
    facts = details(term)
    names = ("better", "unit", "range", "perfect", "minimum N", "undefined", "noise", "mean", "needs")
    rows = [f"| {name} | {escape_markdown(facts[name])} |" for name in names]
    traps = [f"- {trap}" for trap in facts["traps"]]
    paper = f" ({term.paper})" if term.paper else ""
    floors = [f"| {' | '.join(escape_markdown(part) for part in floor.split(': ', 1))} |" for floor in facts["floors"]]
    return "\n".join(
        [
            f"### `{facts['score']}`",
            "",
            f"Metric `{term.offer.component.name}`{paper}. {facts['definition']}",
            "",
            f"    {facts['formula']}",
            "",
            "| | |",
            "| --- | --- |",
            *rows,
            *floors,
            "",
            *([*traps, ""] if traps else []),
        ]
    )


def _perfect(measure: Measure) -> str:
    return "depends on the data" if measure.perfect is None else f"{measure.perfect:g}"


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _either(stated: Any) -> str:
    return " or ".join(stated) if isinstance(stated, tuple | list) else str(stated)
