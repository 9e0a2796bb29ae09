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
    """One row an entry: kind, size, age and what it was computed from; with `verify`, whether it is intact."""
    rows = []
    for entry in cache.entries():
        problem = cache.damage(entry) if verify else entry.problem
        rows.append(
            {
                "status": problem or "ok",
                "kind": entry.kind,
                "size": decimal(entry.size),
                "written": f"{datetime.fromtimestamp(entry.written, UTC):%Y-%m-%d %H:%M}",
                "subject": ", ".join(_told(entry.identity)),
                "file": entry.path.stem[:12],
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


def _told(identity: cache.Identity) -> list[str]:
    """The parts of an identity that a person reads: no hashes, no versions."""
    names = ("dataset", "extractor", "statistic", "what", "source")
    return [str(identity[name]) for name in names if identity.get(name)]
