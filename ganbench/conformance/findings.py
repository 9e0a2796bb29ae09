"""What a check found, in words that say where, what was expected, what came, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ganbench.errors import GanbenchError, PluginError

Verdict = Literal["pass", "fail", "skipped"]


class Breach(Exception):  # noqa: N818 - an outcome, as Diverged is
    """A component is not what it should be.

    `line` is known where the fault is in the source itself, `method` where it is in what one of its methods gives.
    """

    def __init__(self, found: str, expected: str, mend: str, line: int | None = None, method: str = "") -> None:
        super().__init__(found)
        self.found, self.expected, self.mend, self.line, self.method = found, expected, mend, line, method


class NotChecked(Exception):  # noqa: N818 - an outcome too
    """A check does not apply, or cannot be made here, for the reason in the message."""


class NoPartners(NotChecked):
    """Nothing installed can play with the component: what was found, what it would take, and how to mend it."""

    def __init__(self, found: str, expected: str, mend: str) -> None:
        super().__init__(found)
        self.breach = Breach(found, expected, mend)


@dataclass(frozen=True)
class Finding:
    """What one check found of one component; `choice` is the component with the parameters it was found with.

    A passed check has neither `expected` nor `found`. `reason` says why a check was skipped.
    """

    kind: str
    component: str
    owner: str
    check: str
    verdict: Verdict
    choice: str = ""
    file: str = ""
    line: int | None = None
    expected: str = ""
    found: str = ""
    mend: str = ""
    reason: str = ""
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """`loss 'hinge'`."""
        return f"{self.kind} '{self.component}'"

    @property
    def place(self) -> str:
        """`my_gans/losses.py:12`, or "" where it is not known."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def message(self) -> str:
        """All that there is to say of a failure, in a few lines."""
        head = f"{self.title}, check '{self.check}'" + (f", as {self.choice}" if self.choice else "")
        told = {"at": self.place, "expected": self.expected, "found": self.found, "mend": self.mend}
        return "\n".join([head, *(f"  {name + ':':<10}{text}" for name, text in told.items() if text)])

    def row(self) -> dict[str, Any]:
        """The finding as JSON's own types."""
        return {**asdict(self), "seconds": round(self.seconds, 2)}


def told(error: BaseException) -> str:
    """An error on a line: one of ganbench's own in its words, any other with its type."""
    cause = error.__cause__ if isinstance(error, PluginError) and error.__cause__ is not None else error
    words = " ".join(str(cause).split())
    return words if isinstance(cause, GanbenchError) else f"{type(cause).__name__}: {words}"


@contextmanager
def given_by(method: str) -> Iterator[None]:
    """A Breach in the block is of what that method of the component gives, where it says nothing else."""
    try:
        yield
    except Breach as breach:
        breach.method = breach.method or method
        raise


@contextmanager
def plainly(expected: str, mend: str) -> Iterator[None]:
    """What the core says in the block of a component that breaks its contract, as a Breach.

    An error that the component's own code raised passes, for it has a line of its own.
    """
    try:
        yield
    except PluginError as error:
        if error.__cause__ is not None:
            raise
        raise Breach(str(error), expected, mend) from error
