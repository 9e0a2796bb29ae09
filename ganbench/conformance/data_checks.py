"""Checks of data sets, metrics and extractors: the same every time, and as they are declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from ganbench.building import build_metrics, load_extractor, need_training
from ganbench.conformance.findings import Breach, NotChecked, plainly
from ganbench.conformance.subjects import Subject
from ganbench.conformance.watching import no_global_draw
from ganbench.contracts import Part, extractor_mismatch, metric_mismatch, shape_of
from ganbench.errors import ChoiceError, DataError, PluginError
from ganbench.extraction import extract
from ganbench.metrics import Evaluator
from ganbench.protocols import Data, Extractor
from ganbench.seeding import global_stream, stream
from ganbench.terms import Score
from ganbench.workshop import load_data

SAMPLES = 300
"""Samples a side that metrics compare."""

Result = TypeVar("Result")


def needing_files(make: Callable[[], Result]) -> Result:
    """What `make` gives. Raises NotChecked where files or weights are missing, which are not the component's fault."""
    try:
        return make()
    except (DataError, ChoiceError) as error:
        raise NotChecked(f"it needs what is not here: {str(error).partition(chr(10))[0]}") from error
    except PluginError as error:
        if isinstance(error.__cause__, ChoiceError | ImportError):
            raise NotChecked(f"it needs what is not here: {error.__cause__}") from error
        raise


def _must_be_set(subject: Subject) -> None:
    required = [item.name for item in subject.parameters if item.required]
    if required:
        raise NotChecked(f"parameter `{required[0]}` has no default: nothing to load without it")


def loaded(subject: Subject) -> Data:
    """The data set, as the core checks it."""
    _must_be_set(subject)
    with plainly("what its contract states under `gives`", "make the contract say what the data are, or the reverse"):
        return needing_files(lambda: load_data(subject.ground.workshop, subject.choice))


def check_data(subject: Subject) -> None:
    """Shapes, types, classes, splits, modes and density as the contract states them."""
    loaded(subject)


def check_repeats(subject: Subject) -> None:
    """The same parameters, the same bits, and nothing drawn from global random numbers."""
    with no_global_draw("draw from a torch.Generator with a seed of your own"):
        first = loaded(subject)
    second = loaded(subject)
    for name in ("train", "heldout", "train_labels", "heldout_labels"):
        one, other = getattr(first, name), getattr(second, name)
        if isinstance(one, Tensor) and not torch.equal(one, other):
            raise Breach(f"loaded twice, `{name}` differs", "the same bits", "a fixed seed, and files in sorted order")


def check_disjoint(subject: Subject) -> None:
    """No held-out sample is among the training samples."""
    data = loaded(subject)
    train = set(_rows(data.train))
    both = sum(row in train for row in _rows(data.heldout))
    if both:
        raise Breach(
            f"{both} of {len(data.heldout)} held-out samples are among the training samples",
            "disjoint splits: scores on seen samples say nothing",
            "split before you augment or stack, and drop duplicates",
        )


def _rows(samples: Tensor) -> list[bytes]:
    flat = samples.reshape(len(samples), -1).contiguous().numpy()
    return [row.tobytes() for row in flat]


DATASETS = ("ring8", "two-scales", "digits", "stacked-digits")
"""What metrics and extractors are tried on: the first that suits."""


def _extractor_of(subject: Subject, dataset: Part) -> Part | None:
    name = dataset.give("extractor", "")
    return subject.ground.part("extractor", name) if name else None


def check_scores(subject: Subject) -> None:
    """Scores as declared, in one order, the same twice, and nothing else changed or drawn."""
    evaluator, data = _evaluator(subject)
    fake = _other_samples(data, evaluator.count)
    labels = torch.arange(evaluator.count) % max(1, len(data.class_names))
    asked = labels if data.train_labels is not None else None
    with plainly(
        "scores as the component's `measures` declare them", "declare a Measure for each score, with its range"
    ):
        first = evaluator.scores(fake, asked)
        second = evaluator.scores(fake, asked)
    if _told(first) != _told(second):
        raise Breach(
            "the same samples get other scores the second time",
            "a pure function of its evidence",
            "draw from stream(evidence.rng_seed, …) alone, and keep nothing from call to call",
        )
    declared = [measure.name for measure in subject.component.measures]
    places = [
        next(n for n, measure in enumerate(subject.component.measures) if measure.fits(score.name)) for score in first
    ]
    if places != sorted(places):
        raise Breach(f"the order {', '.join(score.name for score in first)}", ", ".join(declared), "give them in order")


