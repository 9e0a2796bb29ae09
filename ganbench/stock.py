"""What the cache holds, for `ganbench cache`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from ganbench import cache
from ganbench.errors import DataError, suggest
from ganbench.folders import cache_folder

Row = dict[str, Any]


def stock_rows(*, verify: bool = False) -> list[Row]:
    """One row an entry: kind, size, age, what it was computed from and, where it is damaged, the reason.

    Headers are always read, tensors with `verify` only.
    """
    rows = []
    for entry in cache.entries():
        problem = cache.damage(entry) if verify else entry.problem
        rows.append(
            {
                "status": "damaged" if problem else "ok",
                "kind": entry.kind,
                "size": decimal(entry.size),
                "written": f"{datetime.fromtimestamp(entry.written, UTC):%Y-%m-%d %H:%M}",
                "file": entry.path.stem[:12],
                "subject": _subject(entry),
                "reason": problem,
            }
        )
    return rows


def kinds_named(names: Sequence[str]) -> tuple[cache.CacheKind, ...]:
    """The kinds of entries with these names; all of them where none is named. Raises DataError for an unknown one."""
    for name in names:
        if name not in cache.CACHE_KINDS:
            raise DataError(f"cache: no kind '{name}'.{suggest(name, cache.CACHE_KINDS)}")
    return tuple(kind for kind in cache.CACHE_KINDS if not names or kind in names)


def total() -> str:
    """How much there is, in words."""
    found = cache.entries()
    return f"{len(found)} entries, {decimal(sum(entry.size for entry in found))}"


def place() -> Path:
    """The folder that all of it lies in."""
    return cache_folder() / "computed"


def _subject(entry: cache.Entry) -> str:
    """The parts of an identity that a person reads: no versions, and of a hash its beginning."""
    told = {name: value for name, value in entry.identity.items() if value not in (None, "")}
    if entry.kind == "data":
        parameters = (f"{name}={told[name]}" for name in told if name not in ("data", "sha256", "version"))
        return f"{told.get('data', '')}({', '.join(parameters)})" if told else ""
    if entry.kind == "classifiers":
        recipe = {**told.get("architecture", {}), **told.get("recipe", {})}
        asked = [f"{name}={recipe[name]}" for name in ("resolution", "channels", "classes", "epochs") if name in recipe]
        return ", ".join([f"trained on {told['data'][:12]}…" if "data" in told else "", *asked]).removeprefix(", ")
    words = {"dataset": "{}", "extractor": "extractor {}", "statistic": "{}"}
    return ", ".join(word.format(told[name]) for name, word in words.items() if name in told)
