"""The combinations that a suite asks for, with every name found, every parameter checked and every setting settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from ganbench.choices import resolve
from ganbench.contracts import (
    Combination,
    Part,
    adapt,
    check_part,
    extractor_mismatch,
    metric_mismatch,
    mixes_batch,
    needs_extractor,
    needs_independent,
)
from ganbench.errors import ChoiceError, PluginError, SuiteError
from ganbench.plugins import Registry
from ganbench.selection import Labels, labels_of, merged, names_of, picks
from ganbench.settings import Objective, TrainingSettings
from ganbench.suite import Key, Suite
from ganbench.terms import Budget, Choice, Evaluation, Kind, Training, Trial, Variant

DEFAULT_SAMPLES = 5_000
"""Samples to compare where neither the suite nor the data set says how many."""

DEFAULT_METRICS = tuple(Choice(name) for name in ("frechet", "kernel", "precision-recall", "classes", "modes"))
"""What is measured where a suite does not say, each metric on the data that it applies to."""


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
    finder = _Finder(suite, registry)
    rows = list(_rows(finder))
    for dataset, evaluation in _measured(finder):
        for row in rows:
            yield _case(suite, dataset, evaluation, row)


@dataclass(frozen=True)
class _Found:
    """A choice as it was written and where, and the component that it names with every parameter known."""

    written: Choice
    place: str
    part: Part


@dataclass(frozen=True)
class _Finder:
    """Looks up what a suite names; a failure carries the place."""

    suite: Suite
    registry: Registry

    def find(self, kind: Kind, written: Choice, *keys: Key) -> _Found:
        place = self.suite.at(*keys)
        return _Found(written, place, self.part(kind, written, place))

    def find_all(self, kind: Kind, written: Sequence[Choice], *keys: Key) -> list[_Found]:
        return [self.find(kind, choice, *keys, number) for number, choice in enumerate(written)]

    def objective(self, written: Objective, *keys: Key) -> tuple[_Found, ...]:
        loss, penalties = written
        return (self.find("loss", loss, *keys), *(self.find("penalty", penalty, *keys) for penalty in penalties))

    def part(self, kind: Kind, written: Choice, place: str) -> Part:
        try:
            offer = self.registry.find(kind, written)
            choice = resolve(self.registry, kind, written)
        except ChoiceError as error:
            raise SuiteError(f"{place}: {error}") from error
        part = Part(offer.component, choice)
        try:
            check_part(kind, part)
        except PluginError as error:
            raise PluginError(f"{offer}: {error}") from error
        return part


@dataclass(frozen=True)
class _Row:
    """A variant that the suite asks for, its discriminator adapted to what the objective needs."""

    written: Variant
    generator: Part
    discriminator: Part
    objective: tuple[Part, ...]
    training: TrainingSettings | None = None
    budget: Budget | None = None


def _rows(finder: _Finder) -> Iterator[_Row]:
    matrix = finder.suite.matrix
    if matrix is not None:
        generators = finder.find_all("generator", matrix.generator, "matrix", "generator")
        discriminators = finder.find_all("discriminator", matrix.discriminator, "matrix", "discriminator")
        objectives = [finder.objective(written, "matrix", "loss", n) for n, written in enumerate(matrix.loss)]
        for generator, discriminator, objective in product(generators, discriminators, objectives):
            yield _row(finder, generator, discriminator, objective)
    for number, entry in enumerate(finder.suite.variants):
        keys = ("variants", number)
        row = _row(
            finder,
            finder.find("generator", entry.generator, *keys, "generator"),
            finder.find("discriminator", entry.discriminator, *keys, "discriminator"),
            finder.objective(entry.loss, *keys, "loss"),
        )
        yield replace(row, training=entry.training, budget=entry.budget.budget if entry.budget else None)


def _row(finder: _Finder, generator: _Found, discriminator: _Found, objective: tuple[_Found, ...]) -> _Row:
    loss, *penalties = (found.written for found in objective)
    written = Variant(generator.written, discriminator.written, loss, tuple(penalties))
    parts = tuple(found.part for found in objective)
    judge = discriminator.part
    if needs_independent(parts) and mixes_batch(judge.component, judge.choice):
        judge = finder.part("discriminator", adapt(judge.component, discriminator.written), discriminator.place)
    return _Row(written, generator.part, judge, parts)


def _case(suite: Suite, dataset: _Found, evaluation: Evaluation, row: _Row) -> Case:
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


def _measured(finder: _Finder) -> list[tuple[_Found, Evaluation]]:
    """Each data set and how it is measured."""
    suite = finder.suite
    metrics = finder.find_all("metric", suite.metrics or DEFAULT_METRICS, "metrics")
    if suite.extractor is not None:  # even where no data set needs it: a slip must not pass in silence
        finder.find("extractor", suite.extractor, "evaluation", "extractor")
    measured = []
    for dataset in finder.find_all("dataset", suite.datasets, "datasets"):
        extractor = _extractor(finder, dataset) if any(needs_extractor(metric.part) for metric in metrics) else None
        measured.append((dataset, _evaluation(suite, dataset, metrics, extractor)))
    if suite.metrics:
        _check_metrics(metrics, measured)
    return measured


def _evaluation(suite: Suite, dataset: _Found, metrics: Sequence[_Found], extractor: Part | None) -> Evaluation:
    reasons = [metric_mismatch(metric.part, dataset.part, extractor) for metric in metrics]
    applying = [metric.part for metric, reason in zip(metrics, reasons, strict=True) if reason is None]
    if not applying:
        raise SuiteError(f"{dataset.place}: no metric applies: {'; '.join(filter(None, reasons))}")
    points, _ = _setting(suite, dataset, "points")
    samples, _ = _setting(suite, dataset, "samples")
    used = extractor if any(needs_extractor(metric) for metric in applying) else None
    return Evaluation(
        points,
        # Sorted, so that the order in a file does not change a trial's key.
        tuple(sorted(dict.fromkeys(metric.choice for metric in applying), key=_metric_order)),
        samples or dataset.part.give("samples", DEFAULT_SAMPLES),
        used.choice if used else None,
    )


def _metric_order(metric: Choice) -> tuple[int, str]:
    names = [choice.name for choice in DEFAULT_METRICS]
    return names.index(metric.name) if metric.name in names else len(names), str(metric)


def _check_metrics(metrics: Sequence[_Found], measured: Sequence[tuple[_Found, Evaluation]]) -> None:
    """Refuse a metric that was asked for and applies to none of the data sets."""
    used = {choice for _, evaluation in measured for choice in evaluation.metrics}
    for metric in metrics:
        if metric.part.choice not in used:
            names = ", ".join(str(dataset.part) for dataset, _ in measured)
            raise SuiteError(f"{metric.place}: metric {metric.part} applies to none of the data sets ({names})")


def _extractor(finder: _Finder, dataset: _Found) -> Part | None:
    """The extractor for images: the suite's or, where it names none, the data set's."""
    if dataset.part.give("data") != "images":
        return None
    written, place = _setting(finder.suite, dataset, "extractor")
    if written is None:
        name = dataset.part.give("extractor", "")
        return finder.part("extractor", Choice(name), f"{dataset.place}, its extractor") if name else None
    extractor = finder.part("extractor", written, place)
    mismatch = extractor_mismatch(extractor, dataset.part)
    if mismatch:
        raise SuiteError(f"{place}: {mismatch}")
    return extractor


def _setting(suite: Suite, dataset: _Found, name: str) -> tuple[Any, str]:
    """One setting of the evaluation on a data set, the last override's if there is one, and where it is written."""
    value, place = getattr(suite, name), suite.at("evaluation", name)
    labels = {"dataset": names_of(dataset.written) | names_of(dataset.part.choice)}
    for number, override in enumerate(suite.overrides):
        changed = getattr(override.evaluation, name, None)
        if changed is not None and picks(override.globs(), labels):
            value, place = changed, suite.at("override", number, "evaluation", name)
    return value, place


def _variant(generator: Part, discriminator: Part, objective: tuple[Part, ...]) -> Variant:
    loss, *penalties = (part.choice for part in objective)
    return Variant(generator.choice, discriminator.choice, loss, tuple(penalties))
