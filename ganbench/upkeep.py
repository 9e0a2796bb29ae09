"""A results folder looked over: whether what is recorded is sound, and what was left behind that nobody needs."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from ganbench.disk import LONG_SECONDS, discard, is_abandoned
from ganbench.errors import ResultsError
from ganbench.leases import CLAIM, RUNNERS, Leases, Owner, read_owner
from ganbench.soundness import (
    KEY,
    LOOK,
    Problem,
    Sort,
    Waste,
    damage_of,
    differing,
    listed,
    shown,
    size_of,
    software_of,
    sort_of,
    sorts_in,
    strays_in,
    without_company,
)
from ganbench.store import CHECKPOINTS, ENVIRONMENT, RECORD, TRIAL, Attempt, Store, find_stores
from ganbench.tensorfiles import DamagedError, header_of

SWEEP = "'ganbench results gc' deletes it"
GO_ON = "'ganbench run' goes on with it; 'ganbench results gc --cut-short' deletes it"
OURS = re.compile(r"\..+\.[^.]+\.[0-9]+")
"""What names look like under which ganbench writes what it is about to rename."""


@dataclass(frozen=True)
class Survey:
    """What was found at a results folder. `unchecked` counts attempts of a time when records had no checksums."""

    problems: tuple[Problem, ...]
    suites: int
    recorded: int
    unchecked: int

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong; what is under way is as it should be."""
        return not any(problem.counts for problem in self.problems)

    def __str__(self) -> str:
        wrong, busy = sum(each.counts for each in self.problems), sum(not each.counts for each in self.problems)
        told = f"{_counted(wrong, 'problem') if wrong else 'Sound'}: {_counted(self.recorded, 'recorded attempt')}"
        notes = [f"{busy} under way"] if busy else []
        notes += [f"{self.unchecked} older than checksums"] if self.unchecked else []
        return f"{told} of {_counted(self.suites, 'suite')}" + (f" ({', '.join(notes)})" if notes else "")


def verify(path: Path) -> Survey:
    """Look at all that lies in the results at `path`, and change nothing. Raises ResultsError where there are none."""
    places = [Place(store) for store in stores_at(path)]
    problems = [problem for place in places for problem in place.problems() if problem.problem]
    return Survey(
        tuple(problems),
        len(places),
        sum(place.recorded for place in places),
        sum(place.unchecked for place in places),
    )


def waste_at(path: Path, kinds: Iterable[Waste]) -> list[Problem]:
    """What could be deleted of the results at `path`, as far as it is waste of these kinds.

    Raises ResultsError where there are none.
    """
    wanted = set(kinds) - {""}
    found = chain.from_iterable(Place(store).left_behind() for store in stores_at(path))
    return [each for each in found if each.waste in wanted]


def collect(path: Path, waste: Sequence[Problem]) -> tuple[int, int]:
    """Delete what `waste_at` found, but for what somebody has taken up since: how many things, and their bytes.

    Raises StorageError.
    """
    deleted = freed = 0
    for store in stores_at(path):
        mine = [each for each in waste if each.path.is_relative_to(store.path)]
        sizes = [_deleted(each) for each in mine if each.owner is None and _is_still_waste(each)]
        sizes += _from_keys(store, [each for each in mine if each.owner is not None])
        with contextlib.suppress(OSError):
            (store.path / CHECKPOINTS).rmdir()  # which fails where anything is left
        known = [size for size in sizes if size is not None]
        deleted, freed = deleted + len(known), freed + sum(known)
    return deleted, freed


def stores_at(path: Path) -> list[Store]:
    """The suites' results at `path` but those that only a symbolic link leads to. Raises ResultsError."""
    try:
        stores = find_stores(path)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror}). Expected a results folder") from error
    return [store for store in stores if store.path == path or sort_of(store.path) == "folder"]


# --- what is there


