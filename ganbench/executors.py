"""Where trials run: in processes forked from a server with torch loaded, one for each trial, or for several seeds."""

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

from ganbench.drivers import Findings
from ganbench.errors import DataError, GanbenchError
from ganbench.protocols import Places
from ganbench.store import LOG
from ganbench.tasks import Task
from ganbench.terms import Choice, Job, Status, Trial

ONE_THREAD: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Read by the numerical libraries as they load. One thread a trial and one trial a core: threads of several trials that
spin for each other cost far more than a second thread gains, and one thread gives the same bits every time."""


class LocalProcesses:
    """Up to `workers` jobs at a time on this machine. A process that dies takes its own job with it, and no other.

    All pools of a run fork from one server, which starts with the first of them.
    """

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

    def submit(self, tasks: Sequence[Task], seconds: float | None = None) -> Future[str]:
        """Start the tasks together as soon as a process is free, and kill it if it takes longer than `seconds`.

        Their records are in their attempts' folders afterwards, unless the process came to a bad end, or says why they
        could not be done together.
        """
        future: Future[str] = self._pool.schedule(_perform, args=[tasks], timeout=seconds)
        return future

    def survey(
        self, trial: Trial, places: Places, device: str, plugin_files: Sequence[Path], seconds: float
    ) -> Future[Findings]:
        """Find out, by a few steps, what a trial costs and which drivers it can have."""
        future: Future[Findings] = self._pool.schedule(
            _survey, args=[trial, places, device, plugin_files], timeout=seconds
        )
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

    def gpus(self) -> dict[str, int]:
        """The bytes of memory of this machine's GPUs, by torch's names: asked of a process that ends at once."""
        found: dict[str, int] = self._pool.schedule(_gpus).result()
        return found


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


def _perform(tasks: Sequence[Task]) -> str:
    from ganbench.trial import perform

    threading.Thread(target=_end_with_parent, daemon=True).start()
    log = tasks[0].attempt.path / LOG
    _print_to(log)
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

    threading.Thread(target=_end_with_parent, daemon=True).start()
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
