"""How each data set is measured: the metrics that apply to it, the extractor, and the number of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ganbench.choices import resolve
from ganbench.contracts import Part, check_part, extractor_mismatch, metric_mismatch, needs_extractor
from ganbench.errors import ChoiceError, PluginError, SuiteError, suggest
from ganbench.plugins import Registry
from ganbench.selection import names_of, picks
from ganbench.settings import Objective
from ganbench.suite import Key, Suite
from ganbench.terms import Choice, Evaluation, Kind

DEFAULT_SAMPLES = 5_000
"""Samples to compare where neither the suite nor the data set says how many."""

DEFAULT_METRICS = tuple(
    Choice(name)
    for name in (
        "frechet",
        "kernel",
        "precision-recall",
        "density-coverage",
        "classes",
        "modes",
        "sliced-wasserstein",
        "log-likelihood",
    )
)
"""What is measured where a suite does not say, each metric on the data that it applies to."""


@dataclass(frozen=True)
class Asked:
    """How something that is not trained is to be measured. What is not asked for is as `suite` has it, or by default.

    `data` is the option that named the data set; the other messages name theirs.
    """

    dataset: Choice
    data: str = "--dataset"
    suite: Suite | None = None
    metrics: tuple[Choice, ...] = ()
    extractor: Choice | None = None
    samples: int | None = None


def measured_as(asked: Asked, registry: Registry) -> tuple[Part, Evaluation]:
    """The data set with every parameter known, and how it is measured: at once, for there is no curve.

    With a suite, as that suite measures this data set. Raises SuiteError for what does not fit what is installed.
    """
    finder = Finder(registry, lambda *keys: _OPTIONS.get(str(keys[0]), asked.data))
    dataset = finder.find("dataset", asked.dataset, "datasets")
    wishes = _asked_wishes(asked, finder, dataset)
    if asked.metrics:
        wishes = replace(wishes, metrics=tuple(finder.find_all("metric", asked.metrics, "metrics")))
    if asked.extractor is not None:
        wishes = replace(wishes, extractor=asked.extractor, extractor_place=finder.at("extractor"))
    evaluation = _evaluation(finder, dataset, replace(wishes, points=(1.0,), samples=asked.samples or wishes.samples))
    _check_metrics(wishes.metrics if asked.metrics else (), [(dataset, evaluation)])
    return dataset.part, evaluation


_OPTIONS = {"metrics": "--metric", "extractor": "--extractor"}


def _asked_wishes(asked: Asked, finder: Finder, dataset: Found) -> _Wishes:
    """What the suite wishes for the data set, or nothing but ganbench's own metrics."""
    if asked.suite is None:
        return _Wishes(tuple(finder.find_all("metric", DEFAULT_METRICS, "metrics")), (1.0,))
    of_suite = Finder(finder.registry, asked.suite.at)
    found = of_suite.find_all("dataset", asked.suite.datasets, "datasets")
    same = [item for item in found if item.part.choice == dataset.part.choice]
    if not same:
        known = suggest(str(dataset.part), (str(item.part) for item in found))
        raise SuiteError(f"{dataset.place}: {asked.suite.at()} has no data set {dataset.part}.{known}")
    return _wishes(asked.suite, of_suite, same[0])


def measured(suite: Suite, finder: Finder) -> list[tuple[Found, Evaluation]]:
    """Each data set and how it is measured."""
    if suite.extractor is not None:  # even where no data set needs it: a slip must not pass in silence
        finder.find("extractor", suite.extractor, "evaluation", "extractor")
    datasets = finder.find_all("dataset", suite.datasets, "datasets")
    wishes = [_wishes(suite, finder, dataset) for dataset in datasets]
    measured = [(dataset, _evaluation(finder, dataset, wish)) for dataset, wish in zip(datasets, wishes, strict=True)]
    if suite.metrics:
        _check_metrics(wishes[0].metrics, measured)
    return measured


@dataclass(frozen=True)
class _Wishes:
    """How one data set is to be measured, as far as somebody said so."""

    metrics: tuple[Found, ...]
    points: tuple[float, ...]
    samples: int | None = None
    extractor: Choice | None = None
    extractor_place: str = ""


def _wishes(suite: Suite, finder: Finder, dataset: Found) -> _Wishes:
    metrics = finder.find_all("metric", suite.metrics or DEFAULT_METRICS, "metrics")
    points, _ = _setting(suite, dataset, "points")
    samples, _ = _setting(suite, dataset, "samples")
    return _Wishes(tuple(metrics), points, samples, *_setting(suite, dataset, "extractor"))


