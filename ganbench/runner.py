"""Runs a plan: what has no record yet is trained and measured, and nothing is done twice."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from ganbench.assignments import GROUPS
from ganbench.crew import Crew, Redo, Settings, View, number_of
from ganbench.disk import remove_temporary
from ganbench.drivers import Findings
from ganbench.executors import LocalProcesses, chosen_gpus, default_workers
from ganbench.interruption import Interruption
from ganbench.leases import RUNNERS, Leases
from ganbench.plugins import discover
from ganbench.protocols import Executor
from ganbench.resuming import begun_before, remember_groups
from ganbench.schedule import Machine, Surveyed, schedule, slots, to_survey
from ganbench.store import CHECKPOINTS, Store
from ganbench.supervision import lost
from ganbench.tasks import loss_of
from ganbench.tensorfiles import DamagedError, header_of
from ganbench.terms import Choice, Job, Record, Trial

SURVEY_SECONDS = 120.0
"""When a variant's first steps take longer than this, its seeds train one by one."""

BUSY = 0.8
"""Below this share of a core that a trial got, the machine was busy with something else."""

OWN_FILES = "path"
"""The parameter of data sets in files of the user's own, whose content may change between runs."""

Origins = Mapping[Choice, str]
"""Of data sets in files of the user's own: where their samples come from now, content's hash included."""


Recorded = Mapping[str, int]
"""By key, the number of the newest attempt that had a record at a certain moment; 0 where none had."""


def recorded_now(jobs: Iterable[Job], store: Store) -> Recorded:
    """What is recorded now. To be asked before `to_do`: what comes later, another run or its remains have done."""
    return {job.key: number_of(store.latest(job.key)) for job in jobs}


def to_do(jobs: Sequence[Job], store: Store, redo: Redo, origins: Origins | None = None) -> list[Job]:
    """The jobs that have no record; with `failed`, those whose newest record is not `ok` as well; with `all`, each.

    A record of other data than there are now, by `origins`, does not count.
    """
    return [job for job in jobs if redo == "all" or _is_open(job, store, redo, origins or {})]


def _is_open(job: Job, store: Store, redo: Redo, origins: Origins) -> bool:
    latest = store.latest(job.key)
    if store.unfinished(job.key) is not None:  # a job that was done again, as far as that came
        return True
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


def run(
    jobs: Sequence[Job], store: Store, settings: Settings, view: View, recorded: Recorded | None = None
) -> list[Record]:
    """Do the jobs and give their records in the order in which they ended. A failed job is a record too.

    What is recorded by now and was not when `recorded` was asked for is not done again. What another runner has is left
    to it, unless that one is dead. Raises DataError, before anything is trained, where data or weights are missing;
    StorageError where the disk takes no more; KeyboardInterrupt where one was asked to end: all that was reached is
    kept.
    """
    if not jobs:
        return []
    gpus = _prepared(jobs, settings, view)
    with Leases(store.path) as leases:
        leases.sweep()
        _remove_temporary(store)  # or what was killed while it wrote fills a disk that was full already
        machine = Machine(default_workers(), gpus, settings.workers, settings.per_device)
        begun = begun_before(jobs, store, settings.driver, gpus=bool(gpus))
        taken = {job.key for group in begun for job in group.jobs}
        new = [job for job in jobs if job.key not in taken]
        surveyed = _survey(to_survey(new, settings.driver, machine), settings, machine, view)
        groups = (*begun, *schedule(new, surveyed, settings.driver, machine))
        remember_groups(groups, store, {job.key for job in jobs})
        places = slots(groups, surveyed, machine)
        with _executor(settings, len(places)) as executor, Interruption(leases.ask_to_stop) as interruption:
            before = recorded_now(jobs, store) if recorded is None else recorded
            crew = Crew(executor, store, leases, settings, view, {job.key: before[job.key] for job in jobs})
            records = list(crew.work(groups, places, interruption))
        leases.sweep()  # what other runs have left meanwhile that are dead now
        _tidy(store)
    shares = [record.costs["processor_share"] for record in records if "processor_share" in record.costs]
    if shares and not gpus and statistics.median(shares) < BUSY:
        view.busy(statistics.median(shares))
    return records


def _prepared(jobs: Sequence[Job], settings: Settings, view: View) -> dict[str, int]:
    """The GPUs to run on, with what all jobs begin with done once."""
    with LocalProcesses(1) as executor:
        gpus = chosen_gpus(executor, settings.device)
        for job in {(job.dataset, replace(job.evaluation, points=())): job for job in jobs}.values():
            view.preparing(job)
            executor.prepare(job, settings.places, next(iter(gpus), "cpu"), settings.plugin_files)
    return gpus


def clear_up(store: Store) -> None:
    """Remove what a run left behind that was killed when it had done everything but that."""
    if any((store.path / name).exists() for name in (RUNNERS, GROUPS, CHECKPOINTS)):
        with Leases(store.path) as leases:
            leases.sweep()
            _tidy(store)


def _tidy(store: Store) -> None:
    """Remove what only serves to go on, once there is nothing to go on with."""
    remember_groups((), store)
    _remove_temporary(store)
    for path in (store.path / CHECKPOINTS).glob("*.safetensors"):
        if not _is_needed(path, store):
            path.unlink(missing_ok=True)
    if not (store.path / GROUPS).exists():
        with contextlib.suppress(OSError):
            (store.path / CHECKPOINTS).rmdir()


def _remove_temporary(store: Store) -> None:
    for folder in (store.path, store.path / CHECKPOINTS):
        remove_temporary(folder)


def _is_needed(checkpoint: Path, store: Store) -> bool:
    """Whether a job that the checkpoint is of has no record yet; one that cannot be read is of no use to anybody."""
    try:
        keys = header_of(checkpoint)["identity"]["trials"]
        return any(store.latest(key) is None or store.unfinished(key) for key in keys)
    except (OSError, DamagedError, KeyError, TypeError):
        return False


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
    limit = min(SURVEY_SECONDS, settings.limits.seconds or SURVEY_SECONDS)
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
    why = f"its first steps took longer than {limit:g} s" if late else f"in its first steps, {loss_of(lost(error))[1]}"
    return Findings(refusals={"vectorised": why, "graph": why})
