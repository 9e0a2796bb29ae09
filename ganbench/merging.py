"""Recorded attempts of several results folders in one: what is the same once, what differs side by side."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ganbench.disk import on_disk, remove_temporary, sha256_of, sync_folder, temporary_for
from ganbench.errors import ResultsError
from ganbench.leases import CLAIM, RUNNERS, Leases
from ganbench.soundness import Problem, Sort, damage_of, differing, shown, sort_of, sorts_in
from ganbench.store import EVENTS, LOG, RECORD, TRIAL, Attempt, Store, is_final
from ganbench.terms import Trial

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Conflict:
    """A key of which two folders hold different records: how many there are now, and which scores differ."""

    key: str
    variant: str
    attempts: int
    scores: tuple[str, ...]


@dataclass(frozen=True)
class Merged:
    """What became of the attempts that were to be merged."""

    copied: int
    present: int
    conflicts: tuple[Conflict, ...]
    left_out: tuple[Problem, ...]

    def __str__(self) -> str:
        parts = [f"{self.copied:,} copied", f"{self.present:,} there already"]
        parts += [f"{len(self.conflicts):,} of one key with other results"] if self.conflicts else []
        damaged = {problem.path.parent for problem in self.left_out}
        parts += [f"{len(damaged):,} left out, for something is wrong with them"] if damaged else []
        return ", ".join(parts)


class _Recorded(NamedTuple):
    """A committed attempt, the SHA-256 of its record as it lies there, and when it ended."""

    attempt: Attempt
    content: str
    ended: datetime


def merge(sources: Sequence[Path], into: Path) -> Merged:
    """Copy the recorded attempts of `sources` into the results folder `into`, which is made where there is none.

    Raises ResultsError where these are not folders that can be merged, StorageError where the disk takes no more: what
    was copied until then stays, and the same call does the rest.
    """
    stores = [_source(path) for path in sources]
    target = _target(into, sources)
    keys = sorted({key for store in stores for key in _keys(store)})
    copied = present = 0
    conflicts: list[Conflict] = []
    left_out: list[Problem] = []
    with _open(target) as leases:
        for key in keys:
            own, *others = (_recorded(store, key) for store in (target, *stores))
            there, come = ({each.content: each for each in reversed(group)} for group in (own, _flat(others)))
            new = [each for content, each in come.items() if content not in there]
            damaged = {each.content: found for each in new if (found := list(damage_of(each.attempt)))}
            sound = [each for each in new if each.content not in damaged]
            apart = _conflicts(
                key, [[each for each in place if each.content not in damaged] for place in (own, *others)]
            )
            _put(target.folder_of(key), own, sound, leases)
            copied, present = copied + len(sound), present + len(come) - len(new)
            left_out += _flat(damaged.values())
            conflicts += apart if sound else ()
    return Merged(copied, present, tuple(conflicts), tuple(left_out))


# --- what may be merged with what


def _source(path: Path) -> Store:
    if sort_of(_resolved(path) / "runs") == "folder":
        return Store(path)
    with _readable(path):
        children = sorted(path.iterdir()) if path.is_dir() else []
    inside = [child.name for child in children if sort_of(child / "runs") == "folder"]
    if inside:
        names = ", ".join(map(shown, inside))
        raise ResultsError(f"{path}: holds the results of {names}. Expected one suite's: {path / shown(inside[0])}")
    what = "no runs in it" if path.is_dir() else "not a folder" if path.exists() else "no such folder"
    raise ResultsError(f"{path}: {what}. Expected a suite's results folder, which 'ganbench run SUITE' writes")


def _target(into: Path, sources: Sequence[Path]) -> Store:
    place = _resolved(into)
    for source in sources:
        other = _resolved(source)
        if place == other:
            raise ResultsError(f"--into {into}: is itself to be merged. Leave {source} out of what is merged into it")
        if place.is_relative_to(other) or other.is_relative_to(place):
            where = "inside" if place.is_relative_to(other) else "around"
            raise ResultsError(f"--into {into}: lies {where} {source}, which is to be merged. Name a folder beside it")
    if place.exists() and not place.is_dir():
        raise ResultsError(f"--into {into}: is a file. Expected a results folder, or the name of a new one")
    for name in ("runs", RUNNERS):
        if sort_of(place / name) not in (None, "folder"):
            raise ResultsError(f"{into / name}: not a folder, so nothing is written there. Name another folder")
    with _readable(place):
        foreign = place.is_dir() and sort_of(place / "runs") is None and any(place.iterdir())
    if foreign:
        raise ResultsError(f"--into {into}: holds other things and no runs. Name a results folder, or a new one")
    return Store(into)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise ResultsError(f"{path}: leads nowhere ({error}). Expected a folder") from error


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsError(f"{error.filename or path}: cannot be read ({error.strerror})") from error


def _open(target: Store) -> Leases:
    try:
        (target.path / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(
            f"--into {target.path}: cannot be written ({error.strerror}). Name another folder"
        ) from error
    return Leases(target.path)


# --- what is there


def _keys(store: Store) -> list[str]:
    runs = store.path / "runs"
    with _readable(runs):
        return [name for name, sort in sorts_in(runs).items() if sort == "folder" and not name.startswith(".")]


def _recorded(store: Store, key: str) -> list[_Recorded]:
    """The attempts at the key that have a record, the oldest first; symbolic links lead nowhere."""
    folder = store.folder_of(key)
    if sort_of(folder) != "folder":
        return []
    with _readable(folder):
        return [
            _Recorded(attempt, sha256_of(attempt.path / RECORD), _ended(attempt))
            for attempt in store.attempts(key)
            if sort_of(attempt.path) == "folder" and sort_of(attempt.path / RECORD) == "file"
        ]


def _ended(attempt: Attempt) -> datetime:
    try:
        moment = datetime.fromisoformat(attempt.record().finished_at)
    except (ResultsError, ValueError, TypeError, RecursionError):
        return FIRST
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _conflicts(key: str, places: Sequence[Sequence[_Recorded]]) -> list[Conflict]:
    """The conflict at the key, if there are two folders of which neither holds all that the other does."""
    contents = [{each.content for each in place} for place in places]
    apart = any(not (one <= other or other <= one) for one in contents for other in contents)
    if not apart:
        return []
    attempts = list({each.content: each.attempt for each in _flat(places)}.values())
    records, variant = [], ""
    for attempt in attempts:
        if sort_of(attempt.path / TRIAL) != "file":
            continue
        with contextlib.suppress(ResultsError, ValueError, TypeError, RecursionError):
            records.append(attempt.record())
            job = attempt.job()
            variant = str(job.variant) if isinstance(job, Trial) else job.name
    return [Conflict(key, variant, len(attempts), tuple(differing(records)))]


def _flat(parts: Iterable[Iterable[Any]]) -> list[Any]:
    return [each for part in parts for each in part]


# --- copying


def _put(folder: Path, own: Sequence[_Recorded], new: Sequence[_Recorded], leases: Leases) -> None:
    """Copy the attempts into the folder of their key, and give the newest of all the highest number."""
    if not new:
        return
    sort = sort_of(folder)
    odd = sort not in (None, "folder") or (sort and set(_claims(folder).values()) - {"file"})
    if odd:
        raise ResultsError(
            f"{folder}: not as ganbench made it, so nothing is written there. See 'ganbench results verify'"
        )
    claim, _ = leases.claim(folder)
    if claim is None:
        raise ResultsError(f"{folder}: {leases.owner_of(folder)} is at work on it. Merge again when it has ended")
    try:
        with _readable(folder), on_disk(folder):
            remove_temporary(folder)
            _place(folder, own, new)
    finally:
        leases.release(claim)


def _claims(folder: Path) -> dict[str, Sort]:
    with _readable(folder):
        return {name: sort for name, sort in sorts_in(folder).items() if name.startswith(CLAIM)}


def _place(folder: Path, own: Sequence[_Recorded], new: Sequence[_Recorded]) -> None:
    """Copy all under temporary names first: a number is only given to what is whole."""
    old = _line(folder, own)
    places = _places(folder, old, new)
    copies: dict[Path, Path] = {}
    try:
        for each in new:
            place = places[each.attempt.path]
            copies[place] = temporary_for(place)
            _copy(each.attempt, copies[place])
        for attempt, _ in reversed(old):  # the highest first: none gets the number of another
            if attempt.number != int(places[attempt.path].name):
                attempt.path.rename(places[attempt.path])
        for place, copy in copies.items():
            copy.rename(place)
    finally:
        for copy in copies.values():
            shutil.rmtree(copy, ignore_errors=True)
    sync_folder(folder)


def _places(folder: Path, old: Sequence[tuple[Attempt, datetime]], new: Sequence[_Recorded]) -> dict[Path, Path]:
    """Where each attempt is to lie: in the order in which they ended, and where it is already if that fits."""
    line = list(old)
    for each in sorted(new, key=lambda each: each.ended):
        place = 1 + max((index for index, one in enumerate(line) if one[1] <= each.ended), default=-1)
        line.insert(place, (each.attempt, each.ended))
    names = {attempt.path.name for attempt, _ in old}
    in_the_way = {name for name in sorts_in(folder) if name not in names}
    places: dict[Path, Path] = {}
    last = 0
    for attempt, _ in line:
        last = max(last + 1, attempt.number if attempt.path.parent == folder else 1)
        while str(last) in in_the_way:
            last += 1
        places[attempt.path] = folder / str(last)
    return places


def _line(folder: Path, own: Sequence[_Recorded]) -> list[tuple[Attempt, datetime]]:
    """The attempts that are there, each with when it ended; one without a record goes with the one that follows."""
    ended = {each.attempt.path: each.ended for each in own}
    line: list[tuple[Attempt, datetime]] = []
    following = LAST
    for attempt in reversed([*Store(folder.parent.parent).attempts(folder.name)]):
        following = ended.get(attempt.path, following)
        line.insert(0, (attempt, following))
    return line


def _copy(attempt: Attempt, place: Path) -> None:
    """Make a copy of the attempt, its record written last."""
    names = [name for name, sort in sorts_in(attempt.path).items() if sort == "file" and _belongs(name)]
    place.mkdir()
    for name in sorted(names, key=lambda name: name == RECORD):
        _copy_file(attempt.path / name, place / name)
    sync_folder(place)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("xb") as new:
        shutil.copyfileobj(old, new, 2**20)
        new.flush()
        os.fsync(new.fileno())


def _belongs(name: str) -> bool:
    return is_final(name) or name in (RECORD, LOG, EVENTS)
