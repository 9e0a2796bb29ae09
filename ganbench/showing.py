"""All that is recorded of one attempt, gathered from its folder: what it was, how it went, and how to do it again."""

from __future__ import annotations

import difflib
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganbench.curves import read_curve
from ganbench.errors import ResultsError
from ganbench.portrait_files import read_portrait
from ganbench.store import CURVE, Attempt, Store, find_attempt, find_stores
from ganbench.terms import AXES, Job, Record, Submission, Trial, kind_of, plain

KEY_LETTERS = 12
"""How much of a key is shown where it is to be typed: enough among any number of trials."""

NEAREST = 3

Facts = dict[str, Any]


def find(results: Path, key: str) -> Attempt:
    """The newest recorded attempt whose key begins with `key`. Raises ResultsError with the nearest keys there are."""
    folders = (store.path / "runs" for store in find_stores(results))
    keys = sorted({child.name for folder in folders for child in folder.iterdir() if child.is_dir()})
    if not any(name.startswith(key) for name in keys):
        listed = f"'ganbench table {results} --columns key,variant,seed' lists them"
        near = f" The nearest: {', '.join(_nearest(key, keys))}." if keys else ""
        raise ResultsError(f"{results}: no key begins with '{key}'.{near} {listed}")
    return find_attempt(results, key)


def _nearest(key: str, keys: Sequence[str]) -> list[str]:
    """The beginnings of the keys that are most like `key`; the first ones where none is."""
    start = key.casefold()[:KEY_LETTERS]
    cut = {name[: max(len(start), 4)]: name for name in keys}
    near = difflib.get_close_matches(start, cut, n=NEAREST, cutoff=0.3)
    return [name[:KEY_LETTERS] for name in ([cut[match] for match in near] or keys[:NEAREST])]


def details(attempt: Attempt, results: Path) -> Facts:
    """All that is recorded of the attempt, in JSON's own types: numbers that are not finite are None.

    `results` is where it was found, as the command that does it again will have to say.
    Raises ResultsError for a file that is not what ganbench wrote.
    """
    job, record, portrait = attempt.job(), attempt.record(), read_portrait(attempt.path)
    store = Store(attempt.path.parents[2])
    return {
        "key": attempt.key,
        "attempt": attempt.number,
        "attempts": len(list(store.attempts(attempt.key))),
        "kind": kind_of(job),
        **_what(job),
        "status": record.status,
        "message": record.message,
        "failed_step": record.failed_step,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "scores": [_finite(asdict(score)) for score in record.scores],
        "curve": curve_of(attempt),
        "classes": asdict(portrait.classes) if portrait and portrait.classes else None,
        "budget": _budget(job, record),
        "spent": _finite(asdict(record.spent)) if isinstance(job, Trial) else {},
        "costs": _finite(record.costs),
        "environment": _finite(attempt.environment()),
        "recipe": plain(job),
        "command": command_for(attempt, job, results),
        "path": str(attempt.path),
        "log": record.log,
    }


def _what(job: Job) -> Facts:
    """What the job is, in the words of a table."""
    if isinstance(job, Trial):
        made = job.variant
        players = {"generator": str(made.generator), "discriminator": str(made.discriminator)}
        named: Facts = {"variant": str(made), **players, "loss": made.objective, "seed": job.seed}
    else:
        named = {"variant": job.name, **dict.fromkeys(("generator", "discriminator", "loss", "seed"))}
    return {"dataset": str(job.dataset), **named}


def curve_of(attempt: Attempt) -> dict[str, list[float | None]]:
    """The attempt's curve, a list of numbers for each column; empty where it left none."""
    path = attempt.path / CURVE
    if not path.is_file():
        return {}
    columns = read_curve(path).to_dict(orient="list")
    return {str(name): [_number(value) for value in values] for name, values in columns.items()}


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _finite(value: Any) -> Any:
    """`value` with None in the place of numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _budget(job: Job, record: Record) -> list[Facts]:
    """Each limit with what was spent of it, and how far beyond it went; negative where another limit came first."""
    if not isinstance(job, Trial):
        return []
    limits, beyond = job.budget.limits(), job.budget.overshoot(record.spent)
    return [
        {"axis": axis, "spent": getattr(record.spent, axis), "limit": limits[axis], "overshoot": beyond[axis]}
        for axis in AXES
        if axis in limits
    ]


def command_for(attempt: Attempt, job: Job, results: Path) -> str | None:
    """The command that does the job again and compares; None for what was made elsewhere."""
    if isinstance(job, Submission):
        return None
    own = [name for name in _own_plugins(attempt) if name]
    plugins = "".join(f" --plugin {shlex.quote(name)}" for name in own)
    return f"ganbench reproduce {shlex.quote(str(results))} {attempt.key[:KEY_LETTERS]}{plugins}"


def _own_plugins(attempt: Attempt) -> list[str]:
    """The plugins that no distribution brought, which is to say files."""
    listed = attempt.environment().get("plugins")
    told = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return [str(item.get("plugin", "")) for item in told if not item.get("version")]
