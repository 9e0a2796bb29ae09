"""Images and points in NumPy's files, .npz and .npy, read without ever unpickling."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import torch
from PIL import Image
from rich.filesize import decimal
from torch import Tensor

from ganbench.decoding import MINIMUM, Form, Images, Pixels, convert, in_channels, pixels, shown
from ganbench.errors import DataError, suggest

Array = npt.NDArray[Any]

IMAGE_KEYS = ("images", "arr_0")
"""What an array of images is called where the user says nothing; `arr_0` is what `np.savez(path, images)` calls it."""

POINT_KEYS = ("points", "arr_0")
LABELS = "labels"


@dataclass(frozen=True)
class _Read:
    """The array that is meant, its name for messages, the labels beside it, and the file's SHA-256."""

    place: str
    array: Array
    labels: Array | None
    sha256: str


def read_arrays(path: Path, form: Form, key: str = "") -> Images:
    """The images of an .npz or .npy: uint8 (N, H, W), (N, H, W, C) or (N, C, H, W), with 1 or 3 channels.

    An .npz's `labels` (N,) are the classes, counted from 0. Raises DataError.
    """
    read = _read(path, IMAGE_KEYS, key)
    last = _channels_last(read.place, _bytes_only(read.place, read.array))  # (N, H, W) or (N, H, W, C)
    labels = None if read.labels is None else _labels(f"{shown(path)}: {LABELS}", read.labels, len(last))
    images = torch.from_numpy(np.ascontiguousarray(_in_form(read.place, last, form)))
    return Images(images, labels, (), tuple(map(str, range(len(last)))), read.sha256)


def read_points_of(path: Path) -> Tensor:
    """The points of an .npy or .npz, (N, D) float32. Raises DataError."""
    read = _read(path, POINT_KEYS, "")
    place, found = read.place, read.array
    if found.ndim != 2 or found.dtype.kind != "f":
        raise DataError(f"{place}: {_form_of(found)}, expected points: floating numbers of shape (N, D)")
    _require_enough(place, len(found), "points")
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, and is refused
        points = found.astype(np.float32)
    if not np.isfinite(points).all():
        raise DataError(f"{place}: not all numbers are finite as float32")
    return torch.from_numpy(points)


def _read(path: Path, usual: tuple[str, ...], key: str) -> _Read:
    """What is meant in the file, and nothing else of it."""
    place = shown(path)
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return _Read(place, loaded, None, sha256)
            name = _chosen(place, loaded.files, usual, key)
            labels = _member(place, loaded, LABELS) if LABELS in loaded.files else None
            return _Read(f"{place}: {name}", _member(place, loaded, name), labels, sha256)
    except DataError:
        raise
    except Exception as error:  # a damaged header ends in any error that NumPy, zipfile or Python's own parser has
        raise DataError(f"{place}: {_cause(error)}") from error


def _member(place: str, loaded: Any, name: str) -> Array:
    """One array of an .npz. Raises DataError for what is none, or unpacks to more than the machine's memory holds."""
    needed = sum(item.file_size for item in loaded.zip.infolist() if item.filename in (name, f"{name}.npy"))
    memory = psutil.virtual_memory().total
    if needed > memory:
        raise DataError(
            f"{place}: {name}: {decimal(needed)} once unpacked, this machine has {decimal(memory)} of memory"
        )
    found = loaded[name]
    if not isinstance(found, np.ndarray):  # NumPy gives the bytes of a member that is no array
        raise DataError(f"{place}: {name}: not an array, though it lies among arrays. Save it again")
    return found


def _cause(error: Exception) -> str:
    if "allow_pickle" in str(error) or "pickled" in str(error):
        return "not plain arrays of numbers but Python objects (or no NumPy file at all): they are never unpickled"
    return f"not a whole NumPy file ({getattr(error, 'strerror', None) or str(error) or type(error).__name__})"


def _chosen(place: str, names: Sequence[str], usual: tuple[str, ...], key: str) -> str:
    """The name of the array that is meant."""
    others = [name for name in names if name != LABELS]
    name = key or next((name for name in usual if name in others), others[0] if len(others) == 1 else "")
    if name in others:
        return name
    problem = f"no array is called '{key}'" if key else "no array that could be meant"
    if others and not key:
        problem = f"several arrays. Say which with key={others[0]}"
    raise DataError(f"{place}: {problem}.{suggest(key or usual[0], others)}")


def _bytes_only(place: str, found: Array) -> Pixels:
    if found.dtype == np.uint8:
        return found
    expected = "expected uint8 from 0 to 255"
    if found.dtype.kind not in "fiu":
        raise DataError(f"{place}: {_form_of(found)}, {expected}")
    if not np.isfinite(found).all():
        raise DataError(
            f"{place}: {_form_of(found)} with numbers that are not finite, {expected}. Leave such images out"
        )
    lowest, highest = (float(value) for value in (found.min(initial=0), found.max(initial=0)))
    scaled = "x" if highest > 1 else "((x + 1) * 127.5)" if lowest < 0 else "(x * 255)"
    advice = f"Save {scaled}.round().clip(0, 255).astype('uint8') instead"
    raise DataError(f"{place}: {_form_of(found)} from {lowest:g} to {highest:g}, {expected}. {advice}")


def _channels_last(place: str, found: Pixels) -> Pixels:
    """(N, H, W), or (N, H, W, C) with C of 1 or 3."""
    if found.ndim == 3:
        last = found
    elif found.ndim == 4 and found.shape[3] in (1, 3):
        last = found if found.shape[3] == 3 else found[..., 0]
    elif found.ndim == 4 and found.shape[1] in (1, 3):
        last = np.moveaxis(found, 1, 3) if found.shape[1] == 3 else found[:, 0]
    else:
        expected = "(N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels"
        raise DataError(f"{place}: {_form_of(found)}, expected {expected}")
    _require_enough(place, len(last), "images")
    return last


def _in_form(place: str, found: Pixels, form: Form) -> Pixels:
    """(N, C, H, W), resized where the form asks for another size."""
    form = form.filled(place, Image.fromarray(found[0]))
    if found.shape[1:3] == form.shape[1:]:
        return in_channels(place, found, form)

    def resized(index: int) -> Pixels:
        return pixels(f"{place}[{index}]", Image.fromarray(found[index]), form)

    return convert(range(len(found)), resized, len(found), form, place)


def _labels(place: str, found: Array, count: int) -> Tensor:
    if found.dtype.kind not in "iu" or found.shape != (count,) or found.min() < 0:
        raise DataError(f"{place}: {_form_of(found)}, expected {count} whole numbers from 0")
    return torch.from_numpy(found.astype(np.int64))


def _require_enough(place: str, count: int, what: str) -> None:
    if count < MINIMUM:
        raise DataError(f"{place}: {count} {what}, expected at least {MINIMUM}")


def _form_of(found: Array) -> str:
    return f"{found.dtype} of shape ({', '.join(map(str, found.shape))})"
