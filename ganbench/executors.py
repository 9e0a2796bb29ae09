"""Where trials run: in processes forked from a server with torch loaded, one for each trial, or for several seeds."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pebble import ProcessExpired, ProcessPool

from ganbench import guard
from ganbench.disk import storage_error
from ganbench.drivers import Findings
from ganbench.errors import DataError, GanbenchError
from ganbench.events import EventLog
from ganbench.leases import MARK, process_mark
from ganbench.protocols import Places
from ganbench.store import LOG
from ganbench.supervision import Supervisor, Watched, end_group, limit_memory
from ganbench.tasks import Task, open_tasks
from ganbench.terms import Choice, Job, Limits, Trial

ONE_THREAD: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Read by the numerical libraries as they load. One thread a trial and one trial a core: threads of several trials that
spin for each other cost far more than a second thread gains, and one thread gives the same bits every time."""


NO_LIMITS = Limits()

SEMAPHORES = Path("/dev/shm")  # noqa: S108 - where Linux keeps them


class LocalProcesses:
    """Up to `workers` jobs at a time on this machine. A process that dies takes its own job with it, and no other.

    All pools of a run fork from one server, which starts with the first of them. Every process bears the run's mark,
    and so do those that it starts: a guard ends whatever the run leaves behind.
    """

    def __init__(self, workers: int) -> None:
        os.environ.update(ONE_THREAD)
        os.environ[MARK] = process_mark()
        method = "forkserver" if sys.platform == "linux" else "spawn"  # elsewhere, a fork may not use what was loaded
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["ganbench.warm"])
        self._pool = ProcessPool(max_workers=workers, max_tasks=1, context=context)
        self._begun = False
        _guard()
        self._supervisor = Supervisor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._pool.close()  # type: ignore[no-untyped-call]
        else:
            self._supervisor.end_all()  # which Pebble would ask to end, and these processes do not listen
            self._pool.stop()  # type: ignore[no-untyped-call]  # kills what still runs: its attempts stay without a record, so they never happened
        self._pool.join()
        self._supervisor.end()

    def _schedule(self, work: Callable[..., Any], *arguments: object, timeout: float | None = None) -> Future[Any]:
        future: Future[Any] = self._pool.schedule(work, args=arguments, timeout=timeout)
        if not self._begun:  # a pool makes its semaphores when it is first asked for something
            self._begun = True
            _guard().see_to(_semaphores())
        return future

    def submit(self, tasks: Sequence[Task], limits: Limits = NO_LIMITS) -> Future[str]:
        """Start the tasks together as soon as a process is free, and end it where it goes beyond a limit.

        Their records are in their attempts' folders afterwards. Else the future holds what became of them: Lost where
        the process came to a bad end, or why they could not be done together.
        """
        given: Future[str] = self._schedule(_perform, tasks)
        told: Future[str] = Future()
        told.set_running_or_notify_cancel()
        watched = self._supervisor.watch(tasks, limits)
        given.add_done_callback(partial(self._tell, told, watched))
        return told

    def _tell(self, told: Future[str], watched: Watched, given: Future[str]) -> None:
        """Hand on what became of a process, once nothing of it is left."""
        self._supervisor.leave(watched)
        error: BaseException | None = CancelledError() if given.cancelled() else given.exception()
        ended = not isinstance(error, (TimeoutError, ProcessExpired))
        end_group(watched.pid(), spare_leader=ended)
        if error is None:
            told.set_result(given.result())
        else:
            told.set_exception(watched.loss(error))

    def survey(
        self, trial: Trial, places: Places, device: str, plugin_files: Sequence[Path], seconds: float
    ) -> Future[Findings]:
        """Find out, by a few steps, what a trial costs and which drivers it can have."""
        future: Future[Findings] = self._schedule(_survey, trial, places, device, plugin_files, timeout=seconds)
        return future

    def prepare(self, job: Job, places: Places, device: str, plugin_files: Sequence[Path]) -> None:
        """Do once what each trial like `job` begins with, so that files and features are there when trials need them.

        Raises DataError where something is missing or damaged. What else goes wrong is left for the trials to show.
        """
        with contextlib.suppress(ProcessExpired, MemoryError):
            self._schedule(_prepare, job, places, device, plugin_files).result()

    def origin(self, dataset: Choice, places: Places, plugin_files: Sequence[Path]) -> str:
        """Where the data set's samples come from, as records say it. Raises DataError where they cannot be read."""
        found: str = self._schedule(_origin, dataset, places, plugin_files).result()
        return found

    def gpus(self) -> dict[str, int]:
        """The bytes of memory of this machine's GPUs, by torch's names: asked of a process that ends at once."""
        found: dict[str, int] = self._schedule(_gpus).result()
        return found


