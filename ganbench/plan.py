"""Turn a suite into trials: every combination that can train, and for each that cannot, the reason.

Trials come in the order of data sets, then seeds, then variants: wherever a run is stopped, the variants of a data set
have trained with the same seeds, but for the last, and can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ganbench.cases import Case, cases_of
from ganbench.compatibility import incompatibility
from ganbench.contracts import Part
from ganbench.errors import SuiteError, suggest
from ganbench.plugins import Registry, requirements
from ganbench.selection import fits, parse_filters, passes, picks
from ganbench.settings import Match
from ganbench.suite import Suite
from ganbench.terms import Evaluation, Job, Reference, ReferenceName, Trial

MOST_TRIALS = 100_000

Item = TypeVar("Item")


@dataclass(frozen=True)
class Skipped:
    """A combination that does not train, whatever the seed, and why."""

    dataset: str
    variant: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What a suite comes to. `references` are those of the data sets that have trials."""

    trials: tuple[Trial, ...]
    references: tuple[Reference, ...]
    skipped: tuple[Skipped, ...]

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Everything to do: the references, which take a moment, then the trials."""
        return (*self.references, *self.trials)


def plan(suite: Suite, registry: Registry, only: Sequence[str] = ()) -> Plan:
    """What a suite comes to; with `only`, such as `["loss=hinge", "seed=0"]`, the part of it that fits these globs.

    The order of things in the file decides the order of trials and nothing else; what is asked for twice is there once.
    Raises SuiteError, with file and place, for what cannot be done with the components that are installed.
    """
    _check_size(suite)
    unmet = requirements(registry, suite.requires)
    if unmet:
        raise SuiteError(f"{suite.at('requires')}: {unmet[0]}")
    cases = _without_excluded(suite, list(cases_of(suite, registry)))
    filters = parse_filters(only)
    _check_filters(filters, cases, suite.seeds)
    chosen = [case for case in cases if passes(filters, case.labels)]
    if not chosen:
        raise SuiteError("--only: each filter fits something, but nothing fits all of them")
    return _planned(chosen, [seed for seed in suite.seeds if passes(filters, _seed_labels(seed))])


def references_of(dataset: Part, evaluation: Evaluation) -> tuple[Reference, ...]:
    """What belongs beside all that is measured so: real data where some is not held out, perfect samples where the
    density is known, and noise.
    """
    train, _ = dataset.give("splits", (1, 1))
    names: list[ReferenceName] = ["real_floor"] if train else []
    names += ["perfect", "noise"] if dataset.give("density") else ["noise"]
    at_once = replace(evaluation, points=(1.0,))  # a reference has no curve
    return tuple(Reference(dataset.choice, name, at_once) for name in names)


def _planned(cases: Sequence[Case], seeds: Sequence[int]) -> Plan:
    skipped: list[Skipped] = []
    trials: list[Trial] = []
    references: list[Reference] = []
    for dataset in dict.fromkeys(case.dataset for case in cases):
        fitting: list[Case] = []
        for case in (case for case in cases if case.dataset == dataset):
            reason = incompatibility(case.combination, case.training)
            if reason is None:
                fitting.append(case)
            else:
                skipped.append(Skipped(str(dataset), str(case.variant), reason))
        trials += [case.trial(seed) for seed in seeds for case in fitting]
        references += [item for case in fitting for item in references_of(case.combination.dataset, case.evaluation)]
    return Plan(_unique(trials), _unique(references), _unique(skipped))


def _unique(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))


def _check_size(suite: Suite) -> None:
    matrix = suite.matrix
    product = math.prod(map(len, (matrix.generator, matrix.discriminator, matrix.loss))) if matrix else 0
    count = len(suite.datasets) * (product + len(suite.variants)) * len(suite.seeds)
    if count > MOST_TRIALS:
        raise SuiteError(f"{suite.at()}: asks for {count} trials; {MOST_TRIALS} are the most that can be planned")


def _without_excluded(suite: Suite, cases: Sequence[Case]) -> list[Case]:
    for number, exclude in enumerate(suite.excludes):
        _check_match(suite, ("exclude", number), exclude, cases)
    for number, override in enumerate(suite.overrides):
        _check_match(suite, ("override", number), override, cases)
    kept = [case for case in cases if not any(picks(exclude.globs(), case.labels) for exclude in suite.excludes)]
    if not kept:
        raise SuiteError(f"{suite.at('exclude')}: leaves nothing to train")
    return kept


def _check_match(suite: Suite, keys: tuple[str, int], match: Match, cases: Sequence[Case]) -> None:
    """Refuse globs that pick nothing: most likely a slip, and silent otherwise."""
    globs = match.globs()
    for key, glob in globs.items():
        known = _labels(cases, key)
        if not fits(glob, known):
            raise SuiteError(f"{suite.at(*keys, key)}: '{glob}' matches no {key} of this suite.{suggest(glob, known)}")
    if not any(picks(globs, case.labels) for case in cases):
        raise SuiteError(f"{suite.at(*keys)}: each glob matches something, but nothing matches all of them")


def _check_filters(filters: Mapping[str, Sequence[str]], cases: Sequence[Case], seeds: Sequence[int]) -> None:
    for key, globs in filters.items():
        known = {str(seed) for seed in seeds} if key == "seed" else _labels(cases, key)
        for glob in globs:
            if not fits(glob, known):
                raise SuiteError(f"--only '{key}={glob}' matches no {key} of this suite.{suggest(glob, known)}")


def _labels(cases: Sequence[Case], key: str) -> set[str]:
    return {label for case in cases for label in case.labels[key]}


def _seed_labels(seed: int) -> dict[str, frozenset[str]]:
    return {"seed": frozenset({str(seed)})}
