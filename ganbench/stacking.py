"""Several seeds' networks as one: stacked weights, called through their batched form where they have one.

Whatever else a network holds goes through `torch.func.vmap`, as if each seed's network were alone.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import CellType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ganbench.batched import ELEMENTWISE, Batched, batched_form


class NotTogether(Exception):  # noqa: N818 - an outcome, not anybody's mistake
    """Seeds cannot train together, for the reason in the message."""


class _Lift(torch.autograd.Function):
    """Leaves the innermost vmap: calls a function with the tensors of all seeds, and comes back with its result."""

    @staticmethod
    def forward(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        raise NotTogether("a network was called from inside a transformation of torch.func other than vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        return

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], function: Any, *tensors: Tensor) -> tuple[Tensor, int]:
        """Call `function` with the seeds on each tensor's first axis."""
        given = [
            tensor.expand(info.batch_size, *tensor.shape) if axis is None else tensor.movedim(axis, 0)
            for tensor, axis in zip(tensors, in_dims[1:], strict=True)
        ]
        return function(*given), 0


def lift(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Inside vmap: what `function` makes of all seeds' tensors, this seed's part of it."""
    result: Tensor = _Lift.apply(function, *tensors)
    return result


class StackedNetwork:
    """Networks of one architecture, one a seed, as a function of (seeds, N, …).

    The weights are stacked once; those of the networks that were given become views of them, so that each is as up to
    date as the whole. Raises NotTogether for networks that do not match.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.weights = _stacked([dict(network.named_parameters(remove_duplicate=False)) for network in networks])
        self.buffers = _stacked([dict(network.named_buffers(remove_duplicate=False)) for network in networks])
        _expect_twins(networks)
        state = {**self.weights, **self.buffers}
        for index, network in enumerate(networks):
            _share(network, state, index)
        skeleton = copy.deepcopy(networks[0]).train()
        whole = batched_form(skeleton, state)
        self._call: Callable[..., Tensor] = whole or _by_vmap(_hollowed(skeleton, state, ""), state)

    def parameters(self) -> list[Tensor]:
        """The stacked weights, (seeds, …) each, once."""
        return list({id(weight): weight for weight in self.weights.values()}.values())

    def __call__(self, inputs: Tensor, *more: Tensor) -> Tensor:
        """(seeds, N, …) to (seeds, N, …); what else the networks are called with has the seeds first, too."""
        return self._call(inputs, *more)


def _expect_twins(networks: Sequence[nn.Module]) -> None:
    """Nothing, if one network stands for all but for its weights and buffers. Raises NotTogether otherwise."""
    others = [dict(network.named_modules()) for network in networks[1:]]
    for name, module in networks[0].named_modules():
        if any(_is_closure(value) for value in _functions(module)):
            raise NotTogether("a network holds a function that brings along modules or tensors")
        for parameter in module._parameters.values():  # noqa: SLF001 - with those that are None, as torch keeps them
            if parameter is not None and parameter._backward_hooks:  # noqa: SLF001
                raise NotTogether("a network has hooks on its weights' gradients")
        twins = [other.get(name) for other in others]
        if not all(twin is not None and _alike(_settings(module), _settings(twin)) for twin in twins):
            raise NotTogether("the networks of two seeds differ in more than their weights")


def _functions(module: nn.Module) -> list[object]:
    """What a module holds that may be functions: attributes and hooks."""
    held = list(vars(module).values())
    return [*held, *(hook for value in held if isinstance(value, OrderedDict) for hook in value.values())]


def _is_closure(value: object) -> bool:
    """Whether it is a function with modules or tensors of its own, which no copy of a network brings up to date."""
    cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or () if cell != CellType()]
    held = [*cells, *(getattr(value, "__defaults__", None) or ())]
    return any(isinstance(getattr(item, "__self__", item), nn.Module | Tensor) for item in held)


def _settings(module: nn.Module) -> dict[str, object]:
    """What a module holds beside its tensors, its parts and its hooks, as far as it can be compared."""
    comparable = (bool, int, float, complex, str, tuple, list, dict, torch.dtype, Tensor, type(None))
    own = {name: value for name, value in vars(module).items() if not name.endswith(("_hooks", "_kwargs"))}
    kept = {name: value for name, value in own.items() if isinstance(value, comparable)}
    return {name: value for name, value in kept.items() if name not in ("_parameters", "_buffers", "_modules")}


def _alike(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and bool(torch.equal(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return not isinstance(one, bool | int | float | complex | str) or one == other


def _stacked(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Each name's tensors of all seeds, stacked; names of one tensor share one stack."""
    shapes = [{name: (value.shape, value.dtype) for name, value in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes):
        raise NotTogether("the networks of two seeds differ in their weights' names, shapes or types")
    stacks: dict[int, Tensor] = {}
    result: dict[str, Tensor] = {}
    for name, first in states[0].items():
        if id(first) not in stacks:
            values = torch.stack([state[name].detach() for state in states])
            stacks[id(first)] = values.requires_grad_(first.requires_grad)
        result[name] = stacks[id(first)]
    return result


def _share(network: nn.Module, state: Mapping[str, Tensor], index: int) -> None:
    """Let the network's own tensors be views of the stacked ones."""
    own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, tensor in own.items():
        tensor.data = state[name].detach()[index]


def _by_vmap(skeleton: nn.Module, state: Mapping[str, Tensor]) -> Callable[..., Tensor]:
    """The network as vmap runs it, with the tensors that no known layer has taken."""
    names = [*dict(skeleton.named_parameters()), *dict(skeleton.named_buffers())]
    loose = {name: state[name] for name in names}
    if not loose:
        return vmap(skeleton)
    call = vmap(lambda own, *inputs: functional_call(skeleton, own, inputs))
    return lambda *inputs: call(loose, *inputs)


class _Known(nn.Module):
    """Stands where known layers stood."""

    def __init__(self, batched: Batched) -> None:
        super().__init__()
        self._batched = batched

    def forward(self, inputs: Tensor, *unread: Tensor | None) -> Tensor:
        """(N, …) to (N, …) of one seed; what else known layers are called with, they do not look at."""
        return lift(self._batched, inputs)


def _hollowed(module: nn.Module, state: Mapping[str, Tensor], prefix: str) -> nn.Module:
    """The module with every part that is known replaced."""
    for name, child in module.named_children():
        batched = batched_form(child, state, f"{prefix}{name}.")
        if batched is None:
            _hollowed(child, state, f"{prefix}{name}.")
        elif not isinstance(child, ELEMENTWISE):  # on its own, vmap does that as well
            setattr(module, name, _Known(batched))
    return module
