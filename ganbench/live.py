"""What a run looks like while it goes on: moving bars at a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from ganbench.errors import printable
from ganbench.events import last_event
from ganbench.history import duration
from ganbench.leases import Owner
from ganbench.tasks import Task
from ganbench.terms import Job, Record, Trial

PLAIN_REPORT_SECONDS = 30.0
WIDE = 100


def title(job: Job) -> str:
    """A job in one line: what it trains on what."""
    told = f"{job.variant} · seed {job.seed}" if isinstance(job, Trial) else job.name
    return printable(f"{job.dataset} · {told}")


def group_title(jobs: Sequence[Job]) -> str:
    """What one process does, in one line whose end may be cut off: what tells it from its neighbours comes first."""
    first = jobs[0]
    if not isinstance(first, Trial):
        return title(first)
    variant, seeds = first.variant, seeds_in_words([job.seed for job in jobs if isinstance(job, Trial)])
    players = f"{variant.generator} / {variant.discriminator}"
    return printable(f"{first.dataset} · {variant.objective} · {seeds} · {players}")


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Seeds as a person lists them: `seed 3`, `seeds 0–15`, `seeds 0–2, 5`."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    listed = ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
    return f"seed{'s' if len(seeds) > 1 else ''} {listed}"


def _parting(tasks: Sequence[Task], reason: str) -> str:
    return f"{group_title([task.job for task in tasks])}: one by one, for together they could not go on: {reason}"


def _surveying(variants: int) -> str:
    return f"Looking at how {variants} variants train fastest" if variants > 1 else "Looking at how it trains fastest"


def _busy(share: float) -> str:
    return (
        f"The machine was busy with other work: trials got {share:.0%} of a core. "
        "Times are affected by that, scores are not."
    )


def _elsewhere(jobs: int, owner: Owner) -> str:
    return f"Waiting for {jobs} {'jobs' if jobs > 1 else 'job'} that another run has ({owner})"


def _stopping(running: int) -> str:
    whose = "the trial that runs" if running == 1 else f"the {running} processes that run"
    return f"Interrupted: {whose} may finish a step and keep what was reached. Once more ends all at once."


def result(job: Job, record: Record) -> str:
    """How a job ended, in one line."""
    score = next((s for s in record.scores if s.value is not None), None)
    said = printable(f"{score.name} {score.value:.4g}" if score else record.message)
    return f"{record.status:8s} {title(job)} · {said} · {record.costs.get('wall_seconds', 0.0):.1f} s"


def _preparing(job: Job) -> str:
    extractor = f" (extractor {job.evaluation.extractor})" if job.evaluation.extractor else ""
    return printable(f"Preparing {job.dataset}{extractor}")


class Remaining:
    """How long a run still takes, from the share of its jobs that is done and the time that took."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._started = time.monotonic()

    def seconds(self, done: float) -> float | None:
        """The estimate when `done` jobs (parts of running ones counted) are behind us; None until there is a basis."""
        elapsed = time.monotonic() - self._started
        return elapsed * (self._total - done) / done if done > 0.02 * self._total else None


class LiveView:
    """A bar for the whole run and one for each running trial, with its newest score and the time left."""

    def __init__(self, console: Console, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=24 if console.width >= WIDE else 10),
            TextColumn("{task.fields[score]}", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            expand=True,
        )
        self._console = console
        self._total = total
        self._done = 0
        self._failed = 0
        self._remaining = Remaining(total)
        self._whole = self._progress.add_task(f"[bold]{total} jobs[/bold] · starting", total=total, score="")
        self._bars: dict[str, TaskID] = {}  # by the jobs' keys: those of one process share a bar

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def preparing(self, job: Job) -> None:
        """Say it in the place of what is done."""
        self._progress.update(self._whole, description=escape(_preparing(job)))

    def surveying(self, variants: int) -> None:
        """Say it in the place of what is done."""
        self._progress.update(self._whole, description=_surveying(variants))

    def started(self, tasks: Sequence[Task]) -> None:
        """Show a bar for what the process does."""
        bar = self._progress.add_task(f"  {escape(group_title([task.job for task in tasks]))}", total=1.0, score="")
        self._bars.update({task.job.key: bar for task in tasks})

    def finished(self, job: Job, record: Record) -> None:
        """Remove the bar with the last of its jobs, and leave a line that stays for a failure."""
        self._close(job)
        self._done += 1
        if record.status != "ok":
            self._failed += 1
            self._console.print(f"[red]✗[/red] {escape(result(job, record))}", soft_wrap=True)

    def parted(self, tasks: Sequence[Task], reason: str) -> None:
        """Remove the bar, and leave a line that stays."""
        self.left(tasks)
        self._console.print(escape(_parting(tasks, reason)), soft_wrap=True, highlight=False)

    def left(self, tasks: Sequence[Task]) -> None:
        """Remove the bar."""
        for task in tasks:
            self._close(task.job)

    def elsewhere(self, jobs: int, owner: Owner) -> None:
        """Say it in the place of what is done."""
        self._progress.update(self._whole, description=escape(_elsewhere(jobs, owner)))

    def stopping(self, running: int) -> None:
        """Leave a line that stays."""
        self._console.print(_stopping(running), soft_wrap=True, highlight=False)

    def busy(self, share: float) -> None:
        """Leave a line that stays."""
        self._console.print(_busy(share), soft_wrap=True, highlight=False)

    def _close(self, job: Job) -> None:
        bar = self._bars.pop(job.key, None)  # what another runner did has none
        if bar is not None and bar not in self._bars.values():
            self._progress.remove_task(bar)

    def tick(self, running: Iterable[Sequence[Task]]) -> None:
        """Bring every bar up to date from what the trials have written."""
        inside = 0.0
        for tasks in filter(None, running):
            share, score = _progress_of(tasks)
            inside += share * len(tasks)
            self._progress.update(self._bars[tasks[0].job.key], completed=share, score=escape(score))
        left = self._remaining.seconds(self._done + inside)
        parts = [f"[bold]{self._done} of {self._total} done[/bold]"]
        parts += [f"[red]{self._failed} failed[/red]"] if self._failed else []
        parts += [f"{duration(left)} left"] if left is not None else []
        self._progress.update(self._whole, completed=self._done + inside, description=" · ".join(parts))


