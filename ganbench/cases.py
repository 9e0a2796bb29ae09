"""The combinations that a suite asks for, with every name found, every parameter checked and every setting settled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

from ganbench.compatibility import Combination
from ganbench.contracts import Part, adapt, mixes_batch, needs_independent
from ganbench.evaluations import Finder, Found, measured
from ganbench.plugins import Registry
from ganbench.selection import Labels, labels_of, merged, picks
from ganbench.settings import TrainingSettings
from ganbench.suite import Suite
from ganbench.terms import KINDS, Budget, Choice, Evaluation, Kind, Training, Trial, Variant


@dataclass(frozen=True)
class Case:
    """A variant on a data set: a trial but for the seed. `labels` is what globs are held against."""

    combination: Combination
    labels: Labels
    budget: Budget
    training: Training
    evaluation: Evaluation

    @property
    def dataset(self) -> Choice:
        """The data set."""
        return self.combination.dataset.choice

    @property
    def variant(self) -> Variant:
        """What trains on it."""
        return self.combination.variant

    def trial(self, seed: int) -> Trial:
        """The trial with this seed."""
        return Trial(self.dataset, self.variant, seed, self.budget, self.training, self.evaluation)


def cases_of(suite: Suite, registry: Registry) -> Iterator[Case]:
    """Every variant on every data set, those that are excluded or cannot train too.

    Raises SuiteError, with file and place, for a name, parameter or metric that does not fit what is installed.
    """
    finder = Finder(registry, suite.at)
    rows = list(_rows(suite, finder))
    for dataset, evaluation in measured(suite, finder):
        for row in rows:
            yield _case(suite, dataset, evaluation, row)


@dataclass(frozen=True)
class _Row:
    """A variant that the suite asks for, its discriminator adapted to what the objective needs."""

    written: Variant
    parts: Mapping[Kind, tuple[Part, ...]]
    training: TrainingSettings | None = None
    budget: Budget | None = None


def _rows(suite: Suite, finder: Finder) -> Iterator[_Row]:
    matrix = suite.matrix
    if matrix is not None:
        generators = finder.find_all("generator", matrix.generator, "matrix", "generator")
        discriminators = finder.find_all("discriminator", matrix.discriminator, "matrix", "discriminator")
        objectives = [finder.objective(written, "matrix", "loss", n) for n, written in enumerate(matrix.loss)]
        for generator, discriminator, objective in product(generators, discriminators, objectives):
            yield _row(finder, generator, discriminator, objective)
    for number, entry in enumerate(suite.variants):
        keys = ("variants", number)
        row = _row(
            finder,
            finder.find("generator", entry.generator, *keys, "generator"),
            finder.find("discriminator", entry.discriminator, *keys, "discriminator"),
            finder.objective(entry.loss, *keys, "loss"),
        )
        yield replace(row, training=entry.training, budget=entry.budget.budget if entry.budget else None)


def _row(finder: Finder, generator: Found, discriminator: Found, objective: tuple[Found, ...]) -> _Row:
    found = (generator, discriminator, *objective)
    judge = discriminator.part
    if needs_independent(item.part for item in objective) and mixes_batch(judge.component, judge.choice):
        judge = finder.part("discriminator", adapt(judge.component, discriminator.written), discriminator.place)
    parts = {kind: tuple(item.part for item in found if item.kind == kind) for kind in KINDS}
    written = _variant({kind: [item.written for item in found if item.kind == kind] for kind in KINDS})
    return _Row(written, {**parts, "discriminator": (judge,)})


def _case(suite: Suite, dataset: Found, evaluation: Evaluation, row: _Row) -> Case:
    (generator,), (discriminator,) = row.parts["generator"], row.parts["discriminator"]
    objective = (*row.parts["loss"], *row.parts["penalty"])
    augmentation, method = (next(iter(row.parts[kind]), None) for kind in _AT_MOST_ONE)
    combination = Combination(dataset.part, generator, discriminator, objective, augmentation, method)
    variant = combination.variant
    labels = merged(labels_of(dataset.written, row.written), labels_of(dataset.part.choice, variant))
    overrides = [override for override in suite.overrides if picks(override.globs(), labels)]
    budgets = [override.budget.budget for override in overrides if override.budget]
    training = _recommended((*row.parts["loss"], *row.parts["method"])[0])
    for settings in (suite.training, *(override.training for override in overrides), row.training):
        training = settings.applied_to(training) if settings else training
    return Case(combination, labels, row.budget or [suite.budget, *budgets][-1], training, evaluation)


_AT_MOST_ONE: tuple[Kind, Kind] = ("augmentation", "method")


def _recommended(head: Part) -> Training:
    """The training that comes with the loss, or with the method that stands alone."""
    recipe = head.component.recipe
    return replace(Training(), **{item.name: getattr(recipe, item.name) for item in fields(recipe)} if recipe else {})


def _variant(choices: Mapping[Kind, Sequence[Choice]]) -> Variant:
    (generator,), (discriminator,) = choices["generator"], choices["discriminator"]
    loss, augmentation, method = (next(iter(choices[kind]), None) for kind in ("loss", *_AT_MOST_ONE))
    return Variant(generator, discriminator, loss, tuple(choices["penalty"]), augmentation, method)
