"""What may lie where a file is expected: nothing, folders, pipes, links that lead astray, and files of other kinds."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def as_odd_file(path: Path, kind: str) -> None:
    """Put something at `path` that is not the file expected there."""
    path.unlink(missing_ok=True)
    ODD_FILES[kind](path)


def _of_size(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


ODD_FILES = {
    "nothing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to a folder": lambda path: path.symlink_to(path.parent),
    "a link to a pipe": lambda path: (os.mkfifo(f"{path}.pipe"), path.symlink_to(f"{path}.pipe")),
    "a link to zeros without end": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("/dev/null"),
    "text": lambda path: path.write_text("not at all"),
    "not UTF-8": lambda path: path.write_bytes(b'{"a": "\xff"}'),
    "UTF-16": lambda path: path.write_bytes('{"a": 1}'.encode("utf-16")),
    "deep": lambda path: path.write_bytes(b"[" * 200_000),
    "deep and closed": lambda path: path.write_bytes(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a list": lambda path: path.write_text("[]"),
    "huge": lambda path: _of_size(path, 2**33),
}
