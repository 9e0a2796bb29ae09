"""See without a GPU what would fail on one: a tensor made on the processor that meets one of the device's."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ganbench.conformance.findings import Breach
from ganbench.errors import PluginError

FACTORIES = (
    "arange", "as_tensor", "empty", "eye", "from_numpy", "full", "linspace", "logspace", "normal", "ones", "rand",
    "randint", "randn", "randperm", "tensor", "tril_indices", "triu_indices", "zeros",
)  # fmt: skip
"""Functions of torch that make a tensor on the processor, unless told another device."""

MEETING = ("__getitem__", "__setitem__", "copy_", "expand_as", "reshape_as", "view_as")
"""Methods whose other tensors may lie anywhere: what they give lies where the first does."""


class Stranded(Exception):  # noqa: N818 - what was seen, raised to find the line
    """A tensor of the processor met one of the device. `line` is where it was made, if that is in the watched file."""

    def __init__(self, told: str, line: int | None) -> None:
        super().__init__(told)
        self.line = line


@dataclass(frozen=True)
class _Stranger:
    """A tensor that would lie on the processor, whatever the device; kept, so that its `id` stays its own."""

    tensor: Tensor
    made: str
    line: int | None


class _OneDevice(TorchFunctionMode):
    """Takes every tensor to be on a GPU but those that are made in the block without `device=`, and what comes of them.

    One without dimensions counts as a number, which goes with any device.
    """

    def __init__(self, file: Path, held: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._file = file
        self._strangers = {
            id(tensor): _Stranger(tensor, f"its attribute `{name}`, no buffer,", None) for name, tensor in held.items()
        }

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        result = function(*args, **kwargs)
        if name in FACTORIES and not given:
            self._made(name, kwargs, result)
        elif _moved(name, args, kwargs):
            self._strangers.pop(id(result), None)  # on a processor it is the same tensor as before
        elif given:
            self._inherit(name, given, result)
        return result

    def expect_here(self, **results: Tensor) -> None:
        """Nothing, if all of these lie on the device. Raises Stranded that names the first that does not."""
        for name, tensor in results.items():
            stranger = self._strangers.get(id(tensor))
            if stranger:
                raise Stranded(f"{stranger.made} is given as `{name}`, and is not on the game's device", stranger.line)

    def _made(self, name: str, kwargs: Mapping[str, Any], result: Tensor) -> None:
        if kwargs.get("device") not in (None, "cpu"):
            return
        line = self._line()
        if kwargs.get("generator") is not None:
            raise Stranded(f"`torch.{name}` draws on the processor with a generator that may be the GPU's", line)
        self._strangers[id(result)] = _Stranger(result, f"a tensor that `torch.{name}` made on the processor", line)

    def _inherit(self, name: str, given: list[Tensor], result: Any) -> None:
        """What comes of strangers alone is one too; one that meets another tensor is found out."""
        strangers = [self._strangers[id(tensor)] for tensor in given if id(tensor) in self._strangers]
        if not strangers:
            return
        if name in MEETING:
            strangers, given = [self._strangers[id(given[0])]] if id(given[0]) in self._strangers else [], given[:1]
        if len(strangers) == len(given):
            made = (leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
            for tensor in made:
                self._strangers[id(tensor)] = _Stranger(tensor, strangers[0].made, strangers[0].line)
            return
        for stranger in strangers:
            if stranger.tensor.ndim:
                raise Stranded(f"{stranger.made} meets the game's own in `{name}`", stranger.line)

    def _line(self) -> int | None:
        """The innermost line of the watched file that runs."""
        lines = [frame.lineno for frame in traceback.extract_stack() if Path(frame.filename) == self._file]
        return lines[-1] if lines else None


def _moved(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether the call moves a tensor to a device that it names, directly or as that of another tensor."""
    targets = [*args[1:], *kwargs.values()]
    told = any(isinstance(target, str | torch.device | Tensor) for target in targets)
    return name in ("cuda", "type_as") or (name == "to" and told)


@contextmanager
def one_device(file: Path, part: object) -> Iterator[_OneDevice]:
    """In the block, a tensor that would be left behind on the processor raises a Breach, with the line that made it.

    `part` is what is tried: tensors that it holds as plain attributes were made on the processor too.
    """
    watched = _OneDevice(file, _held(part))
    try:
        with watched:
            yield watched
    except (Stranded, PluginError) as error:
        seen = error.__cause__ if isinstance(error, PluginError) else error
        if not isinstance(seen, Stranded):
            raise
        raise Breach(
            f"on a GPU, {seen}",
            "tensors on the device of the samples",
            "make it with `device=samples.device` (in a loss: `device=game.real.device`), or with `new_zeros` and the "
            "like; a network keeps constants with `register_buffer`",
            seen.line,
        ) from error


def _held(part: object) -> dict[str, Tensor]:
    """The tensors that an object holds as plain attributes; of a network, those of its layers too."""
    holders = part.modules() if isinstance(part, nn.Module) else [part]
    return {
        name: value
        for holder in holders
        for name, value in getattr(holder, "__dict__", {}).items()
        if isinstance(value, Tensor)
    }
