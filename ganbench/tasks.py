"""A job on its way to a process: what is handed over, and what is written down if the process never comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganbench.disk import on_disk
from ganbench.drivers import Driver
from ganbench.events import last_event
from ganbench.protocols import Places
from ganbench.store import LOG, Attempt
from ganbench.terms import Choice, Job, Record, Spent, Status, kind_of

if TYPE_CHECKING:
    from ganbench.decoding import Crop

SourceKind = Literal["samples", "safetensors", "torchscript", "hub"]


@dataclass(frozen=True)
class Source:
    """Where a submission lies on this machine. What it holds is the submission's `sha256`.

    `network` is the generator that safetensors are the weights of, `entry` the function of a hub repository to call,
    `crop` how images of another size are fitted to the data set's.
    """

    kind: SourceKind
    path: Path
    network: Choice | None = None
    entry: str = ""
    crop: Crop = "exact"

    def __str__(self) -> str:
        words = {"samples": "samples", "safetensors": "weights", "torchscript": "TorchScript", "hub": "hub repository"}
        entry = f", entry '{self.entry}'" if self.entry else ""
        return f"{words[self.kind]} {self.path}{entry}"


@dataclass(frozen=True)
class Keeping:
    """Where the checkpoint of running trials lies, one file for all of a process.

    `every` is how many seconds of training may be lost, None for what hardly costs anything; `stop` is a file that,
    once it is there, asks trials to write their checkpoint and end.
    """

    path: Path
    every: float | None = None
    stop: Path | None = None


class Stopped(Exception):  # noqa: N818 - an outcome: what was reached is kept, and there is no record yet
    """The run asked its trials to end."""


class Lost(Exception):  # noqa: N818 - an outcome, to be recorded by those who are left
    """A process came to an end without a word of its own: what to record of its jobs."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(status, message)  # both, so that it can be handed from process to process
        self.status: Status = status
        self.message = message


@dataclass(frozen=True)
class Task:
    """A job with its attempt's folder, its device, and where things lie on this machine.

    `source` is where a submission lies; other jobs have none. `driver` says how a trial's steps are carried out,
    `alone` whether its device is its own. Without `keeping` a trial writes no checkpoint.
    """

    job: Job
    attempt: Attempt
    places: Places
    device: str
    plugin_files: tuple[Path, ...] = ()
    source: Source | None = None
    driver: Driver = Driver()
    alone: bool = True
    keeping: Keeping | None = None
    memory_bytes: int | None = None


def open_tasks(tasks: Sequence[Task]) -> list[Task]:
    """Those without a record. The others only keep company: how seeds round depends on how many they are."""
    return [task for task in tasks if not task.attempt.committed]


def loss_of(error: BaseException | None) -> tuple[Status, str]:
    """What to record of a process that left no record, from what its future raised."""
    if isinstance(error, Lost):
        return error.status, error.message
    return "error", f"{type(error).__name__}: {error}" if error else "the trial's process left no record"


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def commit_loss(task: Task, status: Status, message: str, started_at: str) -> Record:
    """Record a job whose process ended without a word of its own."""
    spent = Spent(**last_event(task.attempt, "progress", "evaluated").get("spent", {}))
    record = Record(
        task.job.key,
        kind_of(task.job),
        status,
        started_at=started_at,
        finished_at=now(),
        message=message,
        failed_step=spent.steps or None,
        spent=spent,
        costs={"wall_seconds": (datetime.now(UTC) - datetime.fromisoformat(started_at)).total_seconds()},
    )
    log = task.attempt.path / LOG
    with on_disk(log), log.open("a", encoding="utf-8") as file:
        file.write(f"{message}\n")
    return task.attempt.commit(record)
