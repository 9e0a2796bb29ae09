"""Safetensors files with a header of ganbench's own: written whole or not at all, and what was damaged is seen.

The header is JSON under one key of the format's metadata; it holds the SHA-256 that the tensors had when written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganbench.disk import sync_file, sync_folder, temporary_for

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

HEADER = "ganbench"
LONGEST_HEADER = 2**24


class DamagedError(Exception):
    """A file is not what was written, for the reason in the message."""


def digest(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """The SHA-256 of named arrays: of their names, types, shapes and bytes."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.name} {array.shape} ".encode())
        total.update(array.reshape(-1).view("uint8").data if array.size else b"")
    return total.hexdigest()


def header_of(path: Path) -> dict[str, Any]:
    """What `write` said of the tensors, without reading them or torch. Raises OSError, or DamagedError.

    For the layout see https://github.com/huggingface/safetensors#format.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            raise DamagedError(f"its header would be {length} bytes long")
        text = file.read(length)
    try:
        header: object = json.loads(json.loads(text)["__metadata__"][HEADER])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"its header cannot be read ({type(error).__name__})") from error
    if not isinstance(header, dict):
        raise DamagedError("its header is no JSON object")
    return header


def read(path: Path, *, verify: bool = True) -> dict[str, Tensor]:
    """The tensors at `path`, mapped into memory. Raises OSError, or DamagedError where they are not those written."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        intact = not verify or digest(arrays_of(tensors)) == header_of(path).get("sha256")
    except (SafetensorError, ValueError, TypeError) as error:
        raise DamagedError(f"not a whole safetensors file ({error})") from error
    if not intact:
        raise DamagedError("its tensors are not those that were written")
    return tensors


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Put the tensors, on the CPU and contiguous, at `path`: a reader, or a power cut, finds all of it or nothing.

    Raises OSError.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    told = {**header, "sha256": digest(arrays_of(tensors))}
    folder = temporary_for(path)  # safetensors leaves a file of its own beside the one it writes, if it is killed
    folder.mkdir(exist_ok=True)
    try:
        file = folder / path.name
        try:
            save_file(dict(tensors), file, metadata={HEADER: json.dumps(told)})
        except SafetensorError as error:
            raise os_error_of(error, file) from error
        sync_file(file)
        file.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sync_folder(path.parent)


def os_error_of(error: Exception, path: Path) -> OSError:
    """What the system said to safetensors, whose own errors tell it in words only: `… (os error 28)`."""
    number = re.search(r"os error ([0-9]+)", str(error))
    code = int(number[1]) if number else errno.EIO
    return OSError(code, os.strerror(code) if number else str(error), str(path))


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as they can be written."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def arrays_of(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors' numbers; those of a type that NumPy lacks, which is a short one, in float32."""
    return {name: _array(tensor) for name, tensor in tensors.items()}


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    try:
        return tensor.numpy()
    except TypeError:
        return tensor.float().numpy()
