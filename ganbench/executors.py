"""Where trials run: each in a process of its own, forked from a server that has torch loaded."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from pebble import ProcessExpired, ProcessPool

from ganbench.errors import DataError, GanbenchError
from ganbench.protocols import Places
from ganbench.store import LOG
from ganbench.tasks import Task
from ganbench.terms import Choice, Job, Status

ONE_THREAD: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Read by the numerical libraries as they load. One thread a trial and one trial a core: threads of several trials that
spin for each other cost far more than a second thread gains, and one thread gives the same bits every time."""


class LocalProcesses:
    """Up to `workers` jobs at a time on this machine. A process that dies takes its own job with it, and no other."""

    def __init__(self, workers: int) -> None:
        os.environ.update(ONE_THREAD)
        method = "forkserver" if sys.platform == "linux" else "spawn"  # elsewhere, a fork may not use what was loaded
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["ganbench.warm"])
        self._pool = ProcessPool(max_workers=workers, max_tasks=1, context=context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._pool.close()  # type: ignore[no-untyped-call]
        else:
            self._pool.stop()  # type: ignore[no-untyped-call]  # kills what still runs: its attempts stay without a record, so they never happened
        self._pool.join()

    def submit(self, task: Task, seconds: float | None = None) -> Future[None]:
        """Start the task as soon as a process is free, and kill it if it takes longer than `seconds`.

        Its record is in its attempt's folder afterwards, unless its process came to a bad end.
        """
        future: Future[None] = self._pool.schedule(_perform, args=[task], timeout=seconds)
        return future

    def prepare(self, job: Job, places: Places, device: str, plugin_files: Sequence[Path]) -> None:
        """Do once what each trial like `job` begins with, so that files and features are there when trials need them.

        Raises DataError where something is missing or damaged. What else goes wrong is left for the trials to show.
        """
        with contextlib.suppress(ProcessExpired, MemoryError):
            self._pool.schedule(_prepare, args=[job, places, device, plugin_files]).result()

    def origin(self, dataset: Choice, places: Places, plugin_files: Sequence[Path]) -> str:
        """Where the data set's samples come from, as records say it. Raises DataError where they cannot be read."""
        found: str = self._pool.schedule(_origin, args=[dataset, places, plugin_files]).result()
        return found

    def cuda_devices(self) -> list[str]:
        """The names that torch gives to this machine's GPUs, asked of a process that ends at once."""
        found: list[str] = self._pool.schedule(_cuda_devices).result()
        return found


def device_slots(executor: LocalProcesses, device: str, workers: int) -> list[str]:
    """The devices to run on, one entry for each trial at a time. One trial has a GPU to itself.

    Raises GanbenchError for a device that this machine does not have.
    """
    if device == "cpu":
        return ["cpu"] * workers
    found = executor.cuda_devices()
    if device == "auto":
        return found or ["cpu"] * workers
    wanted = found if device == "cuda" else [name for name in found if name == device]
    if not wanted:
        raise GanbenchError(f"--device {device}: not on this machine. Found: {', '.join(['cpu', *found])}")
    return wanted


def default_workers() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def loss_of(error: BaseException | None) -> tuple[Status, str]:
    """What to record of a process that left no record, from what its future raised."""
    if isinstance(error, TimeoutError):
        return "timeout", "the trial took longer than the limit of --timeout"
    if isinstance(error, ProcessExpired):
        code = error.exitcode
        how = f"by signal {_signal_name(-code)}" if code is not None and code < 0 else f"with exit status {code}"
        return "killed", f"the trial's process ended {how}"
    return "error", f"{type(error).__name__}: {error}" if error else "the trial's process left no record"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _perform(task: Task) -> None:
    from ganbench.trial import perform

    threading.Thread(target=_end_with_parent, daemon=True).start()
    log = task.attempt.path / LOG
    _print_to(log)
    perform(task)
    sys.stdout.flush()
    if not log.stat().st_size:
        log.unlink()


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


def _origin(dataset: Choice, places: Places, plugin_files: Sequence[Path]) -> str:
    from ganbench.building import load_data, open_workshop
    from ganbench.plugins import discover

    return load_data(open_workshop(discover(plugin_files), places), dataset).origin


def _end_with_parent() -> None:
    """End this process at once when the runner is gone, killed perhaps: nobody waits for the trial any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _cuda_devices() -> list[str]:
    from ganbench.environment import cuda_devices

    return cuda_devices()