def _told(scores: tuple[Score, ...]) -> list[tuple[str, str]]:
    return [(score.name, repr(score.value)) for score in scores]


def check_metric_random(subject: Subject) -> None:
    """A metric draws from generators of its own, never from global ones, and does not seed them."""
    evaluator, data = _evaluator(subject)
    fake = _other_samples(data, evaluator.count)
    labels = torch.arange(evaluator.count) % max(1, len(data.class_names)) if data.train_labels is not None else None
    with global_stream(0, "conformance"), no_global_draw("draw from stream(evidence.rng_seed, …)"):
        state = torch.get_rng_state()
        evaluator.scores(fake, labels)
        seeded = not torch.equal(state, torch.get_rng_state())
    if seeded:
        raise Breach("torch's global generator was seeded", "it left alone", "use a torch.Generator of your own")


def _evaluator(subject: Subject) -> tuple[Evaluator, Data]:
    ground, reason = subject.ground, "no data set that it applies to is installed"
    for name in DATASETS:
        dataset = ground.part("dataset", name)
        extractor = _extractor_of(subject, dataset)
        mismatch = metric_mismatch(subject.part, dataset, extractor)
        if mismatch is None:
            return _evaluator_on(subject, dataset, extractor)
        reason = mismatch
    raise NotChecked(reason)


def _evaluator_on(subject: Subject, dataset: Part, extractor: Part | None) -> tuple[Evaluator, Data]:
    workshop = subject.ground.workshop
    data = _few(subject.ground.data(dataset.choice))
    network: Extractor | None = None
    if extractor is not None:
        network = needing_files(lambda: load_extractor(workshop, extractor.choice, data))
    metrics = build_metrics(workshop, [subject.choice])
    training = need_training(workshop, [subject.choice])
    return Evaluator(data, metrics, network, SAMPLES, training=training), data


def _few(data: Data) -> Data:
    """The first samples of each split: enough to see whether a metric keeps its word."""
    count = 2 * SAMPLES
    return replace(
        data,
        train=data.train[:count],
        heldout=data.heldout[:count],
        train_labels=None if data.train_labels is None else data.train_labels[:count],
        heldout_labels=None if data.heldout_labels is None else data.heldout_labels[:count],
    )


def _other_samples(data: Data, count: int) -> Tensor:
    chosen = torch.randperm(len(data.train), generator=stream(0, "conformance samples"))[:count]
    return data.train[chosen]


def check_features(subject: Subject) -> None:
    """Features and logits of the shapes declared, the same twice, for every number of channels that it takes."""
    ground, reason = subject.ground, "no data set that it could look at is installed"
    checked = False
    for name in ("digits", "stacked-digits"):
        dataset = ground.part("dataset", name)
        mismatch = extractor_mismatch(subject.part, dataset)
        if mismatch is not None:
            reason = mismatch
            continue
        _check_features(subject, dataset)
        checked = True
    if not checked:
        raise NotChecked(reason)


def _check_features(subject: Subject, dataset: Part) -> None:
    data = _few(subject.ground.data(dataset.choice))
    with plainly("an Extractor as its contract states it", "let the Extractor's fields say what its module gives"):
        extractor = needing_files(lambda: load_extractor(subject.ground.workshop, subject.choice, data))
        images = data.heldout[:8]
        with no_global_draw("draw nothing"):
            first = extract(extractor, images)
        second = extract(extractor, images)
    if any(not torch.equal(first[name], second[name]) for name in first):
        raise Breach("the same images get other features the second time", "the same bits", "no dropout, no noise")
    assert shape_of(dataset.component, dataset.choice)  # images: a mismatch was looked for


def check_executor(subject: Subject) -> None:
    """It is built with a number of workers, and has what the runner calls."""
    executor = subject.ground.workshop.make("executor", subject.choice, 1)
    missing = [name for name in ("submit", "__enter__", "__exit__") if not callable(getattr(executor, name, None))]
    if missing:
        raise Breach(
            f"it has no `{missing[0]}`",
            "`submit(tasks, limits) -> Future`, and a context that ends all of it",
            "see ganbench.executors.LocalProcesses",
        )
