"""From a request to evaluate something made elsewhere to the jobs that do it: what it is, against what, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ganbench.choices import parse_choice
from ganbench.crew import Settings, View
from ganbench.errors import ChoiceError, DataError, GanbenchError
from ganbench.evaluations import DEFAULT_SAMPLES, Asked, measured_as
from ganbench.imagefiles import existing
from ganbench.plan import references_of
from ganbench.plugins import Registry
from ganbench.protocols import Data, Places
from ganbench.runner import run
from ganbench.sources import Located, Request, locate
from ganbench.store import Attempt, Store
from ganbench.submissions import Samples, fingerprint, look_at, read_samples
from ganbench.suite import read_suite
from ganbench.tasks import Source
from ganbench.terms import Choice, Evaluation, Job, Record, Reference, Score, Submission
from ganbench.views import format_number
from ganbench.workshop import Workshop, load_data


@dataclass(frozen=True)
class Prepared:
    """What to do, where the submission lies, and what its reader must know of how it is compared.

    `origin` tells the data from others of the same name: a user's own folder may hold other images tomorrow.
    """

    submission: Submission
    references: tuple[Reference, ...]
    source: Source
    origin: str = ""
    notes: tuple[str, ...] = ()


def prepare(request: Request, registry: Registry, places: Places) -> Prepared:
    """The jobs that the request comes to. Raises GanbenchError for a request that cannot be met as it stands."""
    located = locate(request, registry)
    asked = _against(request, located.source) if request.against else _asked(request)
    dataset, evaluation = measured_as(asked, registry)
    if request.extractor and evaluation.extractor is None:
        reason = "no metric here needs one" if dataset.give("data") == "images" else f"{dataset} is no data set of them"
        raise GanbenchError(f"--extractor: turns images into features, and {reason}")
    data = load_data(Workshop(registry, places, torch.device("cpu")), dataset.choice)
    samples = read_samples(located.source, data) if located.source.kind == "samples" else None
    usual = min(evaluation.samples, _available(data))
    count = _count(request.count or usual, data, samples)
    if count != usual:
        evaluation = replace(evaluation, samples=count)
    references = references_of(dataset, evaluation)
    if not len(data.train):
        references = tuple(reference for reference in references if reference.name != "real_floor")
    submission = _submission(located, samples, dataset.choice, evaluation)
    notes = (*_notes_on_how(request, asked, evaluation, registry), *_notes(data, samples, count, usual))
    if request.count and count < request.count:
        notes = (f"Note: --count {request.count:,}: {count:,} is all that there is to compare.", *notes)
    return Prepared(submission, references, located.source, data.origin, notes)


def _available(data: Data) -> int:
    """How many samples can be compared with as many real ones: the evaluator's own rule."""
    return min(len(data.heldout), len(data.train) or len(data.heldout))


def _count(wanted: int, data: Data, samples: Samples | None) -> int:
    made = len(samples.samples) if samples else wanted
    return min(wanted, made, _available(data))


def _notes_on_how(request: Request, asked: Asked, evaluation: Evaluation, registry: Registry) -> Iterator[str]:
    """What is to be said of options that have it measured in another way than the suite does."""
    options = [f"--{name}" for name in ("metric", "extractor") if getattr(request, name)]
    if asked.suite is None or not options:
        return
    _, of_suite = measured_as(replace(asked, metrics=(), extractor=None), registry)
    if replace(of_suite, samples=evaluation.samples) != evaluation:
        yield (
            f"Note: with {' and '.join(options)} it is not measured as suite {asked.suite.name} measures it, "
            "so this row stands on a board of its own."
        )


def _notes(data: Data, samples: Samples | None, count: int, usual: int) -> Iterator[str]:
    if count != usual:
        yield (
            f"Note: {count:,} samples are compared, where this data set's others are compared with {usual:,}. "
            "Scores of different numbers of samples do not compare, so this row shares no board with those."
        )
    if not len(data.train):
        yield f"Note: all {len(data.heldout):,} real samples are compared with, so none is left to show a real floor."
    if samples and samples.strange:
        yield "Note: the samples lie in classes that are not the data set's, so that these are not used."


