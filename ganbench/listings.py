"""Listings for the command line: plain rows first, the same whether printed as a table or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ganbench import history
from ganbench.disk import write_atomically
from ganbench.errors import ResultsError
from ganbench.history import duration
from ganbench.plan import Plan
from ganbench.plugins import Registry
from ganbench.store import Store
from ganbench.suite import Suite, shipped_suites
from ganbench.terms import Job, Trial

Row = Mapping[str, Any]

WIDE = 100

STATUS_STYLES = {
    "ok": "green",
    "done": "green",
    "fails": "red",
    "failed": "red",
    "broken": "red",
    "ambiguous": "red",
    "damaged": "red",
}

WRAPPED = (
    "needs", "subject", "variant", "summary", "paper", "description", "reason", "cause", "detail", "what", "do",
    "scores",
)  # fmt: skip


def suite_rows() -> list[Row]:
    """The suites that come with ganbench."""
    return [{"name": suite.name, "description": suite.description} for suite in shipped_suites()]


def plan_rows(plan: Plan, store: Store) -> list[Row]:
    """Every reference and trial with its status (`to do`, `done`, or that of its failure), then what is skipped."""
    rows = [_job_row(job, store) for job in plan.jobs]
    skipped = [
        {"status": "skipped", "dataset": skip.dataset, "variant": skip.variant, "reason": skip.reason}
        for skip in plan.skipped
    ]
    columns = ("status", "dataset", "variant", "seed", "budget", "key", "reason")
    return [{column: row.get(column) for column in columns} for row in (*rows, *skipped)]


def _job_row(job: Job, store: Store) -> Row:
    latest = store.latest(job.key)
    status = "to do" if latest is None else latest.record().status
    row = {"status": "done" if status == "ok" else status, "dataset": str(job.dataset), "key": job.key}
    if isinstance(job, Trial):
        return {**row, "variant": str(job.variant), "seed": job.seed, "budget": str(job.budget)}
    return {**row, "variant": job.name}


def print_plan(console: Console, suite: Suite, plan: Plan, rows: Sequence[Row]) -> None:
    """The trials of each variant in one line, the skipped ones with their reasons, and how long it will take."""
    console.print(Text.assemble((suite.name, "bold"), f": {suite.description}" if suite.description else ""))
    trials = [row for row in rows if row["seed"] is not None]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in trials:
        groups.setdefault((row["dataset"], row["variant"], row["budget"]), []).append(row)
    print_rows(
        console,
        [
            {"dataset": dataset, "variant": variant, "seeds": _seeds(of), "budget": budget, "status": _statuses(of)}
            for (dataset, variant, budget), of in groups.items()
        ],
    )
    _print_skipped(console, [row for row in rows if row["status"] == "skipped"])
    _print_estimate(console, plan, rows)


def _print_skipped(console: Console, skipped: Sequence[Row]) -> None:
    """One line for each reason, with how many variants it keeps out."""
    if not skipped:
        return
    reasons = Counter((row["dataset"], row["reason"]) for row in skipped)
    console.print("\nSkipped, because what the plugins declare does not fit:")
    print_rows(
        console,
        [{"dataset": dataset, "variants": count, "reason": reason} for (dataset, reason), count in reasons.items()],
    )


def _seeds(rows: Sequence[Row]) -> str:
    return ", ".join(str(row["seed"]) for row in rows)


def _statuses(rows: Sequence[Row]) -> str:
    return ", ".join(f"{count} {status}" for status, count in Counter(row["status"] for row in rows).items())


def _print_estimate(console: Console, plan: Plan, rows: Sequence[Row]) -> None:
    open_keys = {row["key"] for row in rows if row["status"] == "to do"}
    jobs = [job for job in plan.jobs if job.key in open_keys]
    trials = sum(isinstance(job, Trial) for job in jobs)
    seconds = history.estimate(jobs) if jobs else 0.0
    if not jobs:
        time = "nothing to do"
    elif seconds is None:
        time = "no estimate, for this machine has not run such trials yet"
    else:
        time = f"about {duration(seconds)} of work for one core or GPU"
    console.print(f"\n{trials} trials and {len(jobs) - trials} references to do: {time}.", highlight=False)


def print_components(console: Console, rows: Sequence[Row]) -> None:
    """What plugins offer, the cause in the place of the summary where one cannot be used.

    A narrow terminal has no room for versions and papers.
    """
    hidden = ("cause",) if console.width >= WIDE else ("cause", "version", "paper")
    told = [{**row, "summary": row["cause"] or row["summary"]} for row in rows]
    print_rows(console, [{column: row[column] for column in row if column not in hidden} for row in told])


def print_scores(console: Console, rows: Sequence[Row]) -> None:
    """What metrics give. A narrow terminal has no room for what they need."""
    hidden = () if console.width >= WIDE else ("needs",)
    print_rows(console, [{column: row[column] for column in row if column not in hidden} for row in rows])


def log_broken(registry: Registry, folder: Path) -> Path:
    """Write what broke each broken plugin, with its traceback, to a file in `folder`; gives the file."""
    path = folder / "plugins.log"
    text = "\n".join(f"{broken}\n{broken.details}" for broken in registry.broken)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written ({error.strerror}). Pass --results DIR") from error
    return path


def print_rows(console: Console, rows: Sequence[Row]) -> None:
    """Rows as an aligned table with their keys as its head; empty columns are left out."""
    if not rows:
        console.print("none")
        return
    columns = [column for column in rows[0] if any(row.get(column) not in (None, "") for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in WRAPPED)
    for row in rows:
        cells = ["" if row.get(column) is None else str(row[column]) for column in columns]
        table.add_row(*[_styled(column, cell) for column, cell in zip(columns, cells, strict=True)])
    console.print(table, highlight=False)


def _styled(column: str, cell: str) -> Text:
    return Text(cell, style=STATUS_STYLES.get(cell, "") if column == "status" else "")
