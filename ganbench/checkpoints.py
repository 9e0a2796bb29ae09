"""A checkpoint: all that the next step of running trials depends on, in one safetensors file and without a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ganbench.disk import on_disk
from ganbench.states import State
from ganbench.tensorfiles import DamagedError, header_of, read, write

PLACE = "tensor"
"""The one key of a dictionary that stands for a tensor; its value is the tensor's name in the file."""


def write_checkpoint(path: Path, identity: Mapping[str, Any], state: State) -> None:
    """Put the checkpoint in the place of the one before, whole or not at all. Raises StorageError.

    `identity` says what it is of: who goes on from it must be the same.
    """
    tensors: dict[str, Tensor] = {}
    tree = _without_tensors(state, "", tensors)
    with on_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, tensors, {"identity": dict(identity), "tree": tree})


def read_checkpoint(path: Path, identity: Mapping[str, Any]) -> State:
    """The state in the checkpoint. Raises DamagedError, which says why, where it is of no use."""
    try:
        header = header_of(path)
        tensors = read(path)
    except OSError as error:
        raise DamagedError(f"it cannot be read ({error.strerror})") from error
    theirs = header.get("identity")
    if theirs != dict(identity):
        other = [name for name in identity if not isinstance(theirs, dict) or theirs.get(name) != identity[name]]
        raise DamagedError(f"it is of another {', '.join(other)}")
    try:
        state: State = _with_tensors(header["tree"], {name: tensor.clone() for name, tensor in tensors.items()})
    except (KeyError, TypeError) as error:
        raise DamagedError("its parts do not fit together") from error
    return state


def _without_tensors(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[place] = (
            value.detach().to("cpu", copy=True).contiguous()
        )  # a copy: views of one tensor cannot be written
        return {PLACE: place}
    if isinstance(value, Mapping):
        return {key: _without_tensors(item, f"{place}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(item, f"{place}/{index}", tensors) for index, item in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_with_tensors(item, tensors) for item in value]
    if isinstance(value, dict):
        if value.keys() == {PLACE} and isinstance(value[PLACE], str):
            return tensors[value[PLACE]]
        return {key: _with_tensors(item, tensors) for key, item in value.items()}
    return value
