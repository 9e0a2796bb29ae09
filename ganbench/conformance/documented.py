"""Checks of what can be read without running anything: the docstring, its sections and the parameters."""

from __future__ import annotations

import re

from ganbench.conformance.findings import Breach
from ganbench.conformance.subjects import Subject
from ganbench.terms import Kind

_OF_NETWORKS = ("Layers", "Shapes", "Paper", "Recipe", "Traps")
_OF_FORMULAS = ("Formula", "Shapes", "Paper", "Recipe", "Traps")

SECTIONS: dict[Kind, tuple[str, ...]] = {
    "generator": _OF_NETWORKS,
    "discriminator": _OF_NETWORKS,
    "loss": _OF_FORMULAS,
    "penalty": _OF_FORMULAS,
    "augmentation": _OF_FORMULAS,
    "method": _OF_FORMULAS,
}
"""By kind, the sections that a docstring has; `Parameters` too, where there are any."""

_PAPER = re.compile(r"arXiv:\d{4}\.\d{4,5}")


def check_documented(subject: Subject) -> None:
    """A docstring with a first line, every section that the kind has, and every parameter in backticks."""
    definition = subject.definition
    first, _, rest = definition.docstring.partition("\n")
    if not first.strip() or rest.partition("\n")[0].strip():
        raise Breach(
            "no docstring" if not first.strip() else f"a docstring that begins '{first} …' and runs on",
            "a docstring whose first line says what it is, and a blank line after it",
            'write """One line.""" or """One line, a blank line, then the sections.""" under the class or function',
            definition.line,
        )
    _check_sections(subject)
    _check_parameters(subject)
    _check_paper(subject)


def _check_sections(subject: Subject) -> None:
    wanted, given = SECTIONS.get(subject.kind, ()), subject.definition.sections()
    missing = [name for name in wanted if not given.get(name)]
    if missing:
        raise Breach(
            f"the docstring has no section {', '.join(f'`{name}:`' for name in missing)}",
            f"the sections of a {subject.kind}: {', '.join(f'{name}:' for name in wanted)}",
            "begin a paragraph with the section's name and a colon; where there is nothing to tell, say so in a word",
            subject.definition.line,
        )


def _check_parameters(subject: Subject) -> None:
    """Every parameter in backticks: in the section Parameters where the kind has sections, anywhere where not."""
    known = [item.name for item in subject.parameters]
    inside = (
        subject.definition.sections().get("Parameters", "")
        if subject.kind in SECTIONS
        else subject.definition.docstring
    )
    unnamed = [name for name in known if not re.search(rf"`{re.escape(name)}\b[^`]*`", inside)]
    if unnamed:
        raise Breach(
            f"the docstring does not name {', '.join(f'`{name}`' for name in unnamed)}",
            "every parameter, in backticks" + (", in a section `Parameters:`" if subject.kind in SECTIONS else ""),
            f"write 'Parameters: `{unnamed[0]}` is …'",
            subject.definition.line,
        )


def _check_paper(subject: Subject) -> None:
    stated, told = subject.component.paper, subject.definition.docstring
    papers = _PAPER.findall(stated)
    if subject.kind in SECTIONS and papers and not any(paper in told for paper in papers):
        raise Breach(
            f"the component's paper, {stated}, is not in the docstring",
            "the paper that the component states, with section or equation, in the section `Paper:`",
            f"write 'Paper: {papers[0]}, eq. …'",
            subject.definition.line,
        )