def _submission(located: Located, samples: Samples | None, dataset: Choice, evaluation: Evaluation) -> Submission:
    source = located.source
    sha256 = samples.sha256 if samples else fingerprint(source)
    return Submission(dataset, located.name, source.kind, sha256, evaluation, located.latent_dim, located.seed)


def measure(prepared: Prepared, store: Store, settings: Settings, view: View, *, force: bool = False) -> Attempt:
    """The attempt at the submission that counts, once it and the references that belong to it have been measured.

    What has a record that is `ok`, of the same data, is not measured again, unless `force` asks for the submission. The
    references wait for the submission: where it cannot be measured, they are not either.
    """
    settings = replace(settings, source=prepared.source)
    submission = prepared.submission
    run([submission] if force or not is_done(prepared, store) else [], store, settings, view)
    attempt = store.latest(submission.key)
    assert attempt is not None
    if attempt.record().status == "ok":
        missing = [job for job in prepared.references if not _is_measured(job, store, prepared.origin)]
        run(missing, store, settings, view)
    return attempt


def is_done(prepared: Prepared, store: Store) -> bool:
    """Whether the submission was measured before, against the same data."""
    return _is_measured(prepared.submission, store, prepared.origin)


def _is_measured(job: Job, store: Store, origin: str) -> bool:
    latest = store.latest(job.key)
    return latest is not None and latest.record().status == "ok" and latest.environment().get("data") == origin


def score_rows(prepared: Prepared, store: Store) -> list[Mapping[str, Any]]:
    """The submission's scores beside those of the references, a row each: rounded, with their own noise."""
    record = _latest(prepared.submission, store)
    titles = {"real_floor": "real data", "perfect": "perfect sampler", "noise": "noise"}
    beside = {reference.name: _scores(_latest(reference, store)) for reference in prepared.references}
    return [
        {
            "score": score.name,
            "value": _with_noise(score),
            **{title: _value(beside.get(name, {}).get(score.name)) for name, title in titles.items() if name in beside},
            "better": score.direction,
        }
        for score in (record.scores if record else ())
    ]


def _latest(job: Job, store: Store) -> Record | None:
    latest = store.latest(job.key)
    return latest.record() if latest else None


def _scores(record: Record | None) -> dict[str, Score]:
    return {score.name: score for score in record.scores} if record else {}


def _value(score: Score | None) -> str:
    return "–" if score is None or score.value is None else format_number(score.value)


def _with_noise(score: Score) -> str:
    return _value(score) if score.noise is None else f"{_value(score)} ± {format_number(score.noise)}"


def _asked(request: Request) -> Asked:
    """How to measure on a data set that has a name."""
    assert request.dataset is not None
    return Asked(
        _parsed(request.dataset, "--dataset"),
        suite=read_suite(request.suite) if request.suite else None,
        metrics=tuple(_parsed(metric, "--metric") for metric in request.metric),
        extractor=_parsed(request.extractor, "--extractor") if request.extractor else None,
    )


def _parsed(written: str, option: str) -> Choice:
    try:
        return parse_choice(written)
    except ChoiceError as error:
        raise ChoiceError(f"{option}: {error}") from error


def _against(request: Request, source: Source) -> Asked:
    """How to measure against a folder of images: half of them is held out if that leaves enough to compare with."""
    assert request.against is not None
    folder = existing(request.against).absolute()
    if not folder.is_dir():
        raise DataError(f"--against {folder}: not a folder. For a file write --dataset npz:FILE or --dataset tar:FILE")
    reals = look_at(folder, request.resolution, request.crop)
    fakes = look_at(source.path, request.resolution, request.crop) if source.kind == "samples" else None
    if fakes and fakes.resolution != reals.resolution:
        sizes = " and ".join(f"{look.resolution}×{look.resolution}" for look in (reals, fakes))
        raise DataError(f"--against {folder}: real images and samples are {sizes}. State --resolution and --crop")
    wanted = request.count or (fakes.count if fakes else DEFAULT_SAMPLES)
    choice = Choice("folder").with_parameters(
        path=str(folder),
        resolution=reals.resolution,
        channels=max(reals.channels, fakes.channels if fakes else 1),
        crop=request.crop or "exact",
        heldout=0.5 if reals.count >= 2 * wanted else 1.0,
    )
    asked = _asked(replace(request, dataset="folder"))
    return replace(asked, dataset=choice, data="--against", samples=wanted)