class Place:
    """One suite's results as they are found."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.recorded = 0
        self.unchecked = 0

    def problems(self) -> Iterator[Problem]:
        """All that there is to say, attempts looked into."""
        yield from self._beside()
        for folder, sorts in self._keys():
            yield from self._key(folder, sorts, deep=True)

    def left_behind(self) -> Iterator[Problem]:
        """What was left behind, without a look into what is recorded."""
        yield from self._beside()
        for folder, sorts in self._keys():
            yield from self._key(folder, sorts, deep=False)

    @cached_property
    def checkpoints(self) -> Mapping[Path, tuple[str, ...]]:
        """The keys that each checkpoint is of; none where it cannot be told."""
        folder = self.store.path / CHECKPOINTS
        sorts = _sorts(folder)
        return {
            folder / name: _keys_of(folder / name)
            for name, sort in sorts.items()
            if sort == "file" and name.endswith(".safetensors") and not name.startswith(".")
        }

    @cached_property
    def kept(self) -> frozenset[str]:
        """The keys whose attempts can go on from a checkpoint."""
        return frozenset(chain.from_iterable(self.checkpoints.values()))

    # --- beside the attempts

    def _beside(self) -> Iterator[Problem]:
        path = self.store.path
        for name, sort in _sorts(path).items():
            if OURS.fullmatch(name) and sort in ("file", "folder"):
                yield from _temporary(path / name)
            elif name in ("runs", RUNNERS, CHECKPOINTS) and sort != "folder":
                yield Problem(path / name, "link" if sort == "link" else "stray", "not a folder", "make it one")
        yield from self._runs()
        yield from self._runners()
        yield from self._checkpoints()

    def _runs(self) -> Iterator[Problem]:
        runs = self.store.path / "runs"
        if sort_of(runs) != "folder":
            return
        sorts = yield from listed(runs)
        for name, sort in sorts.items():
            if OURS.fullmatch(name):
                yield from _temporary(runs / name)
            elif sort == "file" or name.startswith("."):
                yield Problem(runs / name, "stray", "no folder of a key", LOOK)

    def _runners(self) -> Iterator[Problem]:
        folder = self.store.path / RUNNERS
        if sort_of(folder) != "folder":
            return
        files = yield from _only_files(folder)
        for name in files:
            path = folder / name
            if name.startswith("."):
                yield from _temporary(path)
            elif path.suffix not in (".json", ".stop"):
                yield Problem(path, "stray", "says nothing of a runner", LOOK)
            elif not _lives(path.with_suffix(".json")):
                yield Problem(path, "runner", "of a runner that has ended", SWEEP, "left over")

    def _checkpoints(self) -> Iterator[Problem]:
        folder = self.store.path / CHECKPOINTS
        if sort_of(folder) != "folder":
            return
        files = yield from _only_files(folder)
        for name in files:
            path = folder / name
            if name.startswith("."):
                yield from _temporary(path)
            elif path not in self.checkpoints:
                yield Problem(path, "stray", "no checkpoint", LOOK)
            else:
                yield from self._checkpoint(path, self.checkpoints[path])

    def _checkpoint(self, path: Path, keys: Sequence[str]) -> Iterator[Problem]:
        folders = [self.store.folder_of(key) for key in keys]
        if any(_holder(folder) for folder in folders):
            return
        if not keys:
            yield Problem(path, "checkpoint", "cannot be read, and so nothing goes on from it", SWEEP, "left over")
        elif all(_is_done(folder) for folder in folders):
            yield Problem(path, "checkpoint", "all that it is of is recorded", SWEEP, "left over")
        else:
            yield Problem(path, "", "what was cut short goes on from it", waste="cut short")

    # --- attempts

    def _keys(self) -> Iterator[tuple[Path, Mapping[str, Sort]]]:
        """The folders of keys, each with what is in it."""
        runs = self.store.path / "runs"
        if sort_of(runs) != "folder":
            return
        for name, sort in _sorts(runs).items():
            if sort == "folder" and not name.startswith("."):
                yield runs / name, _sorts(runs / name)

    def _key(self, folder: Path, sorts: Mapping[str, Sort], *, deep: bool) -> Iterator[Problem]:
        holder = _holder(folder)
        attempts = [Attempt(folder / name) for name, sort in sorts.items() if sort == "folder" and _is_number(name)]
        attempts.sort(key=lambda attempt: attempt.number)
        committed = [attempt for attempt in attempts if sort_of(attempt.path / RECORD) is not None]
        yield from _claims_in(folder, sorts)
        for attempt in attempts:
            if attempt not in committed:
                yield self._torn(attempt, holder, last=attempt == attempts[-1])
            elif deep:
                yield from self._recorded(attempt)
            if holder is None or attempt in committed:
                yield from _temporaries_in(attempt.path, folder)
        if holder is None:
            yield from _temporaries_in(folder, folder)
            yield from _superseded(committed)
        if deep:
            yield from _strays_beside(folder)
            yield from _contradictions(committed)

    def _recorded(self, attempt: Attempt) -> Iterator[Problem]:
        self.recorded += 1
        yield from damage_of(attempt)
        yield from strays_in(attempt)
        yield from without_company(attempt)
        with contextlib.suppress(ResultsError, ValueError, TypeError, RecursionError):
            if sort_of(attempt.path / RECORD) == "file":
                self.unchecked += not attempt.record().files

    def _torn(self, attempt: Attempt, holder: Owner | None, *, last: bool) -> Problem:
        path, folder = attempt.path, attempt.path.parent
        if holder is not None:
            return Problem(path, "under way", f"{holder} has it", "wait until it has ended")
        if last and attempt.key in self.kept:
            return Problem(path, "torn", "cut short; there is a checkpoint to go on from", GO_ON, "cut short", folder)
        do = f"'ganbench run' does it again; {SWEEP}" if last else SWEEP
        return Problem(path, "torn", "cut short; there is no checkpoint to go on from", do, "left over", folder)


def _claims_in(folder: Path, sorts: Mapping[str, Sort]) -> Iterator[Problem]:
    for name, sort in sorts.items():
        path = folder / name
        if sort == "file" and _is_claim(name) and not _lives(path):
            yield Problem(path, "claim", f"of {shown(read_owner(path))}, which has ended", SWEEP, "left over")


def _superseded(committed: Sequence[Attempt]) -> Iterator[Problem]:
    """The older of recorded attempts, unless something is wrong with the newest one."""
    if len(committed) > 1 and next(damage_of(committed[-1]), None) is None:
        for attempt in committed[:-1]:
            what = f"attempt {committed[-1].number} is newer"
            yield Problem(attempt.path, "", what, waste="superseded", owner=attempt.path.parent)


def _strays_beside(folder: Path) -> Iterator[Problem]:
    """What lies among attempts, or instead of them, and is none."""
    if not KEY.fullmatch(folder.name):
        yield Problem(folder, "stray", "its name is no key", LOOK)
    sorts = yield from listed(folder)
    for name, sort in sorts.items():
        fits = _is_number(name) if sort == "folder" else _is_claim(name)
        if not fits and not OURS.fullmatch(name):
            yield Problem(folder / name, "stray", "neither an attempt nor a claim", LOOK)


def _contradictions(attempts: Sequence[Attempt]) -> Iterator[Problem]:
    """Attempts at one key, by the same software, whose scores differ from those of the newest one such."""
    known: dict[str, tuple[Attempt, Any]] = {}
    for attempt in reversed(attempts if len(attempts) > 1 else ()):
        with contextlib.suppress(ResultsError, ValueError, TypeError, RecursionError):
            if any(sort_of(attempt.path / name) != "file" for name in (RECORD, TRIAL, ENVIRONMENT)):
                continue
            record, software = attempt.record(), software_of(attempt, attempt.job())
            if record.status != "ok" or not software:
                continue
            newer, other = known.setdefault(software, (attempt, record))
            if names := differing((record, other)):
                what = f"{', '.join(map(shown, names))}: not as in attempt {newer.number}, by the same software"
                yield Problem(
                    attempt.path, "differs", what, "see what is left to chance; gc --superseded keeps the newest"
                )


# --- who and what


def _holder(folder: Path) -> Owner | None:
    """The runner that has the key of that folder and may live; None if none does."""
    claims = [folder / name for name in _sorts(folder) if _is_claim(name)]
    newest = max(claims, key=lambda path: int(path.name.removeprefix(CLAIM)), default=None)
    if newest is None:
        return None
    if sort_of(newest) != "file":
        return Owner()
    return read_owner(newest) if _lives(newest) else None


def _lives(path: Path) -> bool:
    """Whether the runner may live that the file at `path` tells of.

    One of this machine does if its process does; of another, if its file was touched in the last hour.
    """
    if sort_of(path) != "file":
        return False
    owner = read_owner(path)
    if owner.is_here:
        return not owner.is_gone
    try:
        return time.time() - path.lstat().st_mtime < LONG_SECONDS
    except OSError:
        return False


def _is_done(folder: Path) -> bool:
    """Whether the newest attempt at the key of that folder is recorded."""
    numbers = [name for name, sort in _sorts(folder).items() if sort == "folder" and _is_number(name)]
    return bool(numbers) and sort_of(folder / max(numbers, key=int) / RECORD) is not None


def _keys_of(checkpoint: Path) -> tuple[str, ...]:
    try:
        keys = header_of(checkpoint)["identity"]["trials"]
    except (OSError, DamagedError, KeyError, TypeError):
        return ()
    fit = isinstance(keys, list) and all(isinstance(key, str) and KEY.fullmatch(key) for key in keys)
    return tuple(keys) if fit else ()


def _temporary(path: Path, owner: Path | None = None) -> Iterator[Problem]:
    with contextlib.suppress(OSError):
        if is_abandoned(path):
            yield Problem(path, "temporary", "what somebody was about to write", SWEEP, "left over", owner)


def _temporaries_in(folder: Path, owner: Path) -> Iterator[Problem]:
    for name, sort in _sorts(folder).items():
        if OURS.fullmatch(name) and sort in ("file", "folder"):
            yield from _temporary(folder / name, owner)


def _only_files(folder: Path) -> Generator[Problem, None, list[str]]:
    """The names of the files in the folder, and of temporary folders; others are problems."""
    sorts = yield from listed(folder)
    for name, sort in sorts.items():
        if sort == "folder" and not OURS.fullmatch(name):
            yield Problem(folder / name, "stray", "a folder among files", LOOK)
    return [name for name, sort in sorts.items() if sort == "file" or OURS.fullmatch(name)]


def _sorts(folder: Path) -> dict[str, Sort]:
    try:
        return sorts_in(folder)
    except OSError:
        return {}


def _is_number(name: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,17}", name) is not None


def _is_claim(name: str) -> bool:
    return re.fullmatch(rf"{re.escape(CLAIM)}[0-9]{{1,18}}", name) is not None


# --- deleting


def _from_keys(store: Store, waste: Sequence[Problem]) -> list[int | None]:
    """Delete what lies in the folders of keys, each while it is ours and nobody else's; gives the bytes of each."""
    sizes: list[int | None] = []
    if not waste:
        return sizes
    with Leases(store.path) as leases:
        for folder, its in groupby(waste, key=attrgetter("owner")):
            claim, _ = leases.claim(folder)
            if claim is None:
                continue
            try:
                sizes += [_deleted(each) for each in its if _is_still_waste(each)]
            finally:
                leases.release(claim)
            with contextlib.suppress(OSError):
                folder.rmdir()  # which fails where anything is left
    return sizes


def _is_still_waste(each: Problem) -> bool:
    """Whether nobody has taken it up since it was looked at."""
    if each.problem == "torn":
        return sort_of(each.path / RECORD) is None
    if each.problem in ("claim", "runner"):
        return not _lives(each.path.with_suffix(".json") if each.problem == "runner" else each.path)
    return True


def _deleted(each: Problem) -> int | None:
    """Delete it; gives its bytes, None where it is gone already."""
    if sort_of(each.path) not in ("file", "folder"):
        return None
    size = size_of(each.path)
    try:
        discard(each.path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"{error.filename or each.path}: cannot be deleted ({error.strerror})") from error
    return size


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
