"""JSON files of a results folder as the values that they hold: all of it checked, and most of it only once.

Attempts have much in common, and are laid out alike: by `json.dumps` with an indent of 1. What has that layout is read
at once by pydantic, and the parts of a job that were seen before are not even read; they are the same objects again.
Whatever else arrives, or is refused, is read the long way, which takes any layout and can say what is wrong.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, wraps
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from ganbench.errors import ResultsError
from ganbench.terms import Job, Record, Reference, Submission, Trial

MAX_JSON_BYTES = 16 * 2**20
MOST_KNOWN = 4096
"""How many parts of jobs are remembered."""

DEEPEST = 64
"""Lists and objects in each other, of which ganbench itself writes a dozen: much deeper ones end Python's recursion."""

MOST_WHOLE = 2**53
"""The whole numbers up to it are the same for everyone who reads JSON."""

Found = TypeVar("Found")

_JOBS: dict[str, type[Job]] = {
    "trial": Trial,
    "reference": Reference,
    "evaluated": Submission,
}


def read_record(path: Path | str) -> Record:
    """The record at `path`. Raises ResultsError that names the file and the field where it is not one."""
    content = read_file(path)
    return _record_at_once(content) or _record(_parsed(content, path), path)


def read_job(path: Path | str) -> Job:
    """The job described at `path`. Raises ResultsError as `read_record` does."""
    content = read_file(path)
    return _job_at_once(content) or _job(_parsed(content, path), path)


def read_facts(path: Path | str) -> Mapping[str, Any]:
    """The JSON object at `path`, empty where there is no file; not to be changed: equal files share an object."""
    return _parsed(read_file(path, missing=b"{}"), path, _remembered)


def once(function: Callable[..., Found]) -> Callable[..., Found]:
    """`function`, called once for the same objects, which nobody may change: jobs have many of them in common.

    Equal ones do not count as the same: 1, 1.0 and true are equal, yet not written alike.
    """
    known: dict[tuple[int, ...], tuple[tuple[Any, ...], Found]] = {}

    @wraps(function)
    def remembered(*objects: Any) -> Found:
        place = tuple(map(id, objects))
        entry = known.get(place)
        if entry is None:
            if len(known) >= MOST_KNOWN:
                known.clear()
            entry = known[place] = objects, function(*objects)  # objects that are kept share no id with later ones
        return entry[1]

    return remembered


