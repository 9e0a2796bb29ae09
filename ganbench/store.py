"""Where results lie on disk: one folder an attempt, written by one process, and committed by `record.json`.

<results>/runs/<key>/<attempt>/
    trial.json environment.json events.jsonl log.txt curve.parquet samples-*.png generator.safetensors
    record.json    the last file, renamed into place once it is safe: an attempt without it never happened
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganbench.errors import ResultsError
from ganbench.parsing import read_facts, read_job, read_record
from ganbench.terms import Job, Record, kind_of, plain

RECORD = "record.json"
TRIAL = "trial.json"
ENVIRONMENT = "environment.json"
EVENTS = "events.jsonl"
LOG = "log.txt"
CURVE = "curve.parquet"
GENERATOR = "generator.safetensors"


@dataclass(frozen=True)
class Attempt:
    """One try at a job: a folder that only its own process writes to."""

    path: Path

    @property
    def key(self) -> str:
        """The job's key, which is the name of the folder above."""
        return self.path.parent.name

    @property
    def number(self) -> int:
        """1 for the first try."""
        return int(self.path.name)

    @property
    def committed(self) -> bool:
        """Whether the record was written: if not, the attempt is under way or was cut short."""
        return (self.path / RECORD).is_file()

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Write `data` as `name`, whole or not at all."""
        write_atomically(self.path / name, json.dumps(data, indent=1, sort_keys=True, allow_nan=False).encode())

    def commit(self, record: Record) -> None:
        """Write the record: from here on the attempt counts, and is never changed."""
        if self.committed:
            raise ResultsError(f"{self.path / RECORD}: already written; an attempt is recorded once")
        self.write_json(RECORD, plain(record))

    def record(self) -> Record:
        """The record of a committed attempt."""
        return read_record(self._file(RECORD))

    def job(self) -> Job:
        """What this is an attempt at."""
        return read_job(self._file(TRIAL))

    def environment(self) -> Mapping[str, Any]:
        """Versions, device and threads, as they were; empty if the attempt ended before it could say."""
        return read_facts(self._file(ENVIRONMENT))

    def _file(self, name: str) -> str:
        return f"{self.path}{os.sep}{name}"  # which takes a tenth of the time of making a Path


@dataclass(frozen=True)
class Store:
    """The results of one suite. Making one touches nothing."""

    path: Path

    def begin(self, job: Job) -> Attempt:
        """A new, empty attempt folder that holds the job's description.

        Raises ResultsError where the folder cannot be written.
        """
        runs = self.path / "runs" / job.key
        try:
            runs.mkdir(parents=True, exist_ok=True)
            attempt = _next_attempt(runs)
            attempt.write_json(TRIAL, {"type": kind_of(job), **plain(job)})
        except OSError as error:
            raise ResultsError(f"{runs}: cannot write results here ({error.strerror}). Pass --results DIR") from error
        return attempt

    def attempts(self, key: str | None = None) -> Iterator[Attempt]:
        """Every attempt at `key`, or at everything, the oldest first; unfinished ones too."""
        for name in [key] if key else self._keys():
            yield from _attempts_in(self.path / "runs" / name)

    def latest(self, key: str) -> Attempt | None:
        """The newest committed attempt at `key`: the one that tables show."""
        return _newest_in(self.path / "runs", key)

    def newest(self) -> Iterator[Attempt]:
        """The newest committed attempt at each key that has one."""
        runs = self.path / "runs"
        return (attempt for key in self._keys() if (attempt := _newest_in(runs, key)))

    def _keys(self) -> list[str]:
        return sorted(_folders_in(self.path / "runs"))


def find_stores(path: Path) -> list[Store]:
    """The suites' results at `path`: the folder itself, or each folder in it that holds `runs/`.

    Raises ResultsError if there are none.
    """
    if (path / "runs").is_dir():
        return [Store(path)]
    stores = [Store(child) for child in sorted(path.iterdir()) if (child / "runs").is_dir()] if path.is_dir() else []
    if not stores:
        what = "no such folder" if not path.exists() else "no runs in it"
        raise ResultsError(f"{path}: {what}. Expected a results folder, which 'ganbench run SUITE' writes")
    return stores


def find_attempt(path: Path, key: str) -> Attempt:
    """The newest committed attempt whose key begins with `key`, among the results at `path`.

    Raises ResultsError if none does, or more than one.
    """
    pattern = f"{key}*" if key.isalnum() else "[]"  # the latter fits nothing: a key is no place for wildcards
    folders = [folder for store in find_stores(path) for folder in (store.path / "runs").glob(pattern)]
    keys = sorted({folder.name for folder in folders})
    if not keys:
        raise ResultsError(
            f"{path}: no key begins with '{key}'. 'ganbench table {path} --columns key,variant' lists them"
        )
    if len(keys) > 1:
        raise ResultsError(f"{path}: {len(keys)} keys begin with '{key}'. Give more of it: {', '.join(keys[:3])}, …")
    ended = [attempt for folder in folders for attempt in _attempts_in(folder) if attempt.committed]
    if not ended:
        raise ResultsError(f"{folders[0]}: has not ended yet, so there is no record")
    return max(ended, key=lambda attempt: (attempt.record().finished_at, attempt.number))


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` so that a reader, or a power cut, sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its rename is already ordered
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _attempts_in(folder: Path) -> list[Attempt]:
    return [Attempt(folder / name) for name in _numbers_in(folder)]


def _newest_in(runs: Path, key: str) -> Attempt | None:
    numbers = reversed(_numbers_in(f"{runs}{os.sep}{key}"))
    attempts = (Attempt(runs.joinpath(key, number)) for number in numbers)
    return next((attempt for attempt in attempts if attempt.committed), None)


def _numbers_in(folder: Path | str) -> list[str]:
    return sorted((name for name in _folders_in(folder) if name.isdecimal()), key=int)


def _folders_in(folder: Path | str) -> list[str]:
    """The names of the folders in `folder`, in no order; none where it is no folder itself."""
    try:
        with os.scandir(folder) as children:  # which asks the system for many at a time, and of each what it is
            return [child.name for child in children if child.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _next_attempt(folder: Path) -> Attempt:
    existing = _attempts_in(folder)
    number = existing[-1].number + 1 if existing else 1
    while True:
        path = folder / str(number)
        try:
            path.mkdir()
        except FileExistsError:  # another runner took this number
            number += 1
        else:
            return Attempt(path)
