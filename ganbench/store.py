"""Where results lie on disk: one folder an attempt, written by one process, and committed by `record.json`.

<results>/runs/<key>/<attempt>/
    trial.json task.json environment.json events.jsonl log.txt curve.parquet samples-*.png generator.safetensors
    interpolations.png neighbours.png portrait.json
    record.json    the last file, renamed into place once it is safe: an attempt without it never happened
<results>/checkpoints/<group>.safetensors    of what was cut short: where it goes on
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganbench.disk import on_disk, remove, sha256_of, write_atomically
from ganbench.errors import ResultsError
from ganbench.parsing import read_facts, read_job, read_record
from ganbench.portrait_files import INTERPOLATIONS, NEIGHBOURS, PORTRAIT
from ganbench.terms import Job, Record, kind_of, plain

RECORD = "record.json"
TRIAL = "trial.json"
TASK = "task.json"
ENVIRONMENT = "environment.json"
EVENTS = "events.jsonl"
LOG = "log.txt"
CURVE = "curve.parquet"
GENERATOR = "generator.safetensors"
SAMPLES = re.compile(r"samples-.*\.png")
FINAL = (TRIAL, TASK, ENVIRONMENT, CURVE, GENERATOR, INTERPOLATIONS, NEIGHBOURS, PORTRAIT)
CHECKPOINTS = "checkpoints"

NOISE = "Extension modules: "
"""How the longest line begins of what Python leaves of a crash, which says nothing of it."""

LOG_LINES, LOG_CHARACTERS = 20, 2000
"""How much of the log of what did not end well stands in its record."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, which a terminal may obey; but for the newline and the tab."""


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

    def commit(self, record: Record) -> Record:
        """Write the record, with the checksums of the files beside it: from here on the attempt counts.

        It is never changed again but for its log and its events, which may still grow. Gives the record as written.
        Raises StorageError.
        """
        if self.committed:
            raise ResultsError(f"{self.path / RECORD}: already written; an attempt is recorded once")
        with on_disk(self.path):
            told = "" if record.status == "ok" else _last_lines(self.path / LOG)
            record = replace(record, files=self._checksums(), log=told)
        self.write_json(RECORD, plain(record))
        return record

    def record(self) -> Record:
        """The record of a committed attempt."""
        return read_record(self._file(RECORD))

    def job(self) -> Job:
        """What this is an attempt at."""
        return read_job(self._file(TRIAL))

    def environment(self) -> Mapping[str, Any]:
        """Versions, device and threads, as they were; empty if the attempt ended before it could say."""
        return read_facts(self._file(ENVIRONMENT))

    def task(self) -> Mapping[str, Any]:
        """How the attempt is carried out: its driver, and which jobs share its process; empty if that is not known."""
        return read_facts(self._file(TASK))

    def clear(self) -> None:
        """Remove all that an attempt without a record has left, but for what it is an attempt at."""
        if self.committed:
            raise ResultsError(f"{self.path}: has a record, and is never changed")
        for child in self.path.iterdir():
            if child.name != TRIAL:
                remove(child)

    def fenced(self) -> Attempt:
        """The same attempt under the next number: whoever still writes to the old folder finds it gone."""
        number = self.number
        while True:
            number += 1
            moved = self.path.with_name(str(number))
            if not moved.exists():
                self.path.rename(moved)
                return Attempt(moved)

    def _checksums(self) -> dict[str, str]:
        with os.scandir(self.path) as children:
            names = sorted(child.name for child in children if child.is_file(follow_symlinks=False))
        return {name: sha256_of(self.path / name) for name in names if is_final(name)}

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
            _describe(attempt, job)
        except OSError as error:
            raise ResultsError(f"{runs}: cannot write results here ({error.strerror}). Pass --results DIR") from error
        return attempt

    def unfinished(self, key: str) -> Attempt | None:
        """The newest attempt at `key`, if it has no record: under way, or cut short."""
        attempts = _attempts_in(self.path / "runs" / key)
        return attempts[-1] if attempts and not attempts[-1].committed else None

    def folder_of(self, key: str) -> Path:
        """Where the attempts at `key` lie."""
        return self.path / "runs" / key

    def checkpoint_of(self, keys: Sequence[str]) -> Path:
        """Where the checkpoint of jobs lies that share a process."""
        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]
        return self.path / CHECKPOINTS / f"{name}.safetensors"

    def take_up(self, job: Job, *, fence: bool = False) -> Attempt:
        """The newest attempt at the job if it was cut short, else a new one.

        Whoever may still write to the former is kept off by a `fence`: its folder then has the next number.
        """
        attempt = self.unfinished(job.key)
        if attempt is None:
            return self.begin(job)
        with on_disk(attempt.path):
            attempt = attempt.fenced() if fence else attempt
            for path in attempt.path.glob(".*"):  # what somebody was about to write
                remove(path)
            _describe(attempt, job)
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


def is_final(name: str) -> bool:
    """Whether an attempt's file of that name is complete when the record is written: the record has its checksum."""
    return name in FINAL or SAMPLES.fullmatch(name) is not None


def _last_lines(log: Path) -> str:
    """The end of a log, as text that no terminal obeys; empty where there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4 * (LOG_CHARACTERS + 1)))  # no character has more than 4 bytes in UTF-8
        text = file.read().decode("utf-8", errors="replace")
    lines = [line for line in text.replace("\r\n", "\n").rstrip().split("\n") if not line.startswith(NOISE)]
    lines = lines[-LOG_LINES:]
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", "\n".join(lines)[-LOG_CHARACTERS:])


def _describe(attempt: Attempt, job: Job) -> None:
    attempt.write_json(TRIAL, {"type": kind_of(job), **plain(job)})


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
            return [child.name for child in children if _is_folder(child)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be read ({error.strerror})") from error


def _is_folder(child: os.DirEntry[str]) -> bool:
    try:
        return child.is_dir()
    except OSError:  # a link that leads round in a circle
        return False


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
