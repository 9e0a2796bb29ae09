"""Checks of how generators and discriminators compute: gradients, random numbers, host reads, what they keep."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ganbench.conformance.devices import one_device
from ganbench.conformance.findings import Breach, given_by
from ganbench.conformance.network_checks import judge
from ganbench.conformance.networks import Built, build, called, each, smallest
from ganbench.conformance.subjects import Subject
from ganbench.conformance.watching import finite, no_global_draw, no_host_read, unchanged
from ganbench.contracts import holds
from ganbench.seeding import stream

DIRECTIONS = 3
"""Along how many the second derivative is compared with a difference quotient."""


def check_inputs(subject: Subject) -> None:
    """The input is left as it was."""
    each(subject, smallest(subject), _check_inputs)


def _check_inputs(built: Built) -> None:
    inputs = built.inputs()
    with torch.no_grad(), unchanged(input=inputs):
        built.call(inputs, built.labels())


def check_gradients(subject: Subject) -> None:
    """Finite gradients to every parameter, and to the input."""
    each(subject, smallest(subject), _check_gradients)


def _check_gradients(built: Built) -> None:
    network, inputs = copy.deepcopy(built.network), built.inputs().requires_grad_()
    answer = everything(built, network, inputs, built.labels())
    named = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    gradients: Sequence[Tensor | None] = torch.autograd.grad(answer, [inputs, *named.values()], allow_unused=True)
    unused = [name for name, slope in zip(("the input", *named), gradients, strict=True) if slope is None]
    if unused:
        raise Breach(
            f"no gradient reaches {', '.join(unused[:5])}",
            "a gradient to every parameter",
            "use it in forward (for a head: in judge), do not detach it, or do not make it a Parameter",
        )
    for name, slope in zip(("the input", *named), gradients, strict=True):
        assert slope is not None  # or it would be among the unused
        finite(f"the gradient of {name}", slope)


def everything(built: Built, network: nn.Module, inputs: Tensor, labels: Tensor | None) -> Tensor:
    """A number that all that the network gives counts in: of a discriminator with heads, each of them."""
    heads = built.subject.component.gives.get("heads", {})
    if not any(holds(when, built.subject.choice) for when in heads.values()):
        return called(network, inputs, labels).square().sum()
    judged = judge(network, inputs, labels)
    return torch.stack([head.square().sum() for head in judged.values()]).sum()


def check_random(subject: Subject) -> None:
    """The same input, the same bits; weights from torch's global generator alone."""
    each(subject, smallest(subject), _check_random)


def _check_random(built: Built) -> None:
    again = build(built.subject, built.shape).network.state_dict()
    mine = built.network.state_dict()
    different = [name for name, value in mine.items() if not torch.equal(value, again[name])]
    if different:
        raise Breach(
            f"built twice from one seed, these differ: {', '.join(different[:5])}",
            "initial weights from torch's global generator alone",
            "initialise with torch.nn.init, not with NumPy's or Python's random numbers",
        )
    inputs, labels = built.inputs(), built.labels()
    network = copy.deepcopy(built.network).eval()
    with torch.no_grad(), no_global_draw("in evaluation mode, take noise from a buffer"):
        network(inputs) if labels is None else network(inputs, labels)
    with torch.no_grad():
        first, second = built.call(inputs, labels), built.call(inputs, labels)
    if not torch.equal(first, second):
        raise Breach(
            "with the same weights, input and seed, two calls give other numbers",
            "the same bits",
            "draw with torch only, and keep no state outside of parameters and buffers",
        )


def check_host(subject: Subject) -> None:
    """No host reads in a pass forward and back."""
    each(subject, smallest(subject), _check_host)


def _check_host(built: Built) -> None:
    network, inputs = copy.deepcopy(built.network), built.inputs().requires_grad_()
    with no_host_read():
        everything(built, network, inputs, built.labels()).backward()  # type: ignore[no-untyped-call]


