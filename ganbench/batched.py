"""Batched forms of the layers that small networks are made of: all seeds in one operation, each with its own weights.

`torch.func.vmap` does the same for any operation, and takes longer over it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

Batched = Callable[[Tensor], Tensor]
"""What maps (seeds, N, …) to (seeds, N, …)."""

ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.SiLU, nn.GELU, nn.ELU, nn.Identity)


def batched_form(module: nn.Module, state: Mapping[str, Tensor], prefix: str = "") -> Batched | None:
    """The batched form of the module with the stacked tensors named `prefix…`, or None if it has none."""
    if _has_hooks(module) or "forward" in vars(module):
        return None
    if type(module) is nn.Sequential:
        # Not `named_children`, which leaves out what occurs a second time.
        parts = [batched_form(child, state, f"{prefix}{name}.") for name, child in module._modules.items()]  # noqa: SLF001
        return None if None in parts else _chain([part for part in parts if part is not None])
    if type(module) in ELEMENTWISE:
        return module
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    if type(module) is nn.Linear:
        return _linear(own)
    if type(module) is nn.BatchNorm1d and module.training and module.momentum is not None:
        return _batch_norm(module, own)
    if type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
        return lambda inputs: inputs.flatten(2)
    if type(module) is nn.Unflatten and module.dim == 1:
        return lambda inputs: inputs.reshape(*inputs.shape[:2], *module.unflattened_size, *inputs.shape[3:])
    return None if type(module).__module__.startswith("torch.") else _traced(module, state, prefix)


def _traced(module: nn.Module, state: Mapping[str, Tensor], prefix: str) -> Batched | None:
    """The batched form of a module that passes its input from one known part to the next, as `torch.fx` sees it."""
    try:
        traced = torch.fx.Tracer().trace(module).nodes
        nodes = [node for node in traced if node.op != "placeholder" or node.users]  # labels that nobody reads
    except Exception:  # noqa: BLE001 - whatever cannot be traced has other ways to run
        return None
    parts: list[Batched] = []
    for before, node in pairwise(nodes):
        part = _part(module, node, state, prefix) if _follows(node, before) else None
        if part is None:
            return None
        parts += [part] if node.op != "output" else []
    return _chain(parts) if nodes[0].op == "placeholder" and nodes[-1].op == "output" else None


def _follows(node: torch.fx.Node, before: torch.fx.Node) -> bool:
    """Whether the node takes the result of the one before it, and nothing else but constants."""
    return node.all_input_nodes == [before] and bool(node.args) and node.args[0] is before


def _part(module: nn.Module, node: torch.fx.Node, state: Mapping[str, Tensor], prefix: str) -> Batched | None:
    if node.op == "output":
        return lambda inputs: inputs
    if node.op == "call_module":
        return batched_form(module.get_submodule(str(node.target)), state, f"{prefix}{node.target}.")
    axis = node.args[1:] == (1,) and not node.kwargs
    if node.op == "call_method" and node.target == "squeeze" and axis:
        return lambda inputs: inputs.squeeze(2)
    if node.op == "call_method" and node.target == "flatten" and axis:
        return lambda inputs: inputs.flatten(2)
    return None


def _has_hooks(module: nn.Module) -> bool:
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")  # torch tells no other way
    return any(getattr(module, f"_{kind}") for kind in kinds)


def _chain(parts: Sequence[Batched]) -> Batched:
    def run(inputs: Tensor) -> Tensor:
        for part in parts:
            inputs = part(inputs)
        return inputs

    return run


def _linear(own: Mapping[str, Tensor]) -> Batched:
    weight, bias = own["weight"], own.get("bias")  # (seeds, outputs, inputs), (seeds, outputs)

    def run(inputs: Tensor) -> Tensor:
        rows = inputs if inputs.ndim == 3 else inputs.flatten(1, -2)
        outputs = torch.bmm(rows, weight.mT)
        if bias is not None:
            outputs += bias.unsqueeze(1)
        return outputs if inputs.ndim == 3 else outputs.reshape(*inputs.shape[:-1], outputs.shape[-1])

    return run


def _batch_norm(module: nn.BatchNorm1d, own: Mapping[str, Tensor]) -> Batched:
    def flat(name: str) -> Tensor | None:
        return own[name].flatten() if name in own else None  # (seeds · features,)

    def run(inputs: Tensor) -> Tensor:
        seeds, count, *rest = inputs.shape  # (seeds, N, features, …)
        columns = inputs.transpose(0, 1).reshape(count, seeds * rest[0], *rest[1:])
        if "num_batches_tracked" in own:
            own["num_batches_tracked"].add_(1)
        outputs = F.batch_norm(
            columns,
            flat("running_mean"),
            flat("running_var"),
            flat("weight"),
            flat("bias"),
            training=True,
            momentum=module.momentum,  # type: ignore[arg-type]
            eps=module.eps,
        )
        return outputs.reshape(count, seeds, *rest).transpose(0, 1)

    return run
