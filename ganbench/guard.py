"""Outlives a run and ends what the run has left behind, however it came to its end.

Started as a script with the run's mark: it waits until its standard input is closed, as the system does when the run's
process is gone, and then kills every process whose environment bears the mark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import psutil


def end_marked(variable: str, mark: str) -> None:
    """Kill every process of this user, but for this one, that was started with the mark in that variable."""
    left = [process for process in psutil.process_iter() if _bears(process, variable, mark)]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def _bears(process: psutil.Process, variable: str, mark: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(variable) == mark
    except (psutil.Error, OSError):
        return False


def main() -> None:
    """Wait, then end what is left."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    variable, mark = sys.argv[1:]
    sys.stdin.buffer.read()
    end_marked(variable, mark)


if __name__ == "__main__":
    main()