def check_device(subject: Subject) -> None:
    """All that is computed with lies on the device of the input, as far as can be told without a GPU."""
    each(subject, smallest(subject), _check_device)


def _check_device(built: Built) -> None:
    network, inputs, labels = copy.deepcopy(built.network), built.inputs(), built.labels()
    with torch.no_grad(), given_by("forward"), one_device(built.subject.file, network) as watched:
        watched.expect_here(answer=everything(built, network, inputs, labels))


def check_double_backward(subject: Subject) -> None:
    """The gradient of a gradient penalty, against the difference quotient along a random direction."""
    each(subject, smallest(subject), _check_double_backward)


def _check_double_backward(built: Built) -> None:
    network, samples = copy.deepcopy(built.network).double().eval(), built.inputs(dtype=torch.float64)
    weights = [weight for weight in network.parameters() if weight.requires_grad]

    def steepness() -> Tensor:
        inputs = samples.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(called(network, inputs, built.labels()).sum(), inputs, create_graph=True)
        return slopes.square().sum()

    gradients = torch.autograd.grad(steepness(), weights, allow_unused=True)
    pairs = [_derivatives(weights, gradients, steepness, seed) for seed in range(DIRECTIONS)]
    # One that fits is enough: the slope of a ReLU jumps, and a difference quotient across a jump means nothing.
    if not any(abs(exact - numeric) <= 1e-3 * max(abs(exact), abs(numeric)) + 1e-10 for exact, numeric in pairs):
        exact, numeric = pairs[0]
        raise Breach(
            f"along a random direction the gradient of a gradient penalty is {exact:.6g}, numerically {numeric:.6g}",
            "both alike: penalties on the critic's gradient need to be differentiated again",
            "use operations that torch can differentiate twice; a torch.autograd.Function needs a double backward",
        )


def _derivatives(
    weights: list[nn.Parameter], gradients: Sequence[Tensor | None], value: Callable[[], Tensor], seed: int
) -> tuple[float, float]:
    """The derivative along a random direction, by the gradients and by a difference quotient."""
    rng = stream(seed, "conformance directions")
    directions = [torch.randn(weight.shape, dtype=weight.dtype, generator=rng) for weight in weights]
    pairs = [(slope, way) for slope, way in zip(gradients, directions, strict=True) if slope is not None]
    exact = sum(float((slope * way).sum()) for slope, way in pairs)
    return exact, _quotient(weights, directions, lambda: float(value().detach()))


@torch.no_grad()
def _shift(weights: list[nn.Parameter], directions: list[Tensor], by: float) -> None:
    for weight, way in zip(weights, directions, strict=True):
        weight.add_(way, alpha=by)


def _quotient(weights: list[nn.Parameter], directions: list[Tensor], value: Callable[[], float]) -> float:
    step = 1e-8
    _shift(weights, directions, step)
    above = value()
    _shift(weights, directions, -2 * step)
    below = value()
    _shift(weights, directions, step)
    return (above - below) / (2 * step)


def check_state(subject: Subject) -> None:
    """What a state_dict holds is all that there is: loaded into another network, and in a copy."""
    each(subject, smallest(subject), _check_state)


def _check_state(built: Built) -> None:
    network, inputs, labels = built.network, built.inputs(), built.labels()
    with torch.no_grad():
        called(network, inputs, labels)  # so that buffers have moved
        expected = called(copy.deepcopy(network).eval(), inputs, labels)
        other = build(built.subject, built.shape, seed=1).network
        other.load_state_dict(copy.deepcopy(network.state_dict()))
        found = {"another network with its state_dict": other.eval(), "its deepcopy": copy.deepcopy(network).eval()}
        for name, twin in found.items():
            if not torch.equal(called(twin, inputs, labels), expected):
                raise Breach(
                    f"{name} gives other numbers than the network itself",
                    "the same bits: a checkpoint is its state_dict",
                    "keep all that changes, and all that is drawn, in parameters and register_buffer",
                )
