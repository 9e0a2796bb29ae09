"""What jobs took on this machine, kept in one small file, so that a plan can say how long it will take.

One line of JSON a job, appended in one write, so that runs side by side do not disturb each other. Losing the file, or
a line of it, loses an estimate and nothing else: whatever cannot be read or written is passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ganbench.folders import cache_folder
from ganbench.terms import Job, Reference, Trial, canonical_json, kind_of

MAX_BYTES = 2**20
RECENT = 5
"""How many of the last measurements an estimate rests on."""


@dataclass(frozen=True)
class _Measured:
    """What one job took. `recipe` names all that was done but for the seed and the budget."""

    machine: str
    recipe: str
    budget: dict[str, float]
    seconds: float


def remember(job: Job, seconds: float) -> None:
    """Note that `job` took `seconds`."""
    measured = _Measured(platform.node(), _recipe(job), _limits(job), round(seconds, 3))
    path = cache_folder() / _NAME
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _shorten(path)
        file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.write(file, json.dumps(asdict(measured)).encode() + b"\n")
        finally:
            os.close(file)


def estimate(jobs: Sequence[Job]) -> float | None:
    """Seconds of work that `jobs` come to, one after the other, by what their likes took on this machine.

    A job whose like was never measured counts as the mean of those of its data set that were; None where none was.
    """
    history = [measured for measured in _read() if measured.machine == platform.node()]
    seconds = [_seconds(job, history) for job in jobs]
    known: dict[tuple[str, str], list[float]] = {}
    for job, value in zip(jobs, seconds, strict=True):
        if value is not None:
            known.setdefault(_group(job), []).append(value)
    if any(_group(job) not in known for job in jobs):
        return None
    pairs = zip(jobs, seconds, strict=True)
    return sum(statistics.fmean(known[_group(job)]) if value is None else value for job, value in pairs)


_NAME = "history.jsonl"


def _recipe(job: Job) -> str:
    done = (job.variant, job.training) if isinstance(job, Trial) else (job.evaluation,)
    text = "\n".join([*_group(job), *(canonical_json(part) for part in (job.dataset, *done))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _limits(job: Job) -> dict[str, float]:
    return job.budget.limits() if isinstance(job, Trial) else {}


def _group(job: Job) -> tuple[str, str]:
    """What is roughly alike: a data set's trials, each of its references, and what was evaluated on it."""
    return str(job.dataset), job.name if isinstance(job, Reference) else kind_of(job)


def _seconds(job: Job, history: Iterable[_Measured]) -> float | None:
    """The median of the last measurements of this recipe: with the same budget or, failing that, scaled to it."""
    recipe, limits = _recipe(job), _limits(job)
    alike = [measured for measured in history if measured.recipe == recipe]
    same = [measured.seconds for measured in alike if measured.budget == limits]
    scaled = [measured.seconds * scale for measured in alike if (scale := _scale(measured.budget, limits))]
    recent = (same or scaled)[-RECENT:]
    return statistics.median(recent) if recent else None


def _scale(measured: dict[str, float], wanted: dict[str, float]) -> float | None:
    """How many times larger the wanted budget is, where both are a single limit on the same axis."""
    if len(measured) != 1 or measured.keys() != wanted.keys():
        return None
    ((axis, limit),) = measured.items()
    return wanted[axis] / limit


def _read() -> Iterator[_Measured]:
    try:
        with (cache_folder() / _NAME).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2 * MAX_BYTES))
            lines = file.read(2 * MAX_BYTES).splitlines()
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            yield _checked(json.loads(line))


def _checked(data: Any) -> _Measured:
    measured = _Measured(**data)
    for number in (measured.seconds, *dict(measured.budget).values()):
        if not 0 < number < math.inf:
            raise ValueError(number)
    return measured


def _shorten(path: Path) -> None:
    """Drop the older half of a file that has grown too large. What is appended meanwhile is lost, and does no harm."""
    if not path.is_file() or path.stat().st_size < MAX_BYTES:
        return
    lines = path.read_bytes().splitlines(keepends=True)
    shorter = path.with_name(f"{path.name}.{os.getpid()}")
    shorter.write_bytes(b"".join(lines[len(lines) // 2 :]))
    shorter.replace(path)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