def read_file(path: Path | str, missing: bytes | None = None, most: int = MAX_JSON_BYTES) -> bytes:
    """What is in the file, `missing` if there is none; as few calls to the system as it takes.

    Raises ResultsError for what is no regular file, has more than `most` bytes, or cannot be read.
    """
    try:
        with FileIO(path, opener=_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ResultsError(f"{path}: no regular file, so not one that ganbench wrote")
            if status.st_size > most:
                raise ResultsError(f"{path}: larger than {most} bytes, so not a file that ganbench wrote")
            return file.read(status.st_size)
    except OSError as error:
        if missing is not None and isinstance(error, FileNotFoundError):
            return missing
        raise ResultsError(f"{path}: cannot be read ({error.strerror})") from error


def _at_once(path: str, flags: int) -> int:
    """Open the file without waiting: a pipe may have nobody at its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# --- at once

_SCHEMA = f'\n "schema": {Record.schema},\n'.encode()
"""A line that only the record itself has, not what is nested in it: that is indented further."""

_START, _END = b'{\n "', b"\n}"
_MEMBER = re.compile(rb',\n "(\w+)": ')
_KINDS = {json.dumps(kind).encode(): kind for kind in _JOBS}


def _record_at_once(content: bytes) -> Record | None:
    if _SCHEMA not in content or _odd(content):
        return None
    try:
        record: Record = _adapter("record").validate_json(content, strict=True)
    except ValidationError:
        return None
    return None if _flaw(record) else record


def _job_at_once(content: bytes) -> Job | None:
    """The job, put together from its parts: its members with all that is nested in them, each checked by itself."""
    if not (content.startswith(_START) and content.endswith(_END)) or _odd(content):
        return None
    start, *members = _MEMBER.split(b"," + content[1 : -len(_END)])
    values = dict(zip(members[::2], members[1::2], strict=True))
    kind = _KINDS.get(values.pop(b"type", b""))
    if start or kind is None or values.keys() != _parts(kind).keys():
        return None
    try:
        job = _JOBS[kind](**{name.decode(): _part(kind, name, value) for name, value in values.items()})
        return None if _unlimited(job) else job
    except (ValueError, RecursionError):
        return None


@lru_cache(maxsize=MOST_KNOWN)
def _part(kind: str, name: bytes, value: bytes) -> Any:
    _loads(value)  # which knows what pydantic does not: how deep it may be, and which numbers there are
    return _parts(kind)[name].validate_json(value, strict=True)


@cache
def _parts(kind: str) -> dict[bytes, TypeAdapter[Any]]:
    return {name.encode(): TypeAdapter(hint) for name, hint in get_type_hints(_JOBS[kind]).items()}


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(_JOBS.get(kind, Record))


def _odd(content: bytes) -> bool:
    """Whether it may hold what pydantic takes for a number, and JSON does not."""
    return b"NaN" in content or b"Infinity" in content


# --- the long way


def _record(data: dict[str, Any], path: Path | str) -> Record:
    record: Record = _validated("record", _migrated(data, path), path)
    if flaw := _flaw(record):
        raise ResultsError(f"{path}: {flaw}")
    return record


def _migrated(data: dict[str, Any], path: Path | str) -> dict[str, Any]:
    """A record's JSON as this ganbench would write it, whichever wrote it; what is on disk stays as it is."""
    schema = data.get("schema")
    if type(schema) is not int or schema < min(_MIGRATIONS):
        raise ResultsError(f"{path}: schema {schema!r}, expected {Record.schema}: not a record that ganbench wrote")
    if schema > Record.schema:
        raise ResultsError(
            f"{path}: schema {schema}, expected at most {Record.schema}: written by a newer ganbench. "
            "Upgrade ganbench to read it"
        )
    for older in range(schema, Record.schema):
        data = _MIGRATIONS[older](data)
    return data


def _from_1(data: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 added what can only be known as an attempt ends: checksums, and the end of the log."""
    return {**data, "files": {}, "log": "", "schema": 2}


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
"""By schema, what makes a record one of the next schema."""


def _flaw(record: Record) -> str:
    """What is wrong with the numbers of a record whose types are right; nothing where they are."""
    counts = [record.failed_step or 0, record.spent.steps]
    numbers = [*vars(record.spent).values(), *record.costs.values()]
    for score in record.scores:
        counts += (score.n_fake, score.n_real, score.dimension, score.version)
        numbers += (score.value or 0.0, score.noise or 0.0)
    if max(map(abs, counts)) > MOST_WHOLE:
        wild = next(count for count in counts if abs(count) > MOST_WHOLE)
        return f"a whole number of {wild:.3e}, expected at most {MOST_WHOLE}"
    if all(map(math.isfinite, numbers)):
        return ""
    return f"a number is {next(number for number in numbers if not math.isfinite(number))}, expected finite ones"


def _job(data: dict[str, Any], path: Path | str) -> Job:
    kind = data.pop("type", None)
    if not isinstance(kind, str) or kind not in _JOBS:
        raise ResultsError(f"{path}: type {kind!r}, expected one of {', '.join(_JOBS)}")
    job: Job = _validated(kind, data, path)
    if _unlimited(job):
        raise ResultsError(f"{path}: at 'budget': no limit, expected at least one")
    return job


def _unlimited(job: Job) -> bool:
    return isinstance(job, Trial) and not job.budget.limits()


def _loads(content: bytes) -> Any:
    data = json.loads(content, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_of_64_bits)
    if _depth(data) > DEEPEST:
        raise ValueError(f"more than {DEEPEST} lists and objects in each other")
    return data


_remembered = lru_cache(maxsize=256)(_loads)


def _parsed(content: bytes, path: Path | str, loads: Callable[[bytes], Any] = _loads) -> dict[str, Any]:
    try:
        data = loads(content)
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(data, dict):
        raise ResultsError(f"{path}: holds a {type(data).__name__}, expected a JSON object")
    return data


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written[:20]} is beyond all numbers")
    return number


def _of_64_bits(written: str) -> int:
    number = int(written) if len(written) <= 20 else 2**64
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{written[:20]}… is beyond 64 bits" if len(written) > 20 else f"{written} is beyond 64 bits")
    return number


def _depth(data: Any) -> int:
    """How many lists and objects lie in each other, counted without recursion."""
    depth, level = 0, [data]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _validated(kind: str, data: dict[str, Any], path: Path | str) -> Any:
    try:
        return _adapter(kind).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ResultsError(f"{path}: at '{place}': {first['msg']}") from error
