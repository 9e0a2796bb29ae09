"""Who is at work on what: runners lay claim to keys, so that no two do the same job, and none is lost with a dead one.

<results>/runners/<runner>.json      who a runner is: its machine and process; touched every few seconds while it lives
<results>/runners/<runner>.stop      there while the runner asks its trials to end
<results>/runs/<key>/claim.<n>       a hard link to that file: the runner whose number is the highest has the key

A claim is taken over by the next number, which only one contender can make. Its owner is dead where it ran on this
machine and its process is gone, or where nobody has touched its file for as long as a lease: seen by our own clock, for
those of two machines may differ.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import stat
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psutil

from ganbench.disk import this_machine
from ganbench.errors import ResultsError
from ganbench.guard import end_marked

LEASE_SECONDS = 60.0
"""A runner that has not touched its file for so long counts as dead, wherever it is."""

BEAT_SECONDS = 5.0
SAME_START = 2.0
"""How far two readings of one process's start may be apart; a number that is used again starts later than that."""

MARK = "GANBENCH_RUNNER"
"""The environment variable that a runner's processes carry, and theirs: what it left behind is known by it."""

RUNNERS = "runners"
CLAIM = "claim."
LONGEST_BYTES = 4096

Life = Literal["alive", "gone", "silent"]
"""Whether a runner lives; `gone` is certain, `silent` is one of which nothing was seen for as long as a lease."""


@dataclass(frozen=True)
class Owner:
    """A runner as its claim describes it. Of a file that says nothing of use, all is empty."""

    runner: str = ""
    host: str = ""
    machine: str = ""
    pid: int = 0
    started: float = 0.0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "an unknown runner"

    @property
    def is_here(self) -> bool:
        """Whether it ran on this machine, where process numbers mean the same."""
        return bool(self.machine) and self.machine == this_machine()

    @property
    def is_gone(self) -> bool:
        """Whether its process has certainly ended."""
        if not self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            zombie = process.status() == psutil.STATUS_ZOMBIE
            return zombie or abs(start_of(self.pid) - self.started) > SAME_START
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


@dataclass(frozen=True)
class Claim:
    """A runner's hold on the folder of a key."""

    path: Path
    runner: str

    @property
    def folder(self) -> Path:
        """The key's folder."""
        return self.path.parent

    @property
    def holds(self) -> bool:
        """Whether nobody has taken the key over, as after this machine has slept for longer than a lease."""
        newest = _newest_claim(self.folder)
        return newest == self.path and read_owner(newest).runner == self.runner


@dataclass
class Watch:
    """What was seen of others' claims, and since when they have not moved."""

    seconds: float = LEASE_SECONDS
    _seen: dict[Path, tuple[float, float]] = field(default_factory=dict)

    def life_of(self, path: Path) -> Life:
        """Whether the runner behind the claim at `path` lives. One that was not there long enough to tell does."""
        if read_owner(path).is_gone:
            return "gone"
        now = time.monotonic()
        try:
            touched = path.stat().st_mtime
        except FileNotFoundError:
            return "gone"
        except OSError:  # out of reach for a while
            return "alive"
        before, since = self._seen.get(path, (touched, now))
        if before != touched:
            since = now
        self._seen[path] = touched, since
        return "silent" if now - since > self.seconds else "alive"


