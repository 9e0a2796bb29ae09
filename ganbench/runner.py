"""Runs a plan: what has no record yet is trained and measured, and nothing is done twice."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Literal, Protocol

from ganbench import history
from ganbench.drivers import Driver, Findings, Wish
from ganbench.executors import LocalProcesses, chosen_gpus, default_workers, loss_of
from ganbench.plugins import discover
from ganbench.protocols import Executor, Places
from ganbench.schedule import Group, Machine, Surveyed, schedule, slots, to_survey
from ganbench.store import Store
from ganbench.tasks import Source, Task, commit_loss, now
from ganbench.terms import Choice, Job, Record, Submission, Trial

TICK_SECONDS = 0.25

SURVEY_SECONDS = 120.0
"""When a variant's first steps take longer than this, its seeds train one by one."""

BUSY = 0.8
"""Below this share of a core that a trial got, the machine was busy with something else."""

OWN_FILES = "path"
"""The parameter of data sets in files of the user's own, whose content may change between runs."""

PROCESSES = Choice("processes")
"""The executor that runs jobs where nobody asks for another one."""

Redo = Literal["missing", "failed", "all"]
"""Which jobs to do: those without a record, those that failed as well, or each."""


@dataclass(frozen=True)
class Settings:
    """How jobs are run on this machine. Of all this only the plugins' code is part of what a trial is.

    `source` is where the submission among the jobs lies, if there is one. `workers` and `per_device` are how many
    processes run at a time, altogether and on each device; None leaves it to the machine's cores and memory.
    """

    places: Places = Places()
    device: str = "auto"
    workers: int | None = None
    plugin_files: tuple[Path, ...] = ()
    redo: Redo = "missing"
    timeout_seconds: float | None = None
    source: Source | None = None
    driver: Wish = "auto"
    per_device: int | None = None
    executor: Choice = PROCESSES


class View(Protocol):
    """Somebody who watches a run."""

    def preparing(self, job: Job) -> None:
        """What all jobs like this one begin with is being made: data, features of real ones, perhaps a classifier."""
        ...

    def surveying(self, variants: int) -> None:
        """So many variants take their first steps, which decide how they are trained."""
        ...

    def started(self, tasks: Sequence[Task]) -> None:
        """A process has been given a job, or several seeds of a variant."""
        ...

    def finished(self, task: Task, record: Record) -> None:
        """A job has its record."""
        ...

    def parted(self, tasks: Sequence[Task], reason: str) -> None:
        """These seeds could not go on together: each is to be done by itself, from the beginning."""
        ...

    def tick(self, running: Iterable[Sequence[Task]]) -> None:
        """A moment has passed. What is `running` are the jobs of each process that have no record yet."""
        ...

    def busy(self, share: float) -> None:
        """The machine did other work too: trials got this share of a core."""
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
    if not jobs:
        return []
    with LocalProcesses(1) as executor:
        gpus = chosen_gpus(executor, settings.device)
        for job in {(job.dataset, replace(job.evaluation, points=())): job for job in jobs}.values():
            view.preparing(job)
            executor.prepare(job, settings.places, next(iter(gpus), "cpu"), settings.plugin_files)
    machine = Machine(default_workers(), gpus, settings.workers, settings.per_device)
    surveyed = _survey(to_survey(jobs, settings.driver, machine), settings, machine, view)
    groups = schedule(jobs, surveyed, settings.driver, machine)
    places = slots(groups, surveyed, machine)
    with _executor(settings, len(places)) as executor:
        records = list(_Crew(executor, store, settings, view).work(groups, places))
    shares = [record.costs["processor_share"] for record in records if "processor_share" in record.costs]
    if shares and not gpus and statistics.median(shares) < BUSY:
        view.busy(statistics.median(shares))
    return records


def _executor(settings: Settings, workers: int) -> Executor:
    """What carries out the jobs."""
    registry = discover(settings.plugin_files)
    executor: Executor = registry.load("executor", settings.executor)(workers, **settings.executor.all_parameters())
    return executor


