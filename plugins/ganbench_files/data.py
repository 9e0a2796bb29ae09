"""Reads a user's own images, and splits them by what they show: equal images never lie on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ganbench.archives import read_tar
from ganbench.arrays import read_arrays
from ganbench.decoding import Form, Images, shown
from ganbench.errors import ChoiceError, DataError
from ganbench.imagefiles import combined, existing, picture_names, read_folder
from ganbench.prepared import digests_of, forget_digests, prepared
from ganbench.protocols import Data, Places

Crop = Literal["exact", "centre", "stretch"]

FEWEST = 2
"""Images that each split must have."""


def folder(
    places: Places,
    path: str,
    resolution: int,
    channels: Literal[1, 3] = 3,
    crop: Crop = "exact",
    heldout: float = 0.5,
    classes: int = 0,
) -> Data:
    """The pictures below a folder, uint8 (N, channels, resolution, resolution), `heldout` of them held out.

    `path` is taken from --data-root where it is not absolute. Each picture becomes `resolution` × `resolution` pixels
    of `channels` channels; `crop` says what becomes of those that are not so: "exact" refuses them, "centre" takes the
    square in the middle, "stretch" ignores proportions.

    With `classes`, there must be as many folders directly below it, by their names in order, and no picture outside of
    them. Raises DataError.
    """
    root = _located(places, path, is_folder=True)
    names = picture_names(root)
    digests = digests_of(root, names)
    source = _Source("folder", root, root, combined(names, digests))
    return _data(source, read_folder, Form(resolution, channels, crop), _Asked(heldout, classes))


def npz(
    places: Places,
    path: str,
    resolution: int,
    channels: Literal[1, 3] = 3,
    crop: Crop = "exact",
    heldout: float = 0.5,
    classes: int = 0,
    key: str = "",
) -> Data:
    """The uint8 images (N, H, W), (N, H, W, C) or (N, C, H, W) of an .npz or .npy, `heldout` of them held out.

    `path` is taken from --data-root where it is not absolute. Each picture becomes `resolution` × `resolution` pixels
    of `channels` channels; `crop` says what becomes of those that are not so: "exact" refuses them, "centre" takes the
    square in the middle, "stretch" ignores proportions.

    `key` names the array; without it, `images`, `arr_0` or the only one. With `classes`, `labels` (N,) count from 0.
    Raises DataError.
    """

    def read(file: Path, form: Form) -> Images:
        return read_arrays(file, form, key)

    source = _of_file("npz", _located(places, path, is_folder=False))
    return _data(source, read, Form(resolution, channels, crop), _Asked(heldout, classes), {"key": key})


def tar(
    places: Places,
    path: str,
    resolution: int,
    channels: Literal[1, 3] = 3,
    crop: Crop = "exact",
    heldout: float = 0.5,
    classes: int = 0,
) -> Data:
    """The pictures of a WebDataset tar, packed or not, `heldout` of them held out.

    `path` is taken from --data-root where it is not absolute. Each picture becomes `resolution` × `resolution` pixels
    of `channels` channels; `crop` says what becomes of those that are not so: "exact" refuses them, "centre" takes the
    square in the middle, "stretch" ignores proportions.

    With `classes`, each picture has a .cls with its class, counted from 0. Raises DataError.
    """
    source = _of_file("tar", _located(places, path, is_folder=False))
    return _data(source, read_tar, Form(resolution, channels, crop), _Asked(heldout, classes))


@dataclass(frozen=True)
class _Source:
    """Where images lie, the root of the remembered hashes, and the content's SHA-256."""

    kind: str
    path: Path
    root: Path
    sha256: str


@dataclass(frozen=True)
class _Asked:
    """What is asked of the images once they are read."""

    heldout: float
    classes: int


