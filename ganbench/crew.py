"""The processes of a run: each is given jobs that no other runner has, and is followed to their records."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ganbench import history
from ganbench.assignments import Assignment, assignment_of
from ganbench.disk import remove
from ganbench.drivers import Driver, Wish
from ganbench.errors import StorageError
from ganbench.interruption import Interruption
from ganbench.leases import Claim, Leases, Life, Owner
from ganbench.protocols import Executor, Places
from ganbench.resuming import remember_groups
from ganbench.schedule import Group
from ganbench.store import Attempt, Store
from ganbench.tasks import Keeping, Source, Stopped, Task, commit_loss, loss_of, now
from ganbench.terms import Choice, Job, Limits, Record, Submission, Trial

TICK_SECONDS = 0.25

ELSEWHERE_SECONDS = 1.0
"""Between two looks at what other runners have."""

STOP_SECONDS = 20.0
"""How long trials have to write their checkpoints, once they are asked to; after that, those before must do."""

SILENT_SECONDS = 1800.0
"""How long a trial may show no sign of life: the longest score of the largest data set takes a fraction of it."""

USUAL_LIMITS = Limits(silent_seconds=SILENT_SECONDS)

PROCESSES = Choice("processes")
"""The executor that runs jobs where nobody asks for another one."""

Redo = Literal["missing", "failed", "all"]
"""Which jobs to do: those without a record, those that failed as well, or each."""


@dataclass(frozen=True)
class Settings:
    """How jobs are run on this machine. Of all this only the plugins' code is part of what a trial is.

    `source` is where the submission among the jobs lies, if there is one. `workers` and `per_device` are how many
    processes run at a time, altogether and on each device; None leaves it to the machine's cores and memory.
    `checkpoint_seconds` is how much training an interruption may cost; None leaves it to what checkpoints cost.
    """

    places: Places = Places()
    device: str = "auto"
    workers: int | None = None
    plugin_files: tuple[Path, ...] = ()
    redo: Redo = "missing"
    limits: Limits = USUAL_LIMITS
    source: Source | None = None
    driver: Wish = "auto"
    per_device: int | None = None
    executor: Choice = PROCESSES
    checkpoint_seconds: float | None = None


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

    def finished(self, job: Job, record: Record) -> None:
        """A job has its record, whoever did it."""
        ...

    def parted(self, tasks: Sequence[Task], reason: str) -> None:
        """These seeds could not go on together: each is to be done by itself, from the beginning."""
        ...

    def left(self, tasks: Sequence[Task]) -> None:
        """These are no longer done here and have no record: the run is ending, or another runner has them now."""
        ...

    def tick(self, running: Iterable[Sequence[Task]]) -> None:
        """A moment has passed. What is `running` are the jobs of each process that have no record yet."""
        ...

    def elsewhere(self, jobs: int, owner: Owner) -> None:
        """All that is left to wait for are so many jobs that other runners have, this one among them."""
        ...

    def stopping(self, running: int) -> None:
        """So many processes have been asked to write their checkpoints and end."""
        ...

    def busy(self, share: float) -> None:
        """The machine did other work too: trials got this share of a core."""
        ...


@dataclass
class _Running:
    """What one process is doing. `open` are the tasks of which no record has been seen yet."""

    tasks: tuple[Task, ...]
    claims: tuple[Claim, ...]
    started_at: str = field(default_factory=now)
    began: float = field(default_factory=time.monotonic)
    open: list[Task] = field(init=False)

    def __post_init__(self) -> None:
        self.open = [task for task in self.tasks if not task.attempt.committed]

    def seconds_each(self) -> float:
        """How long the process has worked for each of its tasks."""
        return (time.monotonic() - self.began) / len(self.tasks)


@dataclass(frozen=True)
class _Waiting:
    """Jobs that share a process, and whether they are to start anew, whatever was reached before."""

    group: Group
    anew: bool = False


class Crew:
    """The processes of a run, and what each of them is doing.

    `recorded` has the keys of the jobs that are to be done, each with the number of the newest attempt that had a
    record when that was decided: a newer one is somebody else's, and the job is done.
    """

    def __init__(
        self,
        executor: Executor,
        store: Store,
        leases: Leases,
        settings: Settings,
        view: View,
        recorded: Mapping[str, int],
    ) -> None:
        self._executor, self._store, self._leases = executor, store, leases
        self._settings, self._view = settings, view
        self._running: dict[Future[str], _Running] = {}
        self._waiting: deque[_Waiting] = deque()
        self._elsewhere: list[_Waiting] = []
        self._next_look = 0.0
        self._shared: set[str] = set()
        self._known = dict(recorded)
        self._told: set[str] = set()
        self._interruption = Interruption()

    def work(self, groups: Iterable[Group], places: Sequence[str], interruption: Interruption) -> Iterator[Record]:
        """Do the groups in their order, one on each place at a time, and give each record as soon as it is there.

        Raises StorageError where the disk takes no more, KeyboardInterrupt once all that ran has come to an end that
        was asked for: what was reached is kept.
        """
        self._interruption = interruption
        self._waiting.extend(_Waiting(group) for group in groups)
        free = deque(places)
        self._shared = {place for place in places if places.count(place) > 1}
        while self._waiting or self._running or self._elsewhere:
            if interruption.asked:
                yield from self._end()
                raise KeyboardInterrupt
            while self._waiting and free:
                yield from self._start(self._waiting.popleft(), free)
            yield from self._wait(free)
            yield from self._look_elsewhere()

    def _wait(self, free: deque[str]) -> Iterator[Record]:
        """A moment, and what has ended in it."""
        if not self._running:
            time.sleep(TICK_SECONDS)
            return
        ended, _ = wait(self._running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
        for running in self._running.values():
            yield from self._committed(running)
        for future in ended:
            running = self._running.pop(future)
            free.append(running.tasks[0].device)
            yield from self._ended(running, future)
        self._view.tick([running.open for running in self._running.values()])

    def _ended(self, running: _Running, future: Future[str]) -> Iterator[Record]:
        """What became of a process's jobs."""
        yield from self._committed(running)
        error = future.exception()
        if isinstance(error, StorageError):
            raise error
        if running.open and not all(claim.holds for claim in running.claims):
            self._view.left(running.open)  # this machine slept, and another runner has gone on with them
            self._elsewhere.append(_Waiting(_group_of(running.tasks)))
        elif isinstance(error, Stopped) or (error is not None and self._interruption.asked):
            self._view.left(running.open)  # whoever asked the run to end may have ended its processes as well
        elif running.open and len(running.tasks) > 1:
            self._waiting.extendleft(reversed(self._parted(running, future)))
        else:
            yield from self._lost(running, error)
        self._let_go(running)

    def _let_go(self, running: _Running) -> None:
        """Give the keys back; nobody needs the checkpoint any more where everything has its record."""
        keeping = running.tasks[0].keeping
        if keeping is not None and not running.open:
            keeping.path.unlink(missing_ok=True)
        for claim in running.claims:
            self._leases.release(claim)

    # --- starting

    def _start(self, waiting: _Waiting, free: deque[str]) -> Iterator[Record]:
        """Give the group to a process, unless another runner has one of its jobs, or has done them all."""
        claims = self._claims(waiting.group)
        if claims is None:
            self._elsewhere.append(waiting)
            return
        yield from self._done_elsewhere(waiting.group)
        if not self._open_keys(waiting.group):
            for claim, _ in claims:
                self._leases.release(claim)
            return
        tasks = self._tasks(waiting, free[0], {claim.folder.name: life for claim, life in claims})
        if self._late(tasks):
            for claim, _ in claims:
                self._leases.release(claim)
            self._waiting.appendleft(waiting)
            return
        free.popleft()
        running = _Running(tasks, tuple(claim for claim, _ in claims))
        self._running[self._executor.submit(tasks, self._limits(tasks))] = running
        self._view.started(running.open)

    def _late(self, tasks: Sequence[Task]) -> bool:
        """Whether one that had seemed dead has written its record after all, just before it was kept off."""
        late = [task for task in tasks if task.job.key in self._open_keys_of(tasks) and self._is_newer(task.job.key)]
        for task in late:
            if not task.attempt.committed:
                remove(task.attempt.path)
        return bool(late)

    def _open_keys_of(self, tasks: Sequence[Task]) -> list[str]:
        return self._open_keys(_group_of(tasks))

    def _claims(self, group: Group) -> list[tuple[Claim, Life | None]] | None:
        """Claims to all that is to be done of the group, in the order that all runners keep; None if one is taken."""
        claims: list[tuple[Claim, Life | None]] = []
        for key in sorted(self._open_keys(group)):
            claim, life = self._leases.claim(self._store.folder_of(key))
            if claim is None:
                for other, _ in claims:
                    self._leases.release(other)
                return None
            claims.append((claim, life))
        return claims

    def _open_keys(self, group: Group) -> list[str]:
        return [job.key for job in group.jobs if job.key in self._known and job.key not in self._told]

    def _tasks(self, waiting: _Waiting, device: str, lives: dict[str, Life | None]) -> tuple[Task, ...]:
        group, settings = waiting.group, self._settings
        keys = tuple(job.key for job in group.jobs)
        assignment = Assignment(group.driver, keys)
        keeping = self._keeping(keys) if isinstance(group.jobs[0], Trial) else None
        return tuple(
            Task(
                job,
                self._attempt(job, assignment, lives.get(job.key), anew=waiting.anew),
                settings.places,
                device,
                settings.plugin_files,
                settings.source if isinstance(job, Submission) else None,
                group.driver,
                device not in self._shared,
                keeping,
                settings.limits.memory_bytes,
            )
            for job in group.jobs
        )

    def _keeping(self, keys: tuple[str, ...]) -> Keeping:
        path = self._store.checkpoint_of(keys)
        return Keeping(path, self._settings.checkpoint_seconds, self._leases.stop_file)

    def _attempt(self, job: Job, assignment: Assignment, life: Life | None, *, anew: bool) -> Attempt:
        """The attempt to go on with: one that was cut short, or a new one; the record of what only keeps company."""
        if job.key not in self._known or job.key in self._told:
            latest = self._store.latest(job.key)
            assert latest is not None
            return latest
        attempt = self._store.take_up(job, fence=life == "silent")  # a silent runner may still write there
        if anew or assignment_of(attempt) != assignment:
            attempt.clear()
            assignment.write(attempt)
        return attempt

    def _limits(self, tasks: Sequence[Task]) -> Limits:
        limits = self._settings.limits
        seconds = limits.seconds and limits.seconds * len(tasks)
        return Limits(seconds, limits.silent_seconds, limits.memory_bytes and limits.memory_bytes * len(tasks))

    # --- ending

    def _committed(self, running: _Running) -> Iterator[Record]:
        """The records that have come since the last time."""
        for task in [task for task in running.open if task.attempt.committed]:
            running.open.remove(task)
            record = task.attempt.record()
            if record.status == "ok":
                history.remember(task.job, running.seconds_each())
            yield self._tell(task.job, record)

    def _tell(self, job: Job, record: Record) -> Record:
        self._told.add(job.key)
        self._view.finished(job, record)
        return record

    def _parted(self, running: _Running, future: Future[str]) -> list[_Waiting]:
        """What is left of seeds that went together, each by itself. Their attempts have no record: they never were."""
        error = future.exception()
        reason = loss_of(error)[1] if error else future.result() or loss_of(None)[1]
        self._view.parted(running.open, reason)
        keeping = running.tasks[0].keeping
        if keeping is not None:
            keeping.path.unlink(missing_ok=True)
        before = running.tasks[0].driver
        asked = [part for part in before.reason.split("; ") if part.startswith("asked for")]
        alone = Driver("graph" if before.captured else "eager", "; ".join([f"not vectorised: {reason}", *asked]))
        groups = [Group((task.job,), alone) for task in running.open]
        remember_groups(groups, self._store, self._known.keys() - self._told)  # or they would go together again
        return [_Waiting(group, anew=True) for group in groups]

    def _lost(self, running: _Running, error: BaseException | None) -> Iterator[Record]:
        """The record of a job whose process could not write it."""
        for task in list(running.open):
            running.open.remove(task)
            yield self._tell(task.job, commit_loss(task, *loss_of(error), running.started_at))

    def _end(self) -> Iterator[Record]:
        """Ask all that runs to write its checkpoint and end, and wait for that, but not for ever."""
        self._leases.ask_to_stop()
        if self._running:
            self._view.stopping(len(self._running))
        until = time.monotonic() + STOP_SECONDS
        while self._running and time.monotonic() < until:
            ended, _ = wait(self._running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in ended:
                running = self._running.pop(future)
                yield from self._committed(running)
                self._let_go(running)
            self._view.tick([running.open for running in self._running.values()])

    # --- other runners

    def _look_elsewhere(self) -> Iterator[Record]:
        """Take up what other runners have left, and tell what they have done."""
        if not self._elsewhere or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + ELSEWHERE_SECONDS
        for waiting in list(self._elsewhere):
            yield from self._done_elsewhere(waiting.group)
            keys = self._open_keys(waiting.group)
            if not keys or self._may_be_free(keys):
                self._elsewhere.remove(waiting)
                self._waiting.extend([waiting] if keys else [])
        if self._elsewhere and not self._running and not self._waiting:
            keys = [key for waiting in self._elsewhere for key in self._open_keys(waiting.group)]
            self._view.elsewhere(len(keys), self._leases.owner_of(self._store.folder_of(keys[0])))

    def _may_be_free(self, keys: Sequence[str]) -> bool:
        return not any(self._leases.taken(self._store.folder_of(key)) for key in keys)

    def _done_elsewhere(self, group: Group) -> Iterator[Record]:
        """The records that other runners have written since this run began."""
        for job in group.jobs:
            if job.key in self._known and job.key not in self._told and self._is_newer(job.key):
                latest = self._store.latest(job.key)
                assert latest is not None
                yield self._tell(job, latest.record())

    def _is_newer(self, key: str) -> bool:
        return number_of(self._store.latest(key)) > self._known[key]


def number_of(attempt: Attempt | None) -> int:
    """The attempt's number, 0 for none."""
    return attempt.number if attempt else 0


def _group_of(tasks: Sequence[Task]) -> Group:
    return Group(tuple(task.job for task in tasks), tasks[0].driver)
