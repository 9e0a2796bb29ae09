"""Checks of augmentations: shapes, each sample by itself, gradients, random numbers, what they remember."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganbench.conformance.devices import one_device
from ganbench.conformance.findings import Breach, given_by
from ganbench.conformance.games import COUNT, MEMORIES
from ganbench.conformance.networks import Shape, shapes
from ganbench.conformance.subjects import Subject
from ganbench.conformance.watching import finite, no_global_draw, no_host_read, unchanged
from ganbench.objective import remembered
from ganbench.seeding import global_stream, stream
from ganbench.survey import attributes

CHANGED = 2


@dataclass(frozen=True)
class _Tried:
    """An augmentation with samples of one shape."""

    augmentation: Any
    label: str
    shape: Shape
    memory: float | None

    def samples(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Samples as the discriminator sees them."""
        drawn = torch.randn((COUNT, *self.shape), generator=stream(seed, "conformance inputs"), dtype=dtype)
        return drawn.tanh() if len(self.shape) == 3 else drawn

    def remembered(self) -> dict[str, Tensor]:
        """What it starts with, or the same number in every place."""
        starts = remembered(self.label, self.augmentation)
        return {name: torch.tensor(start if self.memory is None else self.memory) for name, start in starts.items()}

    def call(self, samples: Tensor) -> Tensor:
        """The samples changed, with the same random numbers every time."""
        with global_stream(0, "conformance"):
            return self.bare(samples)

    def bare(self, samples: Tensor) -> Tensor:
        """The same, as it is."""
        changed: Tensor = self.augmentation(samples, stream(0, "conformance augmentation"), self.remembered())
        return changed


def _each(subject: Subject, check: Callable[[_Tried], None], *, every: bool = False) -> None:
    """The check on points and images as the contract allows, with each memory."""
    found = shapes(subject)
    chosen = found if every else [*found[:1], *[shape for shape in found if len(shape) == 3][:2]]
    workshop = subject.ground.workshop
    for shape in dict.fromkeys(chosen):
        for memory in MEMORIES:
            augmentation = workshop.make(subject.kind, subject.choice)
            check(_Tried(augmentation, workshop.label(subject.kind, subject.choice), shape, memory))


def check_shapes(subject: Subject) -> None:
    """The shape and type that came, finite, for all that the contract allows."""
    _each(subject, _check_shape, every=True)


def _check_shape(tried: _Tried) -> None:
    for dtype in (torch.float32, torch.float64):
        samples = tried.samples(dtype=dtype)
        changed: object = tried.call(samples)
        if not isinstance(changed, Tensor) or changed.shape != samples.shape or changed.dtype != dtype:
            came = (
                f"{changed.dtype} of shape {tuple(changed.shape)}"
                if isinstance(changed, Tensor)
                else f"{changed!r:.60}"
            )
            raise Breach(
                f"given {dtype} of shape {tuple(samples.shape)}, it gives {came}",
                "the same shape and type",
                "make new tensors with `dtype=samples.dtype` and `device=samples.device`",
                method="__call__",
            )
        finite("what it gives", changed)


def check_inputs(subject: Subject) -> None:
    """The samples are left as they were."""

    def check(tried: _Tried) -> None:
        samples = tried.samples()
        with unchanged(samples=samples):
            tried.call(samples)

    _each(subject, check)


def check_gradients(subject: Subject) -> None:
    """Finite gradients reach the samples: the generator learns through it."""
    _each(subject, _check_gradients)


def _check_gradients(tried: _Tried) -> None:
    samples = tried.samples().requires_grad_()
    changed = tried.call(samples)
    slopes = (
        torch.autograd.grad(changed.square().sum(), samples, allow_unused=True)[0] if changed.requires_grad else None
    )
    if slopes is None or not slopes.any():
        raise Breach(
            "no gradient reaches the samples",
            "an augmentation that is differentiable in the samples: the generator learns through it",
            "no detach, no uint8, no rounding of pixels",
            method="__call__",
        )
    finite("the gradient of the samples", slopes)


def check_per_sample(subject: Subject) -> None:
    """Changing a sample changes it alone."""
    _each(subject, _check_per_sample)


def _check_per_sample(tried: _Tried) -> None:
    samples = tried.samples(dtype=torch.float64)
    other = samples.clone()
    other[CHANGED] = tried.samples(seed=1, dtype=torch.float64)[CHANGED]
    changes = (tried.call(other) - tried.call(samples)).flatten(1).abs().amax(1)  # (N,)
    others = float(changes[torch.arange(COUNT) != CHANGED].max())
    if others > 1e-9:
        raise Breach(
            f"changing sample {CHANGED} changes what others become, by up to {others:.2g}",
            "each sample to be changed by itself",
            "means and sizes of each sample alone: dim=(1, 2, 3), not of the batch",
            method="__call__",
        )


def check_random(subject: Subject) -> None:
    """The same `rng`, the same bits; nothing drawn from global random numbers."""
    _each(subject, _check_random)


def _check_random(tried: _Tried) -> None:
    samples = tried.samples()
    with no_global_draw():
        tried.bare(samples)
    if not torch.equal(tried.call(samples), tried.call(samples)):
        raise Breach("the same `rng` gives other numbers", "the same bits", "draw from `rng` alone")


def check_memory(subject: Subject) -> None:
    """Nothing kept on the object itself; `adapt` keeps to the names in `remembers`, each a scalar."""
    _each(subject, _check_memory)


def _check_memory(tried: _Tried) -> None:
    before = attributes(tried.augmentation)
    tried.call(tried.samples())
    memory = tried.remembered()
    known = set(memory)
    if hasattr(tried.augmentation, "adapt"):
        tried.augmentation.adapt(torch.linspace(-1, 2, COUNT), memory)
    odd = [name for name, value in memory.items() if name not in known or tuple(value.shape) != ()]
    if odd:
        raise Breach(
            f"memory holds '{odd[0]}' of shape {tuple(memory[odd[0]].shape)}",
            "the names that `remembers` states, each a tensor of shape ()",
            "state the name and its first value in `remembers`; assign a mean, not a batch",
        )
    changed = [name for name, value in attributes(tried.augmentation).items() if before.get(name) != value]
    if changed:
        raise Breach(
            f"its attribute `{changed[0]}` changes from call to call",
            "an object that stays as it was built: seeds may share it",
            "state `remembers`, and assign `memory[...]` in `adapt`",
        )


def check_host(subject: Subject) -> None:
    """No host reads, in `adapt` neither."""

    def check(tried: _Tried) -> None:
        samples, memory, rng = (
            tried.samples().requires_grad_(),
            tried.remembered(),
            stream(0, "conformance augmentation"),
        )
        logits = torch.linspace(-1, 2, COUNT)
        with no_host_read():
            tried.augmentation(samples, rng, memory).square().sum().backward()
            if hasattr(tried.augmentation, "adapt"):
                tried.augmentation.adapt(logits, memory)

    _each(subject, check)


def check_device(subject: Subject) -> None:
    """All that is computed with lies on the device of the samples, as far as can be told without a GPU."""

    def check(tried: _Tried) -> None:
        samples, memory, rng = tried.samples(), tried.remembered(), stream(0, "conformance augmentation")
        logits = torch.linspace(-1, 2, COUNT)
        with given_by("__call__"), one_device(subject.file, tried.augmentation) as watched:
            watched.expect_here(samples=tried.augmentation(samples, rng, memory))
            if hasattr(tried.augmentation, "adapt"):
                tried.augmentation.adapt(logits, memory)

    _each(subject, check)
