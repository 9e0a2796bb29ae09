"""Data that take time to decode, prepared once: kept as uint8 in the cache, by what their files hold."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench.cache import recall
from ganbench.decoding import THREADS, shown
from ganbench.errors import DataError
from ganbench.folders import cache_folder
from ganbench.protocols import Data

VERSION = 1
"""Of the preparation: raise it whenever the same files become other pixels."""

Known = dict[str, list[Any]]

logger = logging.getLogger(__name__)


def prepared(name: str, sha256: str, parameters: Mapping[str, Any], compute: Callable[[], Data]) -> Data:
    """What `compute` makes of files of this content, from the cache if it was made before; mapped into memory.

    `name` says which code prepares, `parameters` are all that it is told besides the files. Processes that ask for the
    same at the same time wait for the first. Modes and densities are not kept: this is for images.
    """
    identity = {"data": name, "sha256": sha256, "version": VERSION, **parameters}
    return _unpacked(recall("data", identity, lambda: _packed(compute())))


def digests_of(root: Path, names: Sequence[str]) -> list[str]:
    """The SHA-256 of each of the files `names` below `root`; see `ganbench.imagefiles.combined`.

    A file is read once: its hash is remembered until its size or its time of change differs. Raises DataError for one
    that cannot be read.
    """
    memo = _memo_of(root)
    known = _remembered(memo)
    with ThreadPoolExecutor(THREADS) as pool:
        found = dict(zip(names, pool.map(lambda name: _hashed(root / name, known.get(name)), names), strict=True))
    if any(known.get(name) != entry for name, entry in found.items()):
        _remember(memo, {**known, **found})
    return [found[name][-1] for name in names]


def forget_digests(root: Path) -> None:
    """Have the files below `root` hashed anew: they changed and neither their sizes nor their times tell."""
    _memo_of(root).unlink(missing_ok=True)


def _packed(data: Data) -> dict[str, Tensor]:
    """The data as tensors only; its texts are JSON in bytes."""
    texts = json.dumps([data.class_names, data.origin]).encode()
    tensors = {
        "train": data.train,
        "heldout": data.heldout,
        "texts": torch.frombuffer(bytearray(texts), dtype=torch.uint8),
    }
    labels = {"train_labels": data.train_labels, "heldout_labels": data.heldout_labels}
    return {**tensors, **{name: tensor for name, tensor in labels.items() if tensor is not None}}


def _unpacked(tensors: Mapping[str, Tensor]) -> Data:
    class_names, origin = json.loads(bytes(tensors["texts"].numpy()))
    return Data(
        tensors["train"],
        tensors["heldout"],
        tensors.get("train_labels"),
        tensors.get("heldout_labels"),
        tuple(class_names),
        origin=origin,
    )


def _hashed(path: Path, known: list[Any] | None) -> list[Any]:
    """A file's size, times, number on disk, and its SHA-256: those known, if all but the last are still the same.

    The time of the last change to the file's entry is among them, for copying tools restore that of its content.
    """
    try:
        status = path.stat()
        seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        if known and known[:-1] == seen:
            return known
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror})") from error
    return [*seen, digest]


def _memo_of(root: Path) -> Path:
    """The file that remembers the hashes of the files below `root`."""
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    return cache_folder() / "hashes" / f"{name}.json"


def _remembered(memo: Path) -> Known:
    """The hashes by name; none where there is no memo, or no sound one."""
    try:
        entries = json.loads(memo.read_bytes())["files"].items()
        return {name: entry for name, entry in entries if _is_sound(entry)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _is_sound(entry: Any) -> bool:
    return isinstance(entry, list) and [type(item) for item in entry] == [*[int] * 4, str] and len(entry[-1]) == 64


def _remember(memo: Path, known: Known) -> None:
    """Write the memo, whole or not at all; where that cannot be, files are hashed again next time."""
    temporary = None
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memo.parent, prefix=".", delete=False) as file:
            temporary = Path(file.name)
            json.dump({"files": known}, file)
        temporary.replace(memo)
    except OSError as error:
        logger.warning("hashes of files are not remembered (%s): %s", error, memo)
        if temporary is not None:
            temporary.unlink(missing_ok=True)