class _Guard:
    """The guard of this process: it learns that we are gone when the pipe, which only we hold, is closed."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", guard.__file__, MARK, process_mark()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != MARK},
            start_new_session=True,  # out of reach of Ctrl-C, and of whatever ends the run's own group
            text=True,
        )
        atexit.register(self._end)

    def see_to(self, paths: set[str]) -> None:
        """Let these files be removed, if we cannot."""
        pipe = self._process.stdin
        with contextlib.suppress(OSError):  # somebody has ended the guard: we do without it
            for path in paths - self._told if pipe else ():
                print(path, file=pipe, flush=True)
        self._told |= paths

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._process.communicate()


_guard = cache(_Guard)


def _semaphores() -> set[str]:
    """The files of the named semaphores that this process has, where they are files."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        inodes = {int(line.split()[4]) for line in lines if "/sem." in line}  # they were made under another name
        return {str(path) for path in SEMAPHORES.glob("sem.mp-*") if path.stat().st_ino in inodes}
    except (OSError, ValueError, IndexError):
        return set()


def chosen_gpus(executor: LocalProcesses, device: str) -> dict[str, int]:
    """The GPUs to run on, with their memory in bytes: none of them means the processor.

    Raises GanbenchError for a device that this machine does not have.
    """
    if device == "cpu":
        return {}
    found = executor.gpus()
    wanted = found if device in ("auto", "cuda") else {name: found[name] for name in found if name == device}
    if not wanted and device != "auto":
        raise GanbenchError(f"--device {device}: not on this machine. Found: {', '.join(['cpu', *found])}")
    return wanted


def default_workers() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _set_out() -> None:
    """Make this process the leader of a group of its own, which ends with the run, and let a crash leave a trace."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    faulthandler.enable()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _perform(tasks: Sequence[Task]) -> str:
    _set_out()
    first = open_tasks(tasks)[0]
    log = first.attempt.path / LOG
    try:
        _print_to(log)
        for task in open_tasks(tasks):
            EventLog(task.attempt).write("process", pid=os.getpid())
    except OSError as error:
        raise storage_error(log, error) from error
    for name in ("SIGTERM", "SIGHUP"):  # whoever sends these to all processes of a run means the run
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    limit_memory(first.memory_bytes)
    from ganbench.trial import perform

    reason = perform(tasks)
    sys.stdout.flush()
    if not log.stat().st_size:
        log.unlink()
    return reason


def _print_to(path: Path) -> None:
    """Send what this process prints, plugins' words too, to a file: the terminal shows the run."""
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _prepare(job: Job, places: Places, device: str, plugin_files: Sequence[Path]) -> None:
    from ganbench.building import prepare
    from ganbench.plugins import discover

    try:
        prepare(discover(plugin_files), places, device, job)
    except DataError:
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - the trials run into it too, and leave it as rows with logs
        return


def _survey(trial: Trial, places: Places, device: str, plugin_files: Sequence[Path]) -> Findings:
    from ganbench.plugins import discover
    from ganbench.survey import survey

    _set_out()
    _print_to(Path(os.devnull))
    return survey(trial, discover(plugin_files), places, device)


def _origin(dataset: Choice, places: Places, plugin_files: Sequence[Path]) -> str:
    from ganbench.plugins import discover
    from ganbench.workshop import load_data, open_workshop

    return load_data(open_workshop(discover(plugin_files), places), dataset).origin


def _end_with_parent() -> None:
    """End this process at once when the runner is gone, killed perhaps: nobody waits for the trial any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _gpus() -> dict[str, int]:
    from ganbench.environment import gpu_memory

    return gpu_memory()
