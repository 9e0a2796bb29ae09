"""Writing so that a reader or a power cut finds all of a file or nothing, and saying so where there is no room."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil

from ganbench.errors import StorageError

LONG_SECONDS = 3600.0
"""Nothing takes so long to be written."""

OUT_OF_REACH = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
)
"""What the system says where the disk, and no trial, is at fault."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of the file's content, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` so that a reader, or a power cut, sees the old file or the new one, never a part.

    Raises StorageError where the disk takes no more.
    """
    temporary = temporary_for(path)
    with on_disk(path):
        _write_atomically(path, temporary, content)


def _write_atomically(path: Path, temporary: Path, content: bytes) -> None:
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@cache
def this_machine() -> str:
    """What tells this machine, since it was started, and this container on it from all others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        boot, namespace = f"{psutil.boot_time():.0f}", ""
    return hashlib.sha256(f"{platform.node()} {boot} {namespace}".encode()).hexdigest()[:16]


def temporary_for(path: Path) -> Path:
    """Beside `path`, where this process writes what is to be renamed to it."""
    return path.with_name(f".{path.name}.{this_machine()}.{os.getpid()}")


def remove_temporary(folder: Path) -> None:
    """Remove what processes of this machine that are gone were about to rename; of another one, what is hours old."""
    for path in folder.glob(".*"):
        with contextlib.suppress(OSError):
            if is_abandoned(path):
                remove(path)


def is_abandoned(path: Path) -> bool:
    """Whether nobody can be writing any more to what has a temporary name. Raises OSError."""
    named = re.fullmatch(r"\..+\.(?P<machine>[0-9a-f]{16})\.(?P<process>[0-9]{1,9})", path.name)
    if named is None:  # somebody's own
        return False
    if named["machine"] == this_machine():
        return not psutil.pid_exists(int(named["process"]))
    return time.time() - path.lstat().st_mtime > LONG_SECONDS


def discard(path: Path) -> None:
    """Remove what is there, a folder with all that is in it: nobody finds a part of it under its name.

    Raises StorageError.
    """
    with on_disk(path):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            path = path.rename(temporary_for(path))
        remove(path)


def remove(path: Path) -> None:
    """Remove the file, the link, or the folder with all that is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """A block that writes at `path`: an OSError that says that the disk cannot take it becomes a StorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def storage_error(path: Path, error: OSError) -> Exception:
    """The StorageError that `error` stands for, or `error` itself where the disk is not at fault."""
    if error.errno not in OUT_OF_REACH:
        return error
    where = error.filename or path
    return StorageError(f"{where}: cannot be written ({error.strerror})")


def sync_file(path: Path) -> None:
    """Make sure that what was written there is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make sure that names in the folder are on the disk."""
    if os.name == "nt":  # Windows cannot open a folder; its rename is already ordered
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