def _located(places: Places, path: str, *, is_folder: bool) -> Path:
    """The path, below the data root where there is one and the path is relative."""
    written = Path(path)
    outside = written.is_absolute() or path.startswith("~") or places.data_root is None
    found = existing(written if outside or places.data_root is None else places.data_root / written)
    if found.is_dir() != is_folder:
        come, expected = (
            ("a file", "a folder; for files there are npz and tar") if is_folder else ("a folder", "a file")
        )
        raise DataError(f"{shown(found)}: {come}, expected {expected}")
    return found


def _of_file(kind: str, path: Path) -> _Source:
    return _Source(kind, path, path.parent, digests_of(path.parent, [path.name])[0])


def _data(
    source: _Source,
    read: Callable[[Path, Form], Images],
    form: Form,
    asked: _Asked,
    parameters: Mapping[str, Any] | None = None,
) -> Data:
    """The images in two splits, views of one array that is prepared once for all shares that may be held out."""
    if form.shape[1] < 1 or not 0 < asked.heldout <= 1 or asked.classes < 0:
        came = f"{source.kind}(resolution={form.resolution}, heldout={asked.heldout:g}, classes={asked.classes})"
        raise ChoiceError(f"{came}: expected resolution ≥ 1, 0 < heldout ≤ 1 and classes ≥ 0")
    told = {"resolution": form.resolution, "channels": form.channels, "crop": form.crop, **(parameters or {})}
    shuffled = prepared(source.kind, source.sha256, told, lambda: _by_content(source, read(source.path, form)))
    count = _heldout_count(source, shuffled.heldout, asked.heldout)
    labels, class_names = _classes(source, shuffled, asked.classes)
    return Data(
        train=shuffled.heldout[count:],
        heldout=shuffled.heldout[:count],
        train_labels=None if labels is None else labels[count:],
        heldout_labels=None if labels is None else labels[:count],
        class_names=class_names,
        origin=f"{source.kind} of {len(shuffled.heldout):,} images, {count:,} held out, SHA-256 {source.sha256[:12]}",
    )


def _by_content(source: _Source, images: Images) -> Data:
    """All images as held out, in the order of their pixels' SHA-256: at random, and equal ones side by side."""
    if images.sha256 != source.sha256:
        forget_digests(source.root)
        raise DataError(f"{shown(source.path)}: changed while it was read. Try again when nothing writes to it")
    digests = [hashlib.sha256(image.numpy().tobytes()).digest() for image in images.images]
    order = torch.tensor(sorted(range(len(digests)), key=lambda index: (digests[index], index)))
    return Data(
        train=images.images[:0],
        heldout=images.images[order],
        heldout_labels=None if images.labels is None else images.labels[order],
        class_names=images.class_names,
    )


def _heldout_count(source: _Source, images: torch.Tensor, share: float) -> int:
    """How many of the first images are held out: the share of them, and whatever is equal to the last."""
    total = len(images)
    if share == 1:
        return total
    count = max(FEWEST, round(share * total))
    while count < total and torch.equal(images[count - 1], images[count]):
        count += 1
    if total - count < FEWEST:
        raise DataError(
            f"{shown(source.path)}: {total - count} of {total} images left to train on, expected {FEWEST} or more; "
            "equal images stay together. State a smaller heldout, or heldout=1.0 to measure only"
        )
    return count


def _classes(source: _Source, data: Data, classes: int) -> tuple[torch.Tensor | None, tuple[str, ...]]:
    """The labels and names of the classes that are asked for. Raises DataError where there are others, or none."""
    labels = data.heldout_labels
    if not classes:
        return None, ()
    where = {"folder": "in folders of their own below it", "npz": "in an array `labels`", "tar": "in .cls members"}
    if labels is None:
        raise DataError(f"{shown(source.path)}: no classes, expected {classes} {where[source.kind]}")
    found = len(data.class_names) or int(labels.max()) + 1
    if found > classes or len(data.class_names) not in (0, classes):
        raise DataError(f"{shown(source.path)}: {found} classes {where[source.kind]}, expected {classes}")
    return labels, data.class_names or tuple(str(label) for label in range(classes))
