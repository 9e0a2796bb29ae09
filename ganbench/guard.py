"""Outlives a run and ends what the run has left behind, however it came to its end.

Started as a script with the run's mark: it waits until its standard input is closed, as the system does when the run's
process is gone, and then kills every process whose environment bears the mark. The lines that it has read until then
name files to be removed: semaphores, which would otherwise outlive a run whose whole group of processes was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence

import psutil

WAIT_SECONDS = 0.02

TRACKER = "multiprocessing.resource_tracker"
"""Ends by itself when all others are gone, and then removes the shared memory that they have left."""


def end_marked(variable: str, mark: str) -> None:
    """Kill every process of this user, but for this one, that was started with the mark in that variable."""
    end([process for process in psutil.process_iter() if _bears(process, variable, mark)])


def end(processes: Sequence[psutil.Process], seconds: float = 5.0) -> None:
    """Kill the processes, and wait until they are gone; one that only nobody has asked about is gone too."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    until = time.monotonic() + seconds
    while any(map(_runs, processes)) and time.monotonic() < until:
        time.sleep(WAIT_SECONDS)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _bears(process: psutil.Process, variable: str, mark: str) -> bool:
    try:
        if process.pid == os.getpid() or process.environ().get(variable) != mark:
            return False
        return TRACKER not in " ".join(process.cmdline())
    except (psutil.Error, OSError):
        return False


def main() -> None:
    """Wait, then end what is left."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    variable, mark = sys.argv[1:]
    named = sys.stdin.read().splitlines()
    end_marked(variable, mark)
    for path in named:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - as few imports as possible: this starts with every run


if __name__ == "__main__":
    main()
