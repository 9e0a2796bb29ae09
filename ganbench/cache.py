"""What was computed once and is needed again: prepared data, real features, their statistics, trained classifiers.

An entry is one safetensors file, named by the SHA-256 of all that defines it: its identity. The file's header repeats
the identity and holds a SHA-256 of the tensors, so that what was damaged is seen, and computed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ganbench.errors import DataError
from ganbench.folders import cache_folder
from ganbench.tensorfiles import DamagedError, arrays_of, digest, header_of, on_cpu, read, write

if TYPE_CHECKING:
    from torch import Tensor

CacheKind = Literal["data", "features", "statistics", "classifiers"]
CACHE_KINDS: tuple[CacheKind, ...] = get_args(CacheKind)

SCHEMA = 1
SUFFIX = ".safetensors"

Identity = Mapping[str, Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One entry: its file, size in bytes, time of writing, identity, and the SHA-256 that its tensors had then.

    `written` is in seconds since 1970. `problem` says why the header cannot be read; the other two are empty then.
    """

    kind: CacheKind
    path: Path
    size: int
    written: float
    identity: Identity
    sha256: str
    problem: str = ""


def recall(
    kind: CacheKind,
    identity: Identity,
    compute: Callable[[], Mapping[str, Tensor]],
    *,
    verify: bool = True,
) -> dict[str, Tensor]:
    """What `compute` gives, from the cache if it was computed before: tensors on the CPU, mapped into memory.

    `identity` holds JSON's own values and must say everything that decides the result. Of several processes that ask
    for the same, one computes and the others wait. Without `verify` an entry is trusted if its file is whole. Where
    nothing can be written, the result is given all the same. Whoever changes a mapped tensor changes a copy.
    """
    path = _path_of(kind, identity)
    found = _read(path, verify)
    if found is not None:
        return found
    with _locked(path) as usable:
        if not usable:
            return on_cpu(compute())
        found = _read(path, verify)  # another process may have been faster
        return _write(path, identity, compute()) if found is None else found


def entries() -> list[Entry]:
    """Every entry of the cache, by kind, the newest first."""
    return [entry for kind in CACHE_KINDS for entry in _entries(kind)]


def damage(entry: Entry) -> str:
    """What is wrong with an entry, in a few words; nothing if its tensors are those that were written."""
    if entry.problem:
        return entry.problem
    try:
        found = digest(arrays_of(read(entry.path, verify=False)))
    except (OSError, DamagedError) as error:
        return f"cannot be read ({error})"
    return "" if found == entry.sha256 else f"its tensors have SHA-256 {found[:12]}…, expected {entry.sha256[:12]}…"


def clear(kinds: Iterable[CacheKind] = CACHE_KINDS) -> tuple[int, int]:
    """Delete the entries of these kinds, and what writers that were killed left; gives their number and their bytes.

    Raises DataError for what cannot be deleted.
    """
    count = size = 0
    for kind in kinds:
        for path in sorted(_folder(kind).glob("*")):
            freed = _delete(path)
            if path.suffix == SUFFIX and not path.name.startswith("."):
                count, size = count + 1, size + freed
    return count, size


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Alone with `path` among processes; whether the cache can be used at all."""
    from filelock import FileLock

    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        logger.warning("the cache cannot be used (%s): %s", error, path)
        yield False
        return
    with lock:
        lock.release()  # `with` took it a second time
        yield True


def _delete(path: Path) -> int:
    """Delete a file, if it is still there; gives its size."""
    try:
        size = path.stat().st_size
        if path.is_dir():  # where a writer that was killed was at work
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise DataError(f"cache: {path} cannot be deleted ({error.strerror})") from error
    return size


def _folder(kind: CacheKind) -> Path:
    return cache_folder() / "computed" / kind


def _path_of(kind: CacheKind, identity: Identity) -> Path:
    text = json.dumps([SCHEMA, kind, identity], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _folder(kind) / f"{hashlib.sha256(text.encode()).hexdigest()}{SUFFIX}"


def _entries(kind: CacheKind) -> list[Entry]:
    paths = [path for path in _folder(kind).glob(f"*{SUFFIX}") if not path.name.startswith(".")]
    found = [entry for path in paths if (entry := _entry(kind, path))]
    return sorted(found, key=lambda entry: (-entry.written, entry.path.name))


def _entry(kind: CacheKind, path: Path) -> Entry | None:
    """The entry at `path`; None where it has just been deleted."""
    try:
        status = path.stat()
        header = header_of(path)
        return Entry(kind, path, status.st_size, status.st_mtime, header["identity"], header["sha256"])
    except FileNotFoundError:
        return None
    except (OSError, DamagedError, KeyError) as error:
        problem = f"its header cannot be read ({error})"
        return Entry(kind, path, status.st_size, status.st_mtime, {}, "", problem)


def _read(path: Path, verify: bool) -> dict[str, Tensor] | None:
    """The tensors at `path`; None where there are none, or where they are not what was written."""
    if not path.is_file():
        return None
    try:
        return read(path, verify=verify)
    except (OSError, DamagedError) as error:
        logger.warning("computed again, because the cache's file is damaged (%s): %s", error, path)
        return None


def _write(path: Path, identity: Identity, computed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the tensors at `path`, whole or not at all, and give them as they are read from there."""
    tensors = on_cpu(computed)
    try:
        write(path, tensors, {"identity": json.loads(json.dumps(identity, sort_keys=True))})
    except OSError as error:  # the disk is full, perhaps
        logger.warning("not kept in the cache (%s): %s", error, path)
        return tensors
    return read(path, verify=False)
