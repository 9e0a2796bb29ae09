"""A job on its way to its record: what is written of it while it runs, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from ganbench.disk import on_disk, sync_file
from ganbench.environment import describe_environment
from ganbench.errors import GanbenchError
from ganbench.events import EventLog
from ganbench.players import detached
from ganbench.states import State
from ganbench.stepping import Diverged
from ganbench.store import ENVIRONMENT, LOG
from ganbench.tasks import Task, now
from ganbench.tensorfiles import os_error_of
from ganbench.terms import Record, Score, Spent, Status, Trial, kind_of
from ganbench.workshop import Workshop

MEMORY_SIGNS = ("DefaultCPUAllocator", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""How torch says in other errors that memory ran out."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: what a record says beside its key and times."""

    status: Status = "ok"
    message: str = ""
    failed_step: int | None = None
    spent: Spent = Spent()
    scores: tuple[Score, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)


class Run:
    """One job on its way to its record. `together` is how many share this process, and so its time.

    One that is `recorded` already only keeps the others company: nothing is written of it.
    """

    def __init__(self, task: Task, together: int) -> None:
        self.task = task
        self.recorded = task.attempt.committed
        self.events = EventLog(task.attempt, task.job.budget if isinstance(task.job, Trial) else None)
        self._together = together
        self._started_at, self._began = now(), time.perf_counter()
        self._resumed = list(task.attempt.environment().get("resumed", ()))

    def state(self) -> State:
        """When it was started, and how long it took until now."""
        return {"started_at": self._started_at, "seconds": time.perf_counter() - self._began}

    def restore(self, state: State, spent: Spent) -> None:
        """Go on from there, where so much was spent."""
        self._started_at = state["started_at"]
        self._began -= state["seconds"]
        attempt = self.task.attempt
        self._resumed.append({"at": now(), "step": spent.steps})
        attempt.write_json(ENVIRONMENT, {**attempt.environment(), "resumed": self._resumed})
        self.events.spent = spent
        self.events.write("resumed", spent=asdict(spent))

    def describe(self, workshop: Workshop, plugins: Sequence[Mapping[str, str]] = (), **more: object) -> None:
        """Write down the software, the plugins used, the machine and the driver."""
        job, driver = self.task.job, self.task.driver
        precision = job.training.precision if isinstance(job, Trial) else "float32"
        used = {plugin["plugin"] for plugin in plugins}
        files = [file for file in self.task.plugin_files if file.name in used]
        environment = describe_environment(workshop.device, precision, files)
        more = {"plugins": plugins, **more} if plugins else more
        if isinstance(job, Trial):
            more = {"driver": driver.name, "driver_reason": driver.reason, "seeds_together": self._together, **more}
            more = {**more, "resumed": self._resumed} if self._resumed else more
        self.task.attempt.write_json(ENVIRONMENT, {**environment, **more})

    def log(self, text: str) -> None:
        """Append to what the job printed."""
        log = self.task.attempt.path / LOG
        with on_disk(log), log.open("a", encoding="utf-8") as file:
            file.write(text)

    def commit(self, outcome: Outcome) -> None:
        """Write the record. Of a process that seeds share, each is told its part of the time."""
        costs = {**self._seconds(outcome), **outcome.costs}
        kind, key = kind_of(self.task.job), self.task.job.key
        ended = replace(outcome, costs=costs)
        record = Record(key, kind, started_at=self._started_at, finished_at=now(), **vars(ended))
        self.task.attempt.commit(record)

    def _seconds(self, outcome: Outcome) -> dict[str, float]:
        """The whole job's time, and the part of it that went into getting ready: loading, building and rehearsing."""
        wall = (time.perf_counter() - self._began) / self._together
        if outcome.status != "ok":
            return {"wall_seconds": wall}
        told = sum(outcome.costs.get(f"{part}_seconds", 0.0) for part in ("training", "evaluation", "checkpoint"))
        return {"wall_seconds": wall, "preparation_seconds": max(wall - told, 0.0)}


def failure(error: BaseException, spent: Spent) -> Outcome:
    """The outcome that an exception stands for."""
    if isinstance(error, Diverged):
        return Outcome("diverged", str(error), error.step, spent)
    status: Status = "oom" if _out_of_memory(error) else "error"
    kind, first_line = type(error).__name__, str(error).strip().partition("\n")[0]
    message = first_line if isinstance(error, GanbenchError) else f"{kind}: {first_line}" if first_line else kind
    return Outcome(status, message, spent.steps or None, spent)


def _out_of_memory(error: BaseException | None) -> bool:
    if error is None:
        return False
    own = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(sign in str(error) for sign in MEMORY_SIGNS)
    return own or _out_of_memory(error.__cause__)


def save_generator(generator: nn.Module, path: Path) -> None:
    """Write a generator's weights. Raises StorageError where the disk takes no more."""
    with on_disk(path):
        try:
            save_model(detached(generator), str(path))
            sync_file(path)  # before the record says that it is there
        except SafetensorError as error:
            raise os_error_of(error, path) from error
