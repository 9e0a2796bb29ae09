"""What is wrong with a recorded attempt, whatever lies in its folder: nothing in there is believed, or followed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from ganbench.assignments import Assignment, assignment_of
from ganbench.disk import sha256_of
from ganbench.errors import ResultsError
from ganbench.parsing import read_facts, read_job, read_record
from ganbench.portrait_files import INTERPOLATIONS, NEIGHBOURS, PORTRAIT, read_portrait
from ganbench.store import (
    CONTROL,
    CURVE,
    ENVIRONMENT,
    EVENTS,
    GENERATOR,
    LOG,
    RECORD,
    SAMPLES,
    TASK,
    TRIAL,
    Attempt,
    is_final,
)
from ganbench.terms import Job, Record, Trial, kind_of

Found = TypeVar("Found")
Sort = Literal["file", "folder", "link", "other"]
Waste = Literal["", "left over", "cut short", "superseded"]
"""Why nobody needs what is there; empty where somebody may."""

RESTORE = "copy it again, or delete the attempt: 'ganbench run' repeats it"
LOOK = "nothing reads it: move it away, or delete it"
KEY = re.compile(r"[0-9a-f]{64}")
MOST_ROWS = 1_000_000
LONGEST_REASON = 160

SOFTWARE = (
    "ganbench",
    "python",
    "packages",
    "plugins",
    "data",
    "device",
    "cuda",
    "precision",
    "driver",
    "seeds_together",
)
"""The facts of an environment that must be equal for scores to be expected to be the same bit for bit."""


@dataclass(frozen=True)
class Problem:
    """What was found at a place, and what to do about it.

    `problem` is a word for it: empty, or `under way`, where nothing is wrong. `waste` says why it can be deleted,
    `owner` is the folder of the key that must be nobody's before it is.
    """

    path: Path
    problem: str
    what: str
    do: str = ""
    waste: Waste = ""
    owner: Path | None = None

    @property
    def counts(self) -> bool:
        """Whether results that have it are not sound."""
        return self.problem not in ("", "under way")


def damage_of(attempt: Attempt) -> Iterator[Problem]:
    """What is wrong with a committed attempt, seen by itself."""
    files = yield from regular_files(attempt.path)
    record = yield from _needed(attempt.path / RECORD, files, read_record)
    job = yield from _needed(attempt.path / TRIAL, files, read_job)
    for name in (ENVIRONMENT, TASK):
        if name in files:
            yield from _read(attempt.path / name, read_facts)
    if PORTRAIT in files:
        yield from _read(attempt.path / PORTRAIT, lambda path: read_portrait(path.parent))
    if job is not None:
        yield from _wrong_key(attempt, job, record)
    if record is not None:
        yield from _changed(attempt, record, files)
        yield from _unfit(attempt, record, files)


def strays_in(attempt: Attempt) -> Iterator[Problem]:
    """What lies in an attempt's folder and does not belong there."""
    with contextlib.suppress(OSError):
        for name, sort in sorts_in(attempt.path).items():
            known = is_final(name) or name in (RECORD, EVENTS, LOG) or name.startswith(".")
            if sort == "folder" or (sort == "file" and not known):
                yield Problem(attempt.path / name, "stray", "no part of an attempt", LOOK)


def without_company(attempt: Attempt) -> Iterator[Problem]:
    """Whether those are here that the attempt shared a process with: how it was rounded depends on them."""
    path = attempt.path / TASK
    if sort_of(path) != "file":
        return
    assignment = assignment_of(attempt)
    if assignment is None:
        yield Problem(path, "unreadable", "does not say how the attempt was carried out, and with whom", RESTORE)
    elif missing := _missing(attempt, assignment):
        names = ", ".join(shown(key)[:8] for key in missing)
        do = "copy them from where it was made, if they are wanted"
        yield Problem(path, "company", f"trained together with {names}, of which nothing is here", do)


