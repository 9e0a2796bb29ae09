"""Recorded attempts as rows of a table: what their files say, and what each can be compared with."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ganbench.store import Attempt, Store, find_stores
from ganbench.terms import Choice, Job, JobKind, Record, Reference, Score, Submission, Training, Trial, Variant, kind_of

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
        evaluation = self.job.evaluation
        return _canonical(self.job.dataset, evaluation.samples, evaluation.extractor, evaluation.metrics)

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """How each of its scores was measured: all that a record says of a score but its value and its noise."""
        scores = (asdict(replace(score, value=None, noise=None)) for score in self.record.scores)
        return tuple(sorted(_canonical(score) for score in scores))

    @property
    def setting(self) -> Setting:
        """What it tells of how, on which data and where it was measured; empty where it did not come to that."""
        data, device = (str(self.environment.get(name, "")) for name in ("data", "device"))
        return Setting(self.measured, data, device)

    @property
    def asked(self) -> Hashable:
        """What was asked for that a course may depend on, whatever the variant."""
        job = self.job
        return (self.plan, job.training.precision, job.budget) if isinstance(job, Trial) else None

    @cached_property
    def course(self) -> Course | None:
        """How it trained; None where nothing was to be trained, or it did not come to tell."""
        if not isinstance(self.job, Trial) or not self.environment:
            return None
        usual = Course()
        return Course(*(str(self.environment.get(name, known)) for name, known in usual._asdict().items()))


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
    """The newest recorded attempt at each job at `path`, in the order of a table's rows."""
    stores = [(store.path.resolve().name, store) for store in find_stores(path)]
    found = [
        Entry(suite, attempt, attempt.job(), attempt.record(), attempt.environment())
        for suite, store in stores
        for attempt in _latest(store)
    ]
    return sorted(found, key=_place)


def usual_of(entries: Sequence[Entry]) -> Usual:
    """What is usual among `entries`."""
    settings = _most_common((entry.plan, entry.setting) for entry in entries if entry.measured)
    courses = _most_common((entry.asked, entry.course) for entry in entries if entry.course)
    return Usual(settings, courses)


def cells(entry: Entry, usual: Usual) -> dict[str, Any]:
    """The entry's row but for its scores and costs, by column."""
    record = entry.record
    setting = usual.setting(entry)
    evaluation = [entry.plan, setting.measured, setting.data]
    return {
        "suite": entry.suite,
        "kind": record.kind,
        "key": entry.attempt.key,
        "attempt": entry.attempt.number,
        "status": record.status,
        "message": record.message,
        "failed_step": record.failed_step,
        "dataset": str(entry.job.dataset),
        **_job_cells(entry, evaluation, setting.device, usual.course(entry)),
        "evaluation_protocol": _hash(evaluation),
        **vars(record.spent),
        **_environment_cells(entry),
        **_provenance(record.scores),
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "path": str(entry.attempt.path),
    }


_KINDS: tuple[JobKind, ...] = ("reference", "trial", "evaluated")
"""The order in which rows of a data set stand."""


def _place(entry: Entry) -> tuple[Any, ...]:
    """Where a row stands: by suite and data set, references first, then trials by variant and seed, then the rest."""
    job = entry.job
    trial = (str(job.variant), job.seed) if isinstance(job, Trial) else (job.name, 0)
    return (entry.suite, str(job.dataset), _KINDS.index(kind_of(job)), *trial, entry.attempt.key)


def _latest(store: Store) -> Iterable[Attempt]:
    """The newest committed attempt at each key: attempts come oldest first, so the last one stays."""
    return {attempt.key: attempt for attempt in store.attempts() if attempt.committed}.values()


def _job_cells(entry: Entry, evaluation: Sequence[Any], device: str, course: Course) -> dict[str, Any]:
    job = entry.job
    if isinstance(job, Submission):
        own = {"generator": job.source, "recipe": entry.attempt.key[:8]}
        return {"variant": job.name, **own, "protocol": _hash(evaluation)}
    if isinstance(job, Reference):
        return {"variant": job.name, "protocol": _hash(evaluation)}
    conditions = _conditions(job, device, course)
    overshoot = job.budget.overshoot(entry.record.spent)
    return {
        "variant": str(job.variant),
        "generator": str(job.variant.generator),
        "discriminator": str(job.variant.discriminator),
        "loss": job.variant.objective,
        "seed": job.seed,
        "training": _differences(job.training),
        "recipe": _recipe(job),
        "protocol": _hash([evaluation, job.budget, conditions]),
        "budget": str(job.budget),
        "conditions": conditions,
        **{f"overshoot_{axis}": value for axis, value in overshoot.items()},
    }


def _conditions(trial: Trial, device: str, course: Course) -> str:
    """What trials that are ranked together share besides budget and measuring: the precision that they came to and,
    where device time is the budget, what buys more or less for it.
    """
    conditions = [] if course.precision == "float32" else [f"precision {course.precision}"]
    if trial.budget.device_seconds is not None:
        conditions += [f"device {device}", f"driver {course.driver}"]
    return " · ".join(conditions)


def _recipe(trial: Trial) -> str:
    """A hash of how the variant trains; not of the precision asked for, which a device may not have."""
    training = replace(trial.training, precision="float32")
    return _hash([training, [(choice.defaults, choice.code) for choice in _choices(trial.variant)]])


def _choices(variant: Variant) -> tuple[Choice, ...]:
    return (variant.generator, variant.discriminator, variant.loss, *variant.penalties)


@lru_cache
def _differences(training: Training) -> str:
    """`batch_size=32, discriminator.betas=[0.0, 0.9]`: what is not as in `Training()`."""
    usual, actual = _flat(asdict(Training())), _flat(asdict(training))
    return ", ".join(f"{name}={_written(value)}" for name, value in actual.items() if value != usual[name])


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _written(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, str) else value


def _environment_cells(entry: Entry) -> dict[str, Any]:
    """Where it ran and, of a trial, how. What was recorded before there were drivers trained eagerly and alone."""
    environment = entry.environment
    found = {name: str(environment.get(name, "")) for name in ("device", "device_kind", "ganbench", "python")}
    found["torch"] = str(environment.get("packages", {}).get("torch", ""))
    if entry.course is None:
        return found
    together = environment.get("seeds_together")
    return {
        **found,
        **entry.course._asdict(),
        "seeds_together": together if type(together) is int else 1,
        "driver_reason": str(environment.get("driver_reason", "")),
    }


def _provenance(scores: Sequence[Score]) -> dict[str, Any]:
    """How the first score that uses an extractor was measured, else the first score."""
    names = ("extractor", "weights_sha256", "n_fake", "n_real", "split")
    told = next((score for score in scores if score.extractor), scores[0] if scores else None)
    return {name: getattr(told, name) for name in names} if told else {}


def _most_common(pairs: Iterable[tuple[Any, Told]]) -> dict[Any, Told]:
    """By key, the value that it has most often."""
    counts: dict[Any, Counter[Told]] = {}
    for key, value in pairs:
        counts.setdefault(key, Counter())[value] += 1
    return {key: counter.most_common(1)[0][0] for key, counter in counts.items()}


def _canonical(*parts: Any) -> str:
    return json.dumps(parts, default=vars, sort_keys=True)


def _hash(part: Any) -> str:
    return hashlib.sha256(_canonical(part).encode()).hexdigest()[:8]
