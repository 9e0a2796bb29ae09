"""The combinations that a suite asks for, with every name found, every parameter checked and every setting settled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product

from ganbench.contracts import Combination, Part, adapt, mixes_batch, needs_independent
from ganbench.evaluations import Finder, Found, measured
from ganbench.plugins import Registry
from ganbench.selection import Labels, labels_of, merged, picks
from ganbench.settings import TrainingSettings
from ganbench.suite import Suite
from ganbench.terms import Budget, Choice, Evaluation, Training, Trial, Variant


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
        return _variant(self.combination.generator, self.combination.discriminator, self.combination.objective)

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
    generator: Part
    discriminator: Part
    objective: tuple[Part, ...]
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
    loss, *penalties = (found.written for found in objective)
    written = Variant(generator.written, discriminator.written, loss, tuple(penalties))
    parts = tuple(found.part for found in objective)
    judge = discriminator.part
    if needs_independent(parts) and mixes_batch(judge.component, judge.choice):
        judge = finder.part("discriminator", adapt(judge.component, discriminator.written), discriminator.place)
    return _Row(written, generator.part, judge, parts)


def _case(suite: Suite, dataset: Found, evaluation: Evaluation, row: _Row) -> Case:
    variant = _variant(row.generator, row.discriminator, row.objective)
    labels = merged(labels_of(dataset.written, row.written), labels_of(dataset.part.choice, variant))
    overrides = [override for override in suite.overrides if picks(override.globs(), labels)]
    budgets = [override.budget.budget for override in overrides if override.budget]
    training = _recommended(row.objective[0])
    for settings in (suite.training, *(override.training for override in overrides), row.training):
        training = settings.applied_to(training) if settings else training
    combination = Combination(dataset.part, row.generator, row.discriminator, row.objective)
    return Case(combination, labels, row.budget or [suite.budget, *budgets][-1], training, evaluation)


def _recommended(loss: Part) -> Training:
    """The training that comes with the loss."""
    recipe = loss.component.recipe
    return replace(Training(), **{item.name: getattr(recipe, item.name) for item in fields(recipe)} if recipe else {})


def _variant(generator: Part, discriminator: Part, objective: tuple[Part, ...]) -> Variant:
    loss, *penalties = (part.choice for part in objective)
    return Variant(generator.choice, discriminator.choice, loss, tuple(penalties))
