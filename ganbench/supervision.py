"""Holds running jobs to their limits: a process that takes too much, or shows no sign of life, is ended and told of."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from pebble import ProcessExpired

from ganbench.events import last_event
from ganbench.guard import end
from ganbench.store import EVENTS
from ganbench.tasks import Lost, Task, open_tasks
from ganbench.terms import Limits

LOOK_SECONDS = 0.25


class Watched:
    """One process, by the jobs that it does: what it may take, and what was seen of it."""

    def __init__(self, tasks: Sequence[Task], limits: Limits) -> None:
        self.limits = limits
        self._attempts = [task.attempt for task in open_tasks(tasks)]
        self._loss: Lost | None = None
        self._kills = _oom_kills()
        self._pid: int | None = None
        self._earlier = last_event(self._attempts[0], "process") if self._attempts else {}
        self._began: float | None = None
        self._sign: tuple[int, int] | None = None
        self._since = time.monotonic()

    def pid(self) -> int | None:
        """The process's number, once it has told it."""
        if self._pid is None and self._attempts:
            event = last_event(self._attempts[0], "process")
            told = event.get("pid") if event != self._earlier else None  # of an attempt that was cut short: long gone
            if isinstance(told, int) and told > 1:
                self._pid, self._began = told, time.monotonic()
        return self._pid

    def end(self) -> None:
        """End the process, whatever it is at."""
        end_group(self.pid(), spare_leader=False)

    def look(self) -> None:
        """End the process if it is beyond a limit."""
        loss = self._too_late() or self._too_large() or self._silent()
        if loss is not None and self.pid() is not None:
            self._loss = loss
            self.end()

    def loss(self, error: BaseException) -> BaseException:
        """What to record, where `error` says no more than that the process is gone; `error` itself where it does."""
        return self._loss or lost(error, starved=_oom_kills() > self._kills)

    def _too_late(self) -> Lost | None:
        limit = self.limits.seconds
        if limit is None or self.pid() is None or self._began is None or time.monotonic() - self._began <= limit:
            return None
        return Lost("timeout", f"the trial took longer than {limit:g} s, its limit")

    def _too_large(self) -> Lost | None:
        limit = self.limits.memory_bytes
        pid = self.pid() if limit is not None else None
        if limit is None or pid is None:
            return None
        taken = _memory_of(pid)
        told = f"the trial took {taken / 2**20:,.0f} MiB of memory, its limit is {limit / 2**20:,.0f} MiB"
        return Lost("oom", told) if taken > limit else None

    def _silent(self) -> Lost | None:
        limit, now = self.limits.silent_seconds, time.monotonic()
        if limit is None:
            return None
        sign = _last_change(self._attempts[0].path / EVENTS)
        if sign != self._sign or sign is None:  # one that waits for a place to run in is not silent yet
            self._sign, self._since = sign, now
        if now - self._since <= limit:
            return None
        return Lost("timeout", f"no sign of life for {limit:g} s, its limit{self._last_words()}")

    def _last_words(self) -> str:
        event = last_event(self._attempts[0], "progress", "evaluated", "alive", "started", "process", "resumed")
        doing, steps = event.get("doing"), event.get("spent", {}).get("steps")
        if doing:
            return f"; it was at {doing}"
        return f"; it last told of step {steps}" if steps is not None else "; it had not begun to train"


class Supervisor:
    """A thread that looks at running processes a few times a second. Processes without limits cost it nothing."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def watch(self, tasks: Sequence[Task], limits: Limits) -> Watched:
        """Look at the process that does these tasks from now on."""
        watched = Watched(tasks, limits)
        with self._lock:
            self._watched.append(watched)
        return watched

    def leave(self, watched: Watched) -> None:
        """Look at it no more."""
        with self._lock, contextlib.suppress(ValueError):
            self._watched.remove(watched)

    def end_all(self) -> None:
        """End all processes that are looked at."""
        with self._lock:
            watched = list(self._watched)
        for each in watched:
            each.end()

    def end(self) -> None:
        """Look at nothing any more."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with self._lock:
                watched = list(self._watched)
            for each in watched:
                with contextlib.suppress(OSError, psutil.Error):  # its folder or its process has just gone
                    each.look()


def lost(error: BaseException, seconds: float | None = None, *, starved: bool = False) -> BaseException:
    """What `error` says of a process that had so many `seconds`, as far as it says no more than that it is gone.

    `starved` is whether the system has ended processes for want of memory meanwhile.
    """
    if isinstance(error, TimeoutError):
        return Lost("timeout", f"the trial took longer than {seconds or 0:g} s, its limit")
    if not isinstance(error, ProcessExpired):
        return error
    code = error.exitcode
    if starved and code == -signal.SIGKILL:
        return Lost("oom", "the trial's process was ended by the system, which had run out of memory")
    how = f"by signal {_signal_name(-code)}" if code is not None and code < 0 else f"with exit status {code}"
    return Lost("killed", f"the trial's process ended {how}")


def end_group(pid: int | None, *, spare_leader: bool) -> None:
    """Kill what is left of the group that process `pid` leads, and wait until it is gone.

    A leader that has come to a good end may still be on its way out, and is spared.
    """
    if pid is None or not hasattr(os, "getpgid"):
        return
    left = [process for process in psutil.process_iter() if _belongs(process.pid, pid)]
    end([process for process in left if process.pid != pid or not spare_leader])


def limit_memory(memory_bytes: int | None) -> None:
    """Let this process have no more memory of its own than that, beside what it starts with: torch then says so.

    Where the system knows no such limit, or does not hold to it, the run's looks at the process have to do.
    """
    if memory_bytes is None or sys.platform != "linux":
        return
    import resource

    already = _own_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = already + memory_bytes
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


def _own_bytes() -> int:
    """What counts as data of this process now: private memory that can be written."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _memory_of(pid: int) -> int:
    """The memory that a process and those below it hold, in bytes; 0 where it is gone."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _oom_kills() -> int:
    """How many processes the system has ended so far for want of memory; 0 where it does not tell."""
    for path, name in ((Path("/sys/fs/cgroup/memory.events"), "oom_kill "), (Path("/proc/vmstat"), "oom_kill ")):
        with contextlib.suppress(OSError, ValueError):
            for line in path.read_text(encoding="ascii").splitlines():
                if line.startswith(name):
                    return int(line.split()[1])
    return 0


def _belongs(process: int, leader: int) -> bool:
    try:
        return os.getpgid(process) == leader
    except OSError:
        return False


def _last_change(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
