"""Jobs in the process of the run itself: slow and unprotected, and where a debugger wants them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ganbench.tasks import Task
    from ganbench.terms import Limits


class Inline:
    """Carries out jobs where they are handed in, one after the other.

    A breakpoint in a plugin stops there, and what it prints is seen at once. Nothing is protected: a job that takes the
    process down takes the run with it, no limit ends a job, and torch keeps the one thread that trials have.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers  # however many there were to be, there is this process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def submit(self, tasks: Sequence[Task], limits: Limits | None = None) -> Future[str]:
        """A future that is done: the tasks' records are in their attempts' folders."""
        from ganbench.trial import perform

        future: Future[str] = Future()
        try:
            future.set_result(perform(tasks))
        except Exception as error:  # noqa: BLE001 - as from a process that died: the run records it
            future.set_exception(error)
        return future