def _evaluation(finder: Finder, dataset: Found, wishes: _Wishes) -> Evaluation:
    metrics = wishes.metrics
    extractor = _extractor(finder, dataset, wishes) if any(needs_extractor(metric.part) for metric in metrics) else None
    reasons = [metric_mismatch(metric.part, dataset.part, extractor) for metric in metrics]
    applying = [metric.part for metric, reason in zip(metrics, reasons, strict=True) if reason is None]
    if not applying:
        raise SuiteError(f"{dataset.place}: no metric applies: {'; '.join(filter(None, reasons))}")
    used = extractor if any(needs_extractor(metric) for metric in applying) else None
    return Evaluation(
        wishes.points,
        # Sorted, so that the order in a file does not change a trial's key.
        tuple(sorted(dict.fromkeys(metric.choice for metric in applying), key=_metric_order)),
        wishes.samples or dataset.part.give("samples", DEFAULT_SAMPLES),
        used.choice if used else None,
    )


def _metric_order(metric: Choice) -> tuple[int, str]:
    names = [choice.name for choice in DEFAULT_METRICS]
    return names.index(metric.name) if metric.name in names else len(names), str(metric)


def _check_metrics(metrics: Sequence[Found], measured: Sequence[tuple[Found, Evaluation]]) -> None:
    """Refuse a metric that was asked for and applies to none of the data sets."""
    used = {choice for _, evaluation in measured for choice in evaluation.metrics}
    for metric in metrics:
        if metric.part.choice not in used:
            names = ", ".join(str(dataset.part) for dataset, _ in measured)
            raise SuiteError(f"{metric.place}: metric {metric.part} applies to none of the data sets ({names})")


def _extractor(finder: Finder, dataset: Found, wishes: _Wishes) -> Part | None:
    """The extractor for images: the one that was asked for or, where none was, the data set's."""
    if dataset.part.give("data") != "images":
        return None
    written, place = wishes.extractor, wishes.extractor_place
    if written is None:
        name = dataset.part.give("extractor", "")
        return finder.part("extractor", Choice(name), f"{dataset.place}, its extractor") if name else None
    extractor = finder.part("extractor", written, place)
    mismatch = extractor_mismatch(extractor, dataset.part)
    if mismatch:
        raise SuiteError(f"{place}: {mismatch}")
    return extractor


def _setting(suite: Suite, dataset: Found, name: str) -> tuple[Any, str]:
    """One setting of the evaluation on a data set, the last override's if there is one, and where it is written."""
    value, place = getattr(suite, name), suite.at("evaluation", name)
    labels = {"dataset": names_of(dataset.written) | names_of(dataset.part.choice)}
    for number, override in enumerate(suite.overrides):
        changed = getattr(override.evaluation, name, None)
        if changed is not None and picks(override.globs(), labels):
            value, place = changed, suite.at("override", number, "evaluation", name)
    return value, place


_HEADS: tuple[Kind, ...] = ("loss", "method")
_ADDED: tuple[Kind, ...] = ("penalty", "augmentation", "method")


@dataclass(frozen=True)
class Found:
    """A choice as it was written and where, and the component that it names with every parameter known."""

    written: Choice
    place: str
    part: Part
    kind: Kind


@dataclass(frozen=True)
class Finder:
    """Looks up what somebody names; a failure carries the place, which `at` says."""

    registry: Registry
    at: Callable[..., str]

    def find(self, kind: Kind, written: Choice, *keys: Key) -> Found:
        """The choice that is written at `keys`."""
        place = self.at(*keys)
        return Found(written, place, self.part(kind, written, place), kind)

    def find_all(self, kind: Kind, written: Sequence[Choice], *keys: Key) -> list[Found]:
        """The choices in the list at `keys`."""
        return [self.find(kind, choice, *keys, number) for number, choice in enumerate(written)]

    def objective(self, written: Objective, *keys: Key) -> tuple[Found, ...]:
        """The loss at `keys`, or the method that stands alone there, then what is added to it.

        Raises SuiteError where two augmentations or two methods are.
        """
        head, added = written
        parts = [self.find(self._kind_of(_HEADS, head, *keys), head, *keys)]
        parts += [self.find(self._kind_of(_ADDED, choice, *keys), choice, *keys) for choice in added]
        if parts[0].kind == "method" and added:
            what = f"{head} is a method, and what stands alone takes nothing beside it"
            raise SuiteError(f"{self.at(*keys)}: {what}. A method that goes with a loss is written behind one")
        for kind in ("augmentation", "method"):
            several = [str(part.written) for part in parts if part.kind == kind]
            if len(several) > 1:
                raise SuiteError(f"{self.at(*keys)}: expected at most one {kind}, got {' and '.join(several)}")
        return tuple(parts)

    def _kind_of(self, kinds: Sequence[Kind], choice: Choice, *keys: Key) -> Kind:
        try:
            return self.registry.kind_of(kinds, choice)
        except ChoiceError as error:
            raise SuiteError(f"{self.at(*keys)}: {error}") from error

    def part(self, kind: Kind, written: Choice, place: str) -> Part:
        """The component that is written at `place`. Raises SuiteError, or PluginError for a contract that is broken."""
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
