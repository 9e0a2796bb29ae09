"""Runs a plan: what has no record yet is trained and measured, and nothing is done twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from ganbench import history
from ganbench.executors import LocalProcesses, default_workers, device_slots, loss_of
from ganbench.protocols import Places
from ganbench.store import Store
from ganbench.tasks import Source, Task, commit_loss, now
from ganbench.terms import Choice, Job, Record, Submission

TICK_SECONDS = 0.25

OWN_FILES = "path"
"""The parameter of data sets in files of the user's own, whose content may change between runs."""

Redo = Literal["missing", "failed", "all"]
"""Which jobs to do: those without a record, those that failed as well, or each."""


@dataclass(frozen=True)
class Settings:
    """How jobs are run on this machine. Of all this only the plugins' code is part of what a trial is.

    `source` is where the submission among the jobs lies, if there is one.
    """

    places: Places = Places()
    device: str = "auto"
    workers: int | None = None
    plugin_files: tuple[Path, ...] = ()
    redo: Redo = "missing"
    timeout_seconds: float | None = None
    source: Source | None = None


class View(Protocol):
    """Somebody who watches a run."""

    def preparing(self, job: Job) -> None:
        """What all jobs like this one begin with is being made: data, features of real ones, perhaps a classifier."""
        ...

    def started(self, task: Task) -> None:
        """A job has been given to a process."""
        ...

    def finished(self, task: Task, record: Record) -> None:
        """A job has its record."""
        ...

    def tick(self, running: Iterable[Task]) -> None:
        """A moment has passed."""
        ...


Origins = Mapping[Choice, str]
"""Of data sets in files of the user's own: where their samples come from now, content's hash included."""


def to_do(jobs: Sequence[Job], store: Store, redo: Redo, origins: Origins | None = None) -> list[Job]:
    """The jobs that have no record; with `failed`, those whose newest record is not `ok` as well; with `all`, each.

    A record of other data than there are now, by `origins`, does not count.
    """
    return [job for job in jobs if redo == "all" or _is_open(job, store, redo, origins or {})]


def _is_open(job: Job, store: Store, redo: Redo, origins: Origins) -> bool:
    latest = store.latest(job.key)
    if latest is None or (redo == "failed" and latest.record().status != "ok"):
        return True
    measured = latest.environment().get("data")
    return measured is not None and origins.get(job.dataset, measured) != measured


def present_origins(jobs: Sequence[Job], store: Store, settings: Settings) -> Origins:
    """What the files of the user's own hold now that jobs with a record were done on.

    A trial's key has their path, and not their content. Raises DataError where they cannot be read any more.
    """
    recorded = {job.dataset for job in jobs if job.dataset.get(OWN_FILES) and store.latest(job.key)}
    if not recorded:
        return {}
    with LocalProcesses(1) as executor:
        return {dataset: executor.origin(dataset, settings.places, settings.plugin_files) for dataset in recorded}


def run(jobs: Sequence[Job], store: Store, settings: Settings, view: View) -> list[Record]:
    """Do the jobs and give their records in the order in which they ended. A failed job is a record too.

    Raises DataError, before anything is trained, where data or weights are missing.
    """
    records: list[Record] = []
    if not jobs:
        return records
    workers = min(settings.workers or default_workers(), len(jobs))
    with LocalProcesses(workers) as executor:
        free = deque(device_slots(executor, settings.device, workers)[:workers])
        for job in {(job.dataset, replace(job.evaluation, points=())): job for job in jobs}.values():
            view.preparing(job)
            executor.prepare(job, settings.places, free[0], settings.plugin_files)
        waiting = deque(jobs)
        running: dict[Future[None], tuple[Task, str]] = {}
        while waiting or running:
            while waiting and free:
                task = _task(waiting.popleft(), store, settings, free.popleft())
                running[executor.submit(task, settings.timeout_seconds)] = (task, now())
                view.started(task)
            ended, _ = wait(running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in ended:
                task, started_at = running.pop(future)
                free.append(task.device)
                records.append(_settle(task, future, started_at))
                view.finished(task, records[-1])
            view.tick([task for task, _ in running.values()])
    return records


def _task(job: Job, store: Store, settings: Settings, device: str) -> Task:
    source = settings.source if isinstance(job, Submission) else None
    return Task(job, store.begin(job), settings.places, device, settings.plugin_files, source)


def _settle(task: Task, future: Future[None], started_at: str) -> Record:
    """The record of a task that has ended; written here if its process could not."""
    if not task.attempt.committed:
        return commit_loss(task, *loss_of(future.exception()), started_at)
    record = task.attempt.record()
    if record.status == "ok":
        history.remember(task.job, record.costs["wall_seconds"])
    return record
