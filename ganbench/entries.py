"""Recorded attempts: what their files say, and what is usual among them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ganbench.errors import ResultsError
from ganbench.parsing import once
from ganbench.store import RECORD, TRIAL, Attempt, find_stores
from ganbench.terms import Choice, Evaluation, Job, JobKind, Record, Score, Trial, Variant, kind_of

Told = TypeVar("Told", bound=Hashable)


class Setting(NamedTuple):
    """What a row must share with others to be compared, as far as only a run can tell it."""

    measured: tuple[str, ...] = ()
    data: str = ""
    device: str = ""


class Course(NamedTuple):
    """How a trial trained, as far as only a run can tell it."""

    driver: str = "eager"
    precision: str = "float32"


@dataclass(frozen=True)
class Entry:
    """A recorded attempt and what its files say."""

    suite: str
    attempt: Attempt
    job: Job
    record: Record
    environment: Mapping[str, Any]

    @cached_property
    def plan(self) -> str:
        """Text of what was asked to be compared with what."""
        return _plan(self.job.dataset, self.job.evaluation)

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """How each of its scores was measured: all that a record says of a score but its value and its noise."""
        return _measured(tuple(map(_way, self.record.scores)))

    @property
    def setting(self) -> Setting:
        """What it tells of how, on which data and where it was measured; empty where it did not come to that."""
        environment = self.environment
        return Setting(self.measured, str(environment.get("data", "")), str(environment.get("device", "")))

    @property
    def asked(self) -> Hashable:
        """What was asked for that a course may depend on, whatever the variant."""
        job = self.job
        return (self.plan, job.training.precision, job.budget) if isinstance(job, Trial) else None

    @cached_property
    def course(self) -> Course | None:
        """How it trained; None where nothing was to be trained, or it did not come to tell."""
        return course_of(self.environment) if isinstance(self.job, Trial) and self.environment else None


@dataclass(frozen=True)
class Usual:
    """What most of those that tell have in common: a failure may not have come to tell, yet belongs beside them."""

    settings: Mapping[str, Setting]
    courses: Mapping[Hashable, Course]

    def setting(self, entry: Entry) -> Setting:
        """The entry's setting, with what it does not tell filled in."""
        own, usual = entry.setting, self.settings.get(entry.plan, Setting())
        return Setting(own.measured or usual.measured, own.data or usual.data, own.device or usual.device)

    def course(self, entry: Entry) -> Course:
        """The trial's course, or that of the others."""
        return entry.course or self.courses.get(entry.asked, Course())


def find_entries(path: Path) -> list[Entry]:
    """The newest recorded attempt at each job at `path`, in the order of a table's rows. Raises ResultsError."""
    try:
        stores = [(store.path.resolve().name, store) for store in find_stores(path)]
        found = [_entry(suite, attempt) for suite, store in stores for attempt in store.newest()]
    except OSError as error:  # a link to itself, a folder that may not be listed, a name that is too long
        raise ResultsError(f"{error.filename or path}: cannot be read ({error.strerror})") from error
    return sorted(found, key=_place)


def _entry(suite: str, attempt: Attempt) -> Entry:
    job, record = attempt.job(), attempt.record()
    if record.kind != (kind := kind_of(job)):
        raise ResultsError(f"{attempt.path / RECORD}: kind '{record.kind}', but {TRIAL} beside it describes '{kind}'")
    return Entry(suite, attempt, job, record, attempt.environment())


def usual_of(entries: Sequence[Entry]) -> Usual:
    """What is usual among `entries`."""
    settings = _most_common((entry.plan, entry.setting) for entry in entries if entry.measured)
    courses = _most_common((entry.asked, entry.course) for entry in entries if entry.course)
    return Usual(settings, courses)


_KINDS: tuple[JobKind, ...] = ("reference", "trial", "evaluated")
"""The order in which rows of a data set stand."""


def _place(entry: Entry) -> tuple[Any, ...]:
    """Where a row stands: by suite and data set, references first, then trials by variant and seed, then the rest."""
    job = entry.job
    trial = (names_of(job.variant)["variant"], job.seed) if isinstance(job, Trial) else (job.name, 0)
    return (entry.suite, text_of(job.dataset), _KINDS.index(kind_of(job)), *trial, entry.attempt.key)


text_of = once(str)


@once
def names_of(variant: Variant) -> Mapping[str, str]:
    """What a row calls the variant and its parts, by column."""
    return {
        "variant": str(variant),
        "generator": str(variant.generator),
        "discriminator": str(variant.discriminator),
        "loss": variant.objective,
    }


@once
def _plan(dataset: Choice, evaluation: Evaluation) -> str:
    return canonical(dataset, evaluation.samples, evaluation.extractor, evaluation.metrics)


@once
def course_of(environment: Mapping[str, Any]) -> Course:
    """How a trial trained in that environment; eagerly and in float32 where it is older than the choice."""
    return Course(*(str(environment.get(name, usual)) for name, usual in Course()._asdict().items()))


def _most_common(pairs: Iterable[tuple[Any, Told]]) -> dict[Any, Told]:
    """By key, the value that it has most often."""
    counts: dict[Any, Counter[Told]] = {}
    for key, value in pairs:
        counts.setdefault(key, Counter())[value] += 1
    return {key: counter.most_common(1)[0][0] for key, counter in counts.items()}


_WAYS = tuple(item.name for item in fields(Score) if item.name not in ("value", "noise"))
_way = attrgetter(*_WAYS)


@lru_cache(maxsize=1024)
def _measured(ways: tuple[tuple[Any, ...], ...]) -> tuple[str, ...]:
    """Texts of how scores were measured, in the order of the texts; many records have the same."""
    scores = (Score(value=None, **dict(zip(_WAYS, way, strict=True))) for way in ways)
    return tuple(sorted(map(canonical, scores)))


def canonical(*parts: Any) -> str:
    """The one text for equal parts."""
    return json.dumps(parts, default=vars, sort_keys=True)
