"""Where a torchvision data set's files lie: found, checked for damage, and downloaded only on request."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from ganbench.errors import DataError
from ganbench.folders import cache_folder
from ganbench.protocols import Places


@dataclass(frozen=True)
class Source:
    """The files of one data set, below the data root, and where they come from.

    `damage` says what is wrong with a file that is there, or nothing; `fetch` downloads everything below a root.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    urls: tuple[str, ...]
    damage: Callable[[Path], str]
    fetch: Callable[[Path], object]


def locate(source: Source, places: Places) -> Path:
    """The data root in which all of the source's files lie undamaged, after a download where that was asked for.

    Raises DataError that says what is missing or damaged, and how to mend it.
    """
    root = places.data_root or cache_folder() / "data"
    missing = _missing(source, root)
    if missing and places.download:
        _download(source, root)
        missing = _missing(source, root)
    if missing:
        raise DataError(
            f"{source.name}: {missing[0]} not found in {root / source.folder}. Either pass --data-root DIR, where "
            f"DIR/{source.folder} holds {', '.join(source.files)}, or pass --download"
        )
    return root


def idx_damage(path: Path) -> str:
    """What is wrong with one of MNIST's files, told from its name, its header and its size.

    An idx file begins with 0, 0, the type (8: unsigned bytes) and the number of sizes that follow, four bytes each.
    """
    rank = 3 if path.name.endswith("idx3-ubyte") else 1
    with path.open("rb") as file:
        if file.read(4) != bytes([0, 0, 8, rank]):
            return f"not an unpacked idx file of unsigned bytes in {rank} dimension(s)"
        sizes = [int.from_bytes(file.read(4), "big") for _ in range(rank)]
    expected = 4 + 4 * rank + math.prod(sizes)
    found = path.stat().st_size
    return "" if found == expected else f"{found} bytes, expected {expected} by its header"


def _missing(source: Source, root: Path) -> list[str]:
    """The files that are not there. Raises DataError for one that is there and damaged."""
    paths = [root / source.folder / file for file in source.files]
    for path in paths:
        damage = _damage(source, path)
        if damage:
            raise DataError(f"{source.name}: {path}: {damage}. Replace the file, or delete it and pass --download")
    return [path.name for path in paths if not path.is_file()]


def _damage(source: Source, path: Path) -> str:
    try:
        return source.damage(path) if path.is_file() else ""
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _download(source: Source, root: Path) -> None:
    """Bring the files into `root`, each whole or not at all; what is already there stays."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
            source.fetch(Path(temporary))
            (root / source.folder).mkdir(parents=True, exist_ok=True)
            for path in (root / source.folder / file for file in source.files):
                if not path.exists():
                    (Path(temporary) / source.folder / path.name).replace(path)
    except (OSError, RuntimeError, HTTPException) as error:
        raise DataError(
            f"{source.name}: the download to {root} failed ({' '.join(str(error).split())}). Without a network, unpack "
            f"{', '.join(source.urls)} into DIR/{source.folder} and pass --data-root DIR"
        ) from error