def _survey(variants: Sequence[Trial], settings: Settings, machine: Machine, view: View) -> Surveyed:
    """What is found out about each variant, several at a time."""
    if not variants:
        return {}
    view.surveying(len(variants))
    limit = min(SURVEY_SECONDS, settings.timeout_seconds or SURVEY_SECONDS)
    with LocalProcesses(min(machine.surveys, len(variants))) as executor:
        futures = {
            variant: executor.survey(variant, settings.places, device, settings.plugin_files, limit)
            for variant, device in zip(variants, cycle(machine.gpus or ["cpu"]), strict=False)
        }
        return {variant: _findings(future, limit) for variant, future in futures.items()}


def _findings(future: Future[Findings], limit: float) -> Findings:
    """What was found out; of a process that did not come back, that seeds had better train one by one."""
    error = future.exception()
    if error is None:
        return future.result()
    late = isinstance(error, TimeoutError)
    why = f"its first steps took longer than {limit:g} s" if late else f"in its first steps, {loss_of(error)[1]}"
    return Findings(refusals={"vectorised": why, "graph": why})


@dataclass
class _Running:
    """What one process is doing. `open` are the tasks of which no record has been seen yet."""

    tasks: tuple[Task, ...]
    started_at: str = field(default_factory=now)
    began: float = field(default_factory=time.monotonic)
    open: list[Task] = field(init=False)

    def __post_init__(self) -> None:
        self.open = list(self.tasks)

    def seconds_each(self) -> float:
        """How long the process has worked for each of its tasks."""
        return (time.monotonic() - self.began) / len(self.tasks)


class _Crew:
    """The processes of a run, and what each of them is doing."""

    def __init__(self, executor: Executor, store: Store, settings: Settings, view: View) -> None:
        self._executor, self._store, self._settings, self._view = executor, store, settings, view
        self._running: dict[Future[str], _Running] = {}
        self._shared: set[str] = set()

    def work(self, groups: Iterable[Group], places: Sequence[str]) -> Iterator[Record]:
        """Do the groups in their order, one on each place at a time, and give each record as soon as it is there."""
        waiting, free = deque(groups), deque(places)
        self._shared = {place for place in places if places.count(place) > 1}
        while waiting or self._running:
            while waiting and free:
                self._start(waiting.popleft(), free.popleft())
            ended, _ = wait(self._running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for running in self._running.values():
                yield from self._committed(running)
            for future in ended:
                running = self._running.pop(future)
                free.append(running.tasks[0].device)
                yield from self._committed(running)
                if len(running.tasks) > 1:
                    waiting.extendleft(reversed(self._parted(running, future)))
                else:
                    yield from self._lost(running, future)
            self._view.tick([running.open for running in self._running.values()])

    def _start(self, group: Group, device: str) -> None:
        tasks = tuple(self._task(job, device, group.driver) for job in group.jobs)
        limit = self._settings.timeout_seconds
        running = _Running(tasks)
        self._running[self._executor.submit(tasks, limit and limit * len(tasks))] = running
        self._view.started(tasks)

    def _task(self, job: Job, device: str, driver: Driver) -> Task:
        settings = self._settings
        source = settings.source if isinstance(job, Submission) else None
        attempt, alone = self._store.begin(job), device not in self._shared
        return Task(job, attempt, settings.places, device, settings.plugin_files, source, driver, alone)

    def _committed(self, running: _Running) -> Iterator[Record]:
        """The records that have come since the last time."""
        for task in [task for task in running.open if task.attempt.committed]:
            running.open.remove(task)
            record = task.attempt.record()
            if record.status == "ok":
                history.remember(task.job, running.seconds_each())
            self._view.finished(task, record)
            yield record

    def _parted(self, running: _Running, future: Future[str]) -> list[Group]:
        """What is left of seeds that went together, each by itself. Their attempts have no record: they never were."""
        if not running.open:
            return []
        error = future.exception()
        reason = loss_of(error)[1] if error else future.result() or loss_of(None)[1]
        self._view.parted(running.open, reason)
        before = running.tasks[0].driver
        alone = Driver("graph" if before.captured else "eager", f"not vectorised: {reason}")
        return [Group((task.job,), alone) for task in running.open]

    def _lost(self, running: _Running, future: Future[str]) -> Iterator[Record]:
        """The record of a job whose process could not write it."""
        for task in running.open:
            record = commit_loss(task, *loss_of(future.exception()), running.started_at)
            self._view.finished(task, record)
            yield record