class StatusView:
    """Says what is being done while it goes on, at a terminal only, and nothing of how it ends: its caller will."""

    def __init__(self, console: Console) -> None:
        self._status = console.status("")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def preparing(self, job: Job) -> None:
        """Name the data."""
        self._status.update(escape(_preparing(job)))

    def surveying(self, variants: int) -> None:
        """Say it."""
        self._status.update(_surveying(variants))

    def started(self, tasks: Sequence[Task]) -> None:
        """Name the job."""
        self._status.update(f"Measuring {escape(group_title([task.job for task in tasks]))}")

    def finished(self, job: Job, record: Record) -> None:
        """Nothing is said of an end."""

    def left(self, tasks: Sequence[Task]) -> None:
        """Nothing is said: whoever asked for it knows."""

    def elsewhere(self, jobs: int, owner: Owner) -> None:
        """Say it."""
        self._status.update(escape(_elsewhere(jobs, owner)))

    def stopping(self, running: int) -> None:
        """Say it."""
        self._status.update(_stopping(running))

    def parted(self, tasks: Sequence[Task], reason: str) -> None:
        """Nothing is said: the same jobs go on."""

    def tick(self, running: Iterable[Sequence[Task]]) -> None:
        """Nothing moves but the spinner."""

    def busy(self, share: float) -> None:
        """Nothing is said: what is measured here is not time."""


class PlainView:
    """One line for each job that ends, and one now and then for those that are under way."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._remaining = Remaining(total)
        self._next_report = time.monotonic() + PLAIN_REPORT_SECONDS
        self._waited_for = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def preparing(self, job: Job) -> None:
        """Name the data: the first time, it may take long."""
        self._say(_preparing(job))

    def surveying(self, variants: int) -> None:
        """Say it."""
        self._say(_surveying(variants))

    def started(self, tasks: Sequence[Task]) -> None:
        """Nothing is said of a beginning."""

    def finished(self, job: Job, record: Record) -> None:
        """Say how the job ended."""
        self._done += 1
        self._say(f"[{self._done}/{self._total}] {result(job, record)}")

    def left(self, tasks: Sequence[Task]) -> None:
        """Nothing is said: whoever asked for it knows."""

    def elsewhere(self, jobs: int, owner: Owner) -> None:
        """Say it once for as many."""
        if self._waited_for != jobs:
            self._waited_for = jobs
            self._say(_elsewhere(jobs, owner))

    def stopping(self, running: int) -> None:
        """Say it."""
        self._say(_stopping(running))

    def parted(self, tasks: Sequence[Task], reason: str) -> None:
        """Say why."""
        self._say(_parting(tasks, reason))

    def busy(self, share: float) -> None:
        """Say it."""
        self._say(_busy(share))

    def tick(self, running: Iterable[Sequence[Task]]) -> None:
        """Every half minute, say how far the running jobs are."""
        if time.monotonic() < self._next_report:
            return
        self._next_report = time.monotonic() + PLAIN_REPORT_SECONDS
        inside = 0.0
        for tasks in filter(None, running):
            share, score = _progress_of(tasks)
            inside += share * len(tasks)
            self._say(f"  {share:4.0%} {group_title([task.job for task in tasks])} {score}".rstrip())
        left = self._remaining.seconds(self._done + inside)
        if left is not None:
            self._say(f"  about {duration(left)} left")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def view_for(console: Console, total: int) -> LiveView | PlainView:
    """The view that suits the console."""
    return LiveView(console, total) if console.is_terminal else PlainView(console, total)


def _progress_of(tasks: Sequence[Task]) -> tuple[float, str]:
    """How far the first of a process's jobs is (0 to 1), as the others are, and its newest score in words."""
    report = last_event(tasks[0].attempt, "progress", "evaluated")
    known = [(name, value) for name, value in report.get("scores", {}).items() if value is not None]
    return float(report.get("share", 0.0)), f"{known[0][0]} {known[0][1]:.4g}" if known else ""