class Leases:
    """This process as a runner of one results folder: known to others by its file, which a thread keeps fresh."""

    def __init__(self, results: Path, lease_seconds: float = LEASE_SECONDS) -> None:
        self.runner = process_mark()
        self.stop_file = results / RUNNERS / f"{self.runner}.stop"
        self._results = results
        self._file = results / RUNNERS / f"{self.runner}.json"
        self._watch = Watch(lease_seconds)
        self._beat_seconds = min(BEAT_SECONDS, lease_seconds / 4)
        self._held: dict[Path, Claim] = {}
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        mine = psutil.Process()
        owner = Owner(self.runner, platform.node(), this_machine(), mine.pid, start_of(mine.pid))
        try:
            self._announce(json.dumps(vars(owner), indent=1))
        except OSError as error:
            _remove(self._file)
            raise ResultsError(
                f"{self._results}: cannot write results here ({error.strerror}). Pass --results DIR"
            ) from error
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heart.join()
        for claim in list(self._held.values()):
            self.release(claim)
        for path in (self._file, self.stop_file):
            _remove(path)
        with contextlib.suppress(OSError):
            self._file.parent.rmdir()

    def _announce(self, text: str) -> None:
        """Write who this runner is; again, where one that has just ended took the folder with it."""
        for again in (True, True, False):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._file.write_text(text, encoding="utf-8")
            except FileNotFoundError:
                if not again:
                    raise
            else:
                return

    def claim(self, folder: Path) -> tuple[Claim | None, Life | None]:
        """A claim to the key of that folder, and how it was with the runner that had it; None if another one has it.

        Raises ResultsError where the folder cannot be written.
        """
        newest = _newest_claim(folder)
        life: Life | None = None
        if newest is not None:
            life = self._watch.life_of(newest)
            if life == "alive":
                return None, life
            if life == "gone":
                end_processes_of(read_owner(newest).runner)
        path = folder / f"{CLAIM}{_number(newest) + 1 if newest else 1}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lay(path)
        except FileExistsError:
            return None, "alive"
        except OSError as error:
            raise ResultsError(f"{folder}: cannot write results here ({error.strerror}). Pass --results DIR") from error
        self._held[folder] = claim = Claim(path, self.runner)
        return claim, life

    def taken(self, folder: Path) -> bool:
        """Whether another runner that lives has the key of that folder."""
        newest = _newest_claim(folder)
        return newest is not None and self._watch.life_of(newest) == "alive"

    def owner_of(self, folder: Path) -> Owner:
        """Who has the key of that folder."""
        newest = _newest_claim(folder)
        return read_owner(newest) if newest else Owner()

    def release(self, claim: Claim) -> None:
        """Give the key back, with what dead runners left of their claims to it."""
        self._held.pop(claim.folder, None)
        if claim.holds:
            for path in _claims(claim.folder):  # the lowest first, and so one's own last
                if _number(path) <= _number(claim.path):
                    _remove(path)

    def ask_to_stop(self) -> None:
        """Let trials see that they are to write their checkpoints and end."""
        with contextlib.suppress(OSError):  # then they are ended when their time is over
            self.stop_file.touch()

    def sweep(self) -> None:
        """Remove what runners left that are certainly gone, and end their processes: claims, files, stop files."""
        owners = {path: read_owner(path) for path in (self._results / RUNNERS).glob("*.json")}
        gone = {path: owner for path, owner in owners.items() if owner.runner != self.runner and owner.is_gone}
        for owner in gone.values():
            end_processes_of(owner.runner)
        for folder in _folders(self._results / "runs"):
            for path in _claims(folder):
                if read_owner(path).is_gone:
                    _remove(path)
        for path in gone:  # last: as long as they are there, somebody will sweep
            _remove(path.with_suffix(".stop"))
            _remove(path)

    def _lay(self, path: Path) -> None:
        """Make the claim with all that it says, at once. Raises FileExistsError if somebody was quicker."""
        try:
            os.link(self._file, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            with path.open("x", encoding="utf-8") as file:
                file.write(self._file.read_text(encoding="utf-8"))

    def _beat(self) -> None:
        while not self._ended.wait(self._beat_seconds):
            for path in (self._file, *(claim.path for claim in list(self._held.values()))):
                with contextlib.suppress(OSError):  # taken over, or out of reach for a while
                    os.utime(path)


def read_owner(path: Path) -> Owner:
    """Whom the file at `path` describes; an empty Owner where it describes nobody."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return Owner()
        with path.open("rb") as file:
            found = json.loads(file.read(LONGEST_BYTES))
        return Owner(**{name: _typed(found, name) for name in ("runner", "host", "machine", "pid", "started")})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Owner()


def claimed(folder: Path) -> Owner | None:
    """Who has the key of that folder, dead or alive; None if nobody has claimed it."""
    newest = _newest_claim(folder)
    return read_owner(newest) if newest else None


def end_processes_of(runner: str) -> None:
    """Kill what a runner that is gone has left running on this machine, its processes' own ones too."""
    if runner:
        end_marked(MARK, runner)


@cache
def process_mark() -> str:
    """What tells this process, as a runner, from all others."""
    return uuid.uuid4().hex


def _typed(found: Mapping[str, Any], name: str) -> Any:
    value = found[name]
    expected = {"pid": int, "started": float}.get(name, str)
    if type(value) is not expected:
        raise TypeError(name)
    return value


def start_of(pid: int) -> float:
    """When a process was started: on Linux in ticks since the machine was, which no setting of its clock changes."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return float(told.rpartition(")")[2].split()[19])  # the 22nd, counted from before the name in brackets
    except (OSError, ValueError, IndexError):
        return psutil.Process(pid).create_time()


def _newest_claim(folder: Path) -> Path | None:
    return max(_claims(folder), key=_number, default=None)


def _claims(folder: Path) -> list[Path]:
    """The claims to a key, the oldest first."""
    try:
        with os.scandir(folder) as children:
            names = [child.name for child in children if child.name.startswith(CLAIM)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((folder / name for name in names if name.removeprefix(CLAIM).isdecimal()), key=_number)


def _number(path: Path) -> int:
    return int(path.name.removeprefix(CLAIM))


def _folders(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as children:
        yield from (Path(child.path) for child in children if child.is_dir(follow_symlinks=False))


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
