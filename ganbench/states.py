"""The state of what torch and plugins hold, as a tree of dictionaries and lists with tensors, numbers and strings.

Giving a state back writes into the objects that there are: views of them, and what a driver has recorded, stay valid.
"""

from __future__ import annotations

import hashlib
import pickle
import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

State = dict[str, Any]
"""What can be written down: dictionaries with strings as keys, lists, tensors, numbers, strings, None."""


class Unknown(Exception):  # noqa: N818 - an outcome: there will be no checkpoint
    """Something has a state that cannot be written down, for the reason in the message."""


# --- networks


def network_state(network: nn.Module) -> State:
    """All tensors of a network, and what its modules keep in attributes of their own."""
    return {
        "parameters": dict(network.named_parameters()),
        "buffers": dict(network.named_buffers()),
        "held": {name: held(module) for name, module in network.named_modules()},
    }


@torch.no_grad()
def restore_network(network: nn.Module, state: State) -> None:
    """Give a network of the same architecture its state back."""
    for name, parameter in network.named_parameters():
        parameter.copy_(state["parameters"][name])
    modules, buffers = dict(network.named_modules()), dict(network.named_buffers())
    for name, saved in state["buffers"].items():
        owner, _, own_name = name.rpartition(".")
        if name in buffers and buffers[name].shape == saved.shape and buffers[name].dtype == saved.dtype:
            buffers[name].copy_(saved)
        else:  # a network may put a tensor of another shape in a buffer's place
            modules[owner].register_buffer(own_name, saved.to(_device_of(network)))
    for name, saved in state["held"].items():
        hold(modules[name], saved)


def _device_of(network: nn.Module) -> torch.device:
    return next((tensor.device for tensor in (*network.parameters(), *network.buffers())), torch.device("cpu"))


# --- optimisers


def optimiser_state(optimiser: torch.optim.Optimizer) -> State:
    """What an optimiser knows of each of its weights. Its settings are the recipe's, and its rate is set every step."""
    return {str(index): dict(values) for index, values in optimiser.state_dict()["state"].items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, state: State) -> None:
    """Give it back, laid out in memory as the weights are."""
    known = {int(index): dict(values) for index, values in state.items()}
    optimiser.load_state_dict({"state": known, "param_groups": optimiser.state_dict()["param_groups"]})
    for weight, values in optimiser.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == weight.shape and value.stride() != weight.stride():
                values[name] = torch.empty_like(weight).copy_(value)


# --- random numbers


def random_states(generators: Iterable[torch.Generator]) -> list[Tensor]:
    """Where each of the generators is."""
    return [generator.get_state() for generator in generators]


def restore_random(generators: Iterable[torch.Generator], states: Iterable[Tensor]) -> None:
    """Put each where it was."""
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state.cpu())


def global_random_state(device: torch.device) -> State:
    """Where the global generators of torch, NumPy and Python are; of torch's, the CPU's and that of `device`."""
    version, numbers, gauss = random.getstate()
    name, words, *rest = np.random.get_state()  # noqa: NPY002 - plugins may use that one
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "python": [version, torch.tensor(numbers, dtype=torch.int64), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(words).astype(np.int64)), *rest],
    }


def restore_global_random(state: State, device: torch.device) -> None:
    """Put them where they were."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    name, words, *rest = state["numpy"]
    np.random.set_state((name, words.numpy().astype(np.uint32), *rest))  # noqa: NPY002


# --- what plugins keep

_OF_TORCH = frozenset(vars(nn.Module()))
_PLAIN = (bool, int, float, str, type(None))


def held(part: object) -> State:
    """What an object keeps in its own attributes, as far as it can be written down.

    Of a module not what torch keeps: tensors that are registered, parts, hooks.
    """
    own = (
        {name: value for name, value in vars(part).items() if _is_own(part, name)} if hasattr(part, "__dict__") else {}
    )
    known = {name: _written(value) for name, value in own.items()}
    return {name: value for name, value in known.items() if value is not _NOTHING}


def beyond_words(part: object) -> State:
    """How the other attributes look: if that changes, the object remembers what no checkpoint can hold."""
    own = (
        {name: value for name, value in vars(part).items() if _is_own(part, name)} if hasattr(part, "__dict__") else {}
    )
    return {name: _looks(value) for name, value in own.items() if _written(value) is _NOTHING}


def _looks(value: object) -> str:
    """What changes with anything that an object holds, as far as it can be told. What is pickled is never read."""
    try:
        return hashlib.sha256(pickle.dumps(value)).hexdigest()
    except Exception:  # noqa: BLE001 - whatever an object of a plugin's raises that is not made for it
        return repr(value)


def hold(part: object, state: State) -> None:
    """Give the attributes back that have changed."""
    for name, saved in state.items():
        current = vars(part).get(name)
        if isinstance(current, torch.Generator):
            current.set_state(saved["generator"].cpu())
        elif isinstance(current, Tensor) and _is_tensor(saved) and current.shape == saved["values"].shape:
            with torch.no_grad():
                current.copy_(saved["values"])
        elif not _same(_written(current), saved):
            object.__setattr__(part, name, _read(saved))


class _Nothing:
    """Stands for what cannot be written down."""


_NOTHING = _Nothing()


def _is_own(part: object, name: str) -> bool:
    return not (isinstance(part, nn.Module) and name in _OF_TORCH and name != "training")


def _written(value: object) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        kept = {"values": value.detach(), "device": str(value.device)}
        return _NOTHING if isinstance(value, nn.Parameter) else kept
    if isinstance(value, torch.Generator):
        return {"generator": value.get_state(), "device": str(value.device)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": torch.from_numpy(value.copy()), "type": value.dtype.str}
    if isinstance(value, list | tuple):
        items = [_written(item) for item in value]
        whole = all(item is not _NOTHING for item in items)
        return {"items": items, "type": type(value).__name__} if whole and type(value) in (list, tuple) else _NOTHING
    if type(value) is dict and all(isinstance(key, str) for key in value):
        pairs = {key: _written(item) for key, item in value.items()}
        return {"pairs": pairs} if all(item is not _NOTHING for item in pairs.values()) else _NOTHING
    return _NOTHING


def _is_tensor(saved: object) -> bool:
    return isinstance(saved, Mapping) and "values" in saved and "device" in saved


def _read(saved: Any) -> Any:
    if not isinstance(saved, Mapping):
        return saved
    if _is_tensor(saved):
        return saved["values"].to(saved["device"])
    if "generator" in saved:
        generator = torch.Generator(saved["device"])
        generator.set_state(saved["generator"].cpu())
        return generator
    if "array" in saved:
        return saved["array"].numpy().astype(saved["type"])
    if "items" in saved:
        items = [_read(item) for item in saved["items"]]
        return tuple(items) if saved["type"] == "tuple" else items
    return {key: _read(item) for key, item in saved["pairs"].items()}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        alike = isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape
        return alike and torch.equal(one.cpu(), other.cpu())
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
