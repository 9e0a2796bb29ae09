"""Registers the executors that come with ganbench: processes on this machine, and no process at all."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_executors() -> Iterable[Component]:
    """Offer processes and inline."""
    yield Component(
        "processes",
        "ganbench.executors:LocalProcesses",
        summary="One process for each job, on this machine; one that dies takes no other with it",
    )
    yield Component(
        "inline",
        "ganbench_executors.inline:Inline",
        summary="Jobs one after the other in the process of the run itself, for a debugger; limits have no effect",
    )