def differing(records: Iterable[Record]) -> list[str]:
    """The names of the scores that are not the same, bit for bit, in all records that ended well."""
    values: dict[str, list[float | None]] = {}
    good = [record for record in records if record.status == "ok"]
    for record in good:
        for score in record.scores:
            values.setdefault(score.name, []).append(score.value)
    return [name for name, found in values.items() if len(found) < len(good) or len(set(map(repr, found))) > 1]


def software_of(attempt: Attempt, job: Job) -> str:
    """Text that is equal where scores are expected to be; empty where they depend on the clock, or it is not told."""
    timed = isinstance(job, Trial) and job.budget.device_seconds is not None
    facts = attempt.environment()
    return "" if timed or not facts else json.dumps([facts.get(name) for name in SOFTWARE], sort_keys=True)


# --- files, of which nothing is believed


def sort_of(path: Path) -> Sort | None:
    """What is there, links not followed; None if nothing is, and `other` where that cannot be told."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return "other"
    return (
        "link" if stat.S_ISLNK(mode) else "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"
    )


def sorts_in(folder: Path) -> dict[str, Sort]:
    """What is in the folder, by name. Raises OSError."""
    found: dict[str, Sort] = {}
    with os.scandir(folder) as children:
        for child in children:
            if child.is_symlink():
                found[child.name] = "link"
            elif child.is_dir(follow_symlinks=False):
                found[child.name] = "folder"
            else:
                found[child.name] = "file" if child.is_file(follow_symlinks=False) else "other"
    return dict(sorted(found.items()))


def listed(folder: Path) -> Generator[Problem, None, dict[str, Sort]]:
    """What is in the folder but links and devices: each of those is a problem, as is a folder that cannot be read."""
    try:
        found = sorts_in(folder)
    except OSError as error:
        yield Problem(folder, "unreadable", f"cannot be read ({error.strerror})", "see who may read it")
        return {}
    for name, sort in found.items():
        if sort == "link":
            do = "put what it leads to in its place, or delete it"
            yield Problem(folder / name, "link", "a symbolic link, which is not followed", do)
        elif sort == "other":
            yield Problem(folder / name, "stray", "neither a file nor a folder", "delete it")
    return {name: sort for name, sort in found.items() if sort in ("file", "folder")}


def regular_files(folder: Path) -> Generator[Problem, None, set[str]]:
    """The names of the files in the folder that are nothing but files; the others are problems."""
    found = yield from listed(folder)
    return {name for name, sort in found.items() if sort == "file"}


def size_of(path: Path) -> int:
    """How many bytes the files at `path` have, in all folders below it."""
    if sort_of(path) == "folder":
        return sum(size_of(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def shown(text: object) -> str:
    """The text in one line, as it can be printed anywhere."""
    line = CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text).replace("\n", " ").replace("\t", " "))
    return line.encode("utf-8", errors="replace").decode()


# --- one attempt


def _needed(path: Path, files: set[str], read: Callable[[Path], Found]) -> Generator[Problem, None, Found | None]:
    if path.name not in files:
        if sort_of(path) is None:
            yield Problem(path, "missing", "is not there", RESTORE)
        return None
    return (yield from _read(path, read))


def _read(path: Path, read: Callable[[Path], Found]) -> Generator[Problem, None, Found | None]:
    try:
        return read(path)
    except ResultsError as error:
        reason = str(error).removeprefix(f"{path}: ")
        newer = "newer ganbench" in reason
        yield Problem(path, "unreadable", reason, "upgrade ganbench" if newer else RESTORE)
    except (ValueError, TypeError, RecursionError) as error:
        yield Problem(path, "unreadable", f"holds values that ganbench does not write ({error})", RESTORE)
    return None


def _wrong_key(attempt: Attempt, job: Job, record: Record | None) -> Iterator[Problem]:
    try:
        key = job.key
    except (ValueError, TypeError, RecursionError) as error:
        yield Problem(attempt.path / TRIAL, "unreadable", f"no key can be made of it ({error})", RESTORE)
        return
    if key != attempt.key:
        what = f"describes a job whose key is {key[:8]}…, and not that of the folder"
        yield Problem(attempt.path / TRIAL, "key", what, RESTORE)
    if record is not None and record.key != attempt.key:
        yield Problem(attempt.path / RECORD, "key", f"is of the key {record.key[:8]}…, and not the folder's", RESTORE)
    if record is not None and record.kind != kind_of(job):
        yield Problem(attempt.path / RECORD, "key", f"is of a job called {record.kind}, not {kind_of(job)}", RESTORE)


def _changed(attempt: Attempt, record: Record, files: set[str]) -> Iterator[Problem]:
    """Files that are not as they were when the record was written, as far as it says how they were."""
    for name, expected in record.files.items():
        path = attempt.path / Path(name).name  # whatever a record says: nothing outside the folder is looked at
        if name not in files:
            if sort_of(path) is None:
                yield Problem(path, "missing", "is not there, though it is in the record", RESTORE)
            continue
        try:
            intact = sha256_of(path) == expected
        except OSError as error:
            yield Problem(path, "unreadable", f"cannot be read ({error.strerror})", "see who may read it")
            continue
        if not intact:
            yield Problem(path, "changed", "is not what it was when the record was written", RESTORE)
    if record.files:
        for name in sorted(filter(is_final, files - record.files.keys())):
            yield Problem(attempt.path / name, "stray", "came after the record was written", LOOK)


def _unfit(attempt: Attempt, record: Record, files: set[str]) -> Iterator[Problem]:
    """Files that cannot be read as what they should be, and a curve that does not end as the record says."""
    readers: dict[str, Callable[[Path], str]] = {
        CURVE: lambda path: _curve_fault(path, record),
        GENERATOR: _tensors_fault,
        **{name: _picture_fault for name in sorted(files) if SAMPLES.fullmatch(name)},
        **dict.fromkeys((INTERPOLATIONS, NEIGHBOURS), _picture_fault),
    }
    for name, fault_of in readers.items():
        path = attempt.path / name
        if name in files and (fault := _said(fault_of, path)):
            yield Problem(path, "unfit", fault, RESTORE)


def _said(fault_of: Callable[[Path], str], path: Path) -> str:
    try:
        return fault_of(path)
    except Exception as error:  # noqa: BLE001 - libraries say in their own ways that a file is damaged
        reason = shown(error).replace(str(path), "it")[:LONGEST_REASON]
        return (
            f"cannot be read: {type(error).__name__}: {reason}" if reason else f"cannot be read: {type(error).__name__}"
        )


def _curve_fault(path: Path, record: Record) -> str:
    """How the curve's end is not what the record says; empty where it is."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, memory_map=False) as file:
        rows = file.metadata.num_rows
        if not 0 < rows <= MOST_ROWS:
            return f"has {rows} rows, expected one for each evaluation point"
        names = {"steps": record.spent.steps, **{score.name: score.value for score in record.scores}}
        known = set(file.schema_arrow.names)
        last = file.read(columns=[name for name in names if name in known], use_threads=False).slice(rows - 1)
    if record.status != "ok":  # it ends where it was measured last
        return ""
    values: Mapping[str, Any] = {name: column[0] for name, column in last.to_pydict().items()}
    missing = [name for name in names if name not in values]
    other = [name for name in names if name in values and not _same(values[name], names[name])]
    if missing:
        return f"has no column {', '.join(map(shown, missing))}"
    return f"does not end with the record's {', '.join(map(shown, other))}" if other else ""


def _same(came: Any, expected: float | None) -> bool:
    nothing = came is None or (isinstance(came, float) and math.isnan(came))
    return nothing if expected is None else (not nothing and bool(came == expected))


def _tensors_fault(path: Path) -> str:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:  # which sees whether all that the header promises is there
        return "" if file.keys() else "holds no tensors"


def _picture_fault(path: Path) -> str:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(path, formats=["PNG"]) as picture:
            picture.verify()
    return ""


def _missing(attempt: Attempt, assignment: Assignment) -> list[str]:
    runs = attempt.path.parent.parent
    return [key for key in assignment.together if not KEY.fullmatch(key) or sort_of(runs / key) != "folder"]
