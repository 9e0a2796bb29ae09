"""Watch what code does besides computing: reads on the host, draws from global random numbers, changes in place."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ganbench.conformance.findings import Breach
from ganbench.errors import PluginError

METHODS = ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__array__", "is_nonzero")
"""Methods of a tensor that hand its values to the host."""

OPERATIONS = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal", "unique", "_unique2")
"""Operations whose result, or its shape, the host has to wait for."""

_FROM_RNG = "draw with `generator=game.rng` (an augmentation: with the `rng` it is given), and explicit shapes"


class HostRead(Exception):  # noqa: N818 - what was seen, raised to find the line
    """A tensor's value was read on the host."""


class GlobalDraw(Exception):  # noqa: N818 - likewise
    """A number was drawn from torch's global generator."""


class _NoMethodThatReads(TorchFunctionMode):
    """Refuses methods that hand a tensor's value to the host, those of a CPU's tensor too, which dispatch nothing."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") in METHODS:
            raise HostRead(f"`{function.__name__}` reads a tensor's value on the host")
        return function(*args, **(kwargs or {}))


class _NoOperationThatReads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operations that a GPU's host has to wait for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in OPERATIONS:
            raise HostRead(f"`{name}` makes the host wait for a tensor's values")
        if name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1]):
            raise HostRead("a mask as an index makes the host wait for a tensor's values")
        return func(*args, **(kwargs or {}))


class _NoGlobalDraw(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operations that draw without a generator of their own."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        own = kwargs.get("generator") or next((item for item in args if isinstance(item, torch.Generator)), None)
        if torch.Tag.nondeterministic_seeded in func.tags and own is None and _draws(func, args, kwargs):
            raise GlobalDraw(f"`{func.overloadpacket.__name__}` draws from torch's global random numbers")
        return func(*args, **kwargs)


def _draws(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether the operation draws as it is called: dropout in evaluation mode, for one, does not."""
    names = [argument.name for argument in func._schema.arguments]  # noqa: SLF001 - torch has no other name for it
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return bool(given.get("train", True)) and bool(given.get("training", True))


@contextmanager
def no_host_read() -> Iterator[None]:
    """In the block, what reads a tensor's value on the host raises a Breach with the line that did."""
    try:
        with _NoOperationThatReads(), _NoMethodThatReads():  # type: ignore[no-untyped-call]
            yield
    except (HostRead, PluginError) as error:
        raise Breach(
            _seen(error, HostRead),
            "no host reads inside a step: no `.item()`, `float(tensor)`, `if tensor`, `tensor[mask]`",
            "compute with tensors throughout: torch.where, clamp, multiplication by a mask",
        ) from error


@contextmanager
def no_global_draw(mend: str = _FROM_RNG) -> Iterator[None]:
    """In the block, what draws from a global generator of torch, NumPy or Python raises a Breach."""
    elsewhere = random.getstate(), repr(np.random.get_state())  # noqa: NPY002 - that is the one to watch
    expected = "no draws from global random numbers"
    try:
        with _NoGlobalDraw():  # type: ignore[no-untyped-call]
            yield
    except (GlobalDraw, PluginError) as error:
        raise Breach(_seen(error, GlobalDraw), expected, mend) from error
    if elsewhere != (random.getstate(), repr(np.random.get_state())):  # noqa: NPY002
        raise Breach("it draws from the global random numbers of Python or NumPy", expected, mend)


def _seen(error: Exception, kind: type[Exception]) -> str:
    """What was seen, also where the core has wrapped it as an error of its owner. Another error passes."""
    seen = error.__cause__ if isinstance(error, PluginError) else error
    if not isinstance(seen, kind):
        raise error
    return str(seen)


@contextmanager
def unchanged(**tensors: Tensor | None) -> Iterator[None]:
    """In the block, nothing may write to these tensors, given by name."""
    versions = {name: tensor._version for name, tensor in tensors.items() if tensor is not None}  # noqa: SLF001
    yield
    for name, tensor in tensors.items():
        if tensor is not None and tensor._version != versions[name]:  # noqa: SLF001 - torch has no other name for it
            raise Breach(
                f"`{name}` was changed in place",
                "inputs left as they are: others use them too",
                "write `x = x + …` for `x += …` and `torch.relu(x)` for `torch.relu_(x)`; no inplace=True first layer",
            )


def finite(name: str, tensor: Tensor) -> None:
    """Nothing, if all of the tensor's numbers are finite. Raises Breach that counts those that are not."""
    bad = int((~tensor.isfinite()).sum())
    if bad:
        raise Breach(
            f"{bad} of {tensor.numel()} numbers of {name} are not finite",
            "finite numbers",
            "use softplus and logsigmoid for logarithms of sigmoids, and a root's slope at 0 is infinite: clamp first",
        )
