"""Pick combinations by globs: what a suite's excludes and overrides and the command line's `--only` have in common.

A glob is held against a name, `mlp`, and against the whole choice, `mlp(packing=2)`; for a loss with what is added to
it, against `hinge + r1` and `hinge + r1(gamma=0.1)`. So `mlp` picks every `mlp`, and `wgan-gp` picks
`wgan-gp(weight=1)` but not `wgan-gp + r1`, which `wgan-gp*` does. Spaces make no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from ganbench.errors import SuiteError, suggest
from ganbench.terms import Choice, Variant

Labels = Mapping[str, frozenset[str]]
"""By key, every way in which that part of a combination may be called."""

FILTERS = ("dataset", "generator", "discriminator", "loss", "seed")
"""The keys that `--only` knows."""


def labels_of(dataset: Choice, variant: Variant) -> dict[str, frozenset[str]]:
    """What the parts of a combination are called."""
    names = " + ".join(choice.name for _, choice in variant.objective_parts)
    return {
        "dataset": names_of(dataset),
        "generator": names_of(variant.generator),
        "discriminator": names_of(variant.discriminator),
        "loss": frozenset({names, variant.objective}),
    }


def names_of(choice: Choice) -> frozenset[str]:
    """What one choice is called: its name, and all that is written of it."""
    return frozenset({choice.name, str(choice)})


def merged(first: Labels, second: Labels) -> dict[str, frozenset[str]]:
    """The labels of one combination that is written in two ways."""
    return {key: first[key] | second[key] for key in first}


def fits(glob: str, labels: Iterable[str]) -> bool:
    """Whether the glob matches one of the labels."""
    pattern = _squeezed(glob)
    return any(pattern == (text := _squeezed(label)) or fnmatchcase(text, pattern) for label in labels)


def picks(globs: Mapping[str, str], labels: Labels) -> bool:
    """Whether all the globs match."""
    return all(fits(glob, labels[key]) for key, glob in globs.items())


def parse_filters(only: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The globs of `--only`, by key: `["loss=hinge", "loss=wgan*"]`. Raises SuiteError for one that cannot be read."""
    filters: dict[str, tuple[str, ...]] = {}
    for item in only:
        key, equals, glob = (part.strip() for part in item.partition("="))
        if not (equals and glob):
            raise SuiteError(f"--only '{item}': expected KEY=GLOB, such as loss=hinge")
        if key not in FILTERS:
            raise SuiteError(f"--only '{item}': no key '{key}'.{suggest(key, FILTERS)}")
        filters[key] = (*filters.get(key, ()), glob)
    return filters


def passes(filters: Mapping[str, Sequence[str]], labels: Labels) -> bool:
    """Whether the combination fits, for every key, one of its globs; a key that has no labels does not count."""
    return all(any(fits(glob, labels[key]) for glob in globs) for key, globs in filters.items() if key in labels)


def _squeezed(text: str) -> str:
    return "".join(text.split())
