"""Where a torchvision data set's files lie: found, downloaded only on request, and checked before they are read."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from torchvision.datasets.utils import check_integrity

from ganbench.errors import DataError
from ganbench.folders import cache_folder
from ganbench.imagefiles import combined
from ganbench.prepared import digests_of, prepared
from ganbench.protocols import Data, Places


@dataclass(frozen=True)
class Source:
    """The files of one data set, in `folder` below the data root ("" for the root itself), and where they come from.

    A file may be a folder of files. `damage` says what is wrong with a file that is there, or nothing; `fetch`
    downloads everything below a root.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    urls: tuple[str, ...]
    damage: Callable[[Path], str]
    fetch: Callable[[Path], object]

    @property
    def place(self) -> str:
        """The folder in the words of a message: below `DIR`."""
        return f"DIR/{self.folder}" if self.folder else "DIR"


def load(
    source: Source,
    places: Places,
    read: Callable[[Path], Data],
    parameters: Mapping[str, Any] | None = None,
    names: Callable[[Path], Sequence[str]] | None = None,
) -> Data:
    """The data that `read` makes of the folder with the files, prepared once for this content and these parameters.

    `names` lists the files in that folder where they are more than the source's. Raises DataError that says which file
    is missing or damaged, and how to mend it.
    """
    folder = locate(source, places) / source.folder
    if names is None:
        listed = source.files
    else:
        check(source, folder)
        listed = tuple(names(folder))

    def checked() -> Data:
        check(source, folder)
        return read(folder)

    return prepared(source.name, combined(listed, digests_of(folder, listed)), parameters or {}, checked)


def locate(source: Source, places: Places) -> Path:
    """The data root in which all of the source's files lie, after a download where that was asked for.

    Raises DataError that says what is missing, and how to get it.
    """
    root = places.data_root or cache_folder() / "data"
    missing = _missing(source, root)
    if missing and places.download:
        _download(source, root)
        missing = _missing(source, root)
    if missing:
        raise DataError(
            f"{source.name}: {missing[0]} not found in {root / source.folder}. Either pass --data-root DIR, where "
            f"{source.place} holds {', '.join(source.files)}, or pass --download"
        )
    return root


def check(source: Source, folder: Path) -> None:
    """Nothing, if no file is damaged. Raises DataError that names the first that is."""
    for path in (folder / file for file in source.files):
        try:
            damage = source.damage(path)
        except OSError as error:
            damage = f"cannot be read ({error.strerror})"
        if damage:
            raise DataError(f"{source.name}: {path}: {damage}. Replace the file, or delete it and pass --download")


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


def published_as(sums: Mapping[str, str]) -> Callable[[Path], str]:
    """What is wrong with a file whose MD5 sum was published, by its name."""

    def damage(path: Path) -> str:
        right = path.name not in sums or check_integrity(path, sums[path.name])
        return "" if right else "its MD5 sum is not that of the published file"

    return damage


def _fetch(source: Source, root: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
        source.fetch(Path(temporary))
        (root / source.folder).mkdir(parents=True, exist_ok=True)
        for file in _missing(source, root):
            (Path(temporary) / source.folder / file).replace(root / source.folder / file)


def _missing(source: Source, root: Path) -> list[str]:
    return [file for file in source.files if not (root / source.folder / file).exists()]


def _download(source: Source, root: Path) -> None:
    """Bring the files into `root`, each whole or not at all; what is already there stays."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        cache_folder().mkdir(parents=True, exist_ok=True)
        with FileLock(cache_folder() / f"download-{source.name}.lock"):
            if _missing(source, root):  # another process may have been faster
                _fetch(source, root)
    except Exception as error:  # a server, a proxy and an archive fail in as many ways
        raise DataError(
            f"{source.name}: the download to {root} failed ({' '.join(str(error).split())}). By hand: unpack "
            f"{', '.join(source.urls)} into {source.place} and pass --data-root DIR"
        ) from error
