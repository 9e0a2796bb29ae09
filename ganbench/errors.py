"""The errors that a user can mend: each says who, what came, what was expected and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GanbenchError(Exception):
    """A request that cannot be met as it stands. Printed without a traceback; the exit status is 2."""


class SuiteError(GanbenchError):
    """A suite file, or a part of one, is not what ganbench expects."""


class ChoiceError(GanbenchError):
    """A component's name or parameters, as written by a user, do not fit what is installed."""


class PluginError(GanbenchError):
    """A plugin broke its contract. The message names the component and the distribution that owns it."""


class DataError(GanbenchError):
    """Data or weights are missing, damaged, or not of the stated form."""


class ResultsError(GanbenchError):
    """A results folder cannot be read or written."""


class StorageError(ResultsError):
    """The disk takes no more: it is full, read-only, or not to be written by this user. No trial is at fault."""


def printable(text: str) -> str:
    """`text` as a terminal may show it: lines stay, what could steer it or turn the direction of writing is a �."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text)


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, if there is one, then all of them."""
    names = sorted(set(known))
    folded = {known_name.casefold(): known_name for known_name in names}
    nearest = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    hint = f" Did you mean '{folded[nearest[0]]}'?" if nearest else ""
    return f"{hint} Known: {', '.join(names) if names else 'none'}"
