"""What a data set gave, checked against what its contract says: so that its mistakes are told as its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganbench.contracts import Part, shape_of
from ganbench.errors import PluginError
from ganbench.objective import blame
from ganbench.protocols import Data, Density, Modes
from ganbench.terms import Choice, Component

ROUNDING = 1e-6
"""How far from 1 the weights of modes may sum up to."""

Shape = tuple[int | str, ...]
"""A shape in which a letter stands for any size."""


def check_data(label: str, component: Component, choice: Choice, data: object) -> Data:
    """`data`, if they are all that the component's contract says of them; their density is checked whenever it is used.

    Raises PluginError that begins with `label`. Looks once at every point and label, and at no pixel.
    """
    if not isinstance(data, Data):
        raise PluginError(f"{label} gave a {type(data).__name__}, expected ganbench's Data")
    problem = next(_problems(Part(component, choice), data), None)
    if problem:
        raise PluginError(f"{label}: {problem}")
    if data.density is None:
        return data
    return replace(data, density=CheckedDensity(label, data.density, data.heldout.shape[1]))


@dataclass(frozen=True)
class CheckedDensity:
    """A data set's density of points of some `dimension`, whose mistakes bear the data set's label."""

    label: str
    density: Density
    dimension: int

    def log_prob(self, points: Tensor) -> Tensor:
        """The natural logarithm of the density, (N,) float64 and finite, at points (N, D)."""
        with blame(self.label):
            values = self.density.log_prob(points)
        return self._checked("log_prob", values, torch.float64, (len(points),), points.device.type)

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Independent points, (count, D) float32 and finite, drawn with `rng`."""
        with blame(self.label):
            points = self.density.sample(count, rng)
        return self._checked("sample", points, torch.float32, (count, self.dimension))

    def _checked(self, method: str, values: Tensor, dtype: torch.dtype, shape: Shape, device: str = "cpu") -> Tensor:
        name = f"what its density's `{method}` gave"
        problem = next(_tensor_problems(name, values, dtype, shape, device), None)
        if problem:
            raise PluginError(f"{self.label}: {problem}")
        return values


def _problems(part: Part, data: Data) -> Iterator[str]:
    """What is wrong, in sentences. Each may take for granted what those before it found nothing wrong with."""
    shape = shape_of(part.component, part.choice)
    dtype = torch.uint8 if len(shape) == 3 else torch.float32
    yield from _tensor_problems("train", data.train, dtype, ("N", *shape))
    yield from _tensor_problems("heldout", data.heldout, dtype, ("N", *shape))
    if not len(data.heldout):  # without training samples, data can be measured against
        yield f"heldout is {_described(data.heldout)}, expected at least one sample"
    yield from _split_problems(part, data)
    yield from _label_problems(part, data)
    yield from _presence_problems("modes", part.give("modes", 0), data.modes, "ganbench's Modes")
    yield from _presence_problems("density", part.give("density"), data.density, "a Density")
    if data.modes is not None or data.density is not None:
        yield from _knowledge_problems(part, data, shape)


def _tensor_problems(name: str, value: object, dtype: torch.dtype, shape: Shape, device: str = "cpu") -> Iterator[str]:
    if not isinstance(value, Tensor):
        yield f"{name} is a {type(value).__name__}, expected a tensor"
        return
    sizes = list(zip(value.shape, shape, strict=False))
    fits = value.ndim == len(shape) and all(isinstance(wanted, str) or size == wanted for size, wanted in sizes)
    if value.dtype != dtype or not fits:
        yield f"{name} is {_described(value)}, expected {dtype} of shape {_written(shape)}"
    if value.device.type != device:
        yield f"{name} lies on '{value.device}', expected '{device}'"
    if value.requires_grad:
        yield f"{name} requires gradients, expected a tensor that is detached"
    if value.is_floating_point() and not value.isfinite().all():
        yield f"{name} has {int((~value.isfinite()).sum())} numbers that are not finite, expected none"


def _split_problems(part: Part, data: Data) -> Iterator[str]:
    stated, came = part.give("splits"), (len(data.train), len(data.heldout))
    if stated is not None and tuple(stated) != came and not part.give("splits_vary"):
        yield f"train and heldout hold {came} samples, expected {tuple(stated)}: so `gives` states under splits"


def _label_problems(part: Part, data: Data) -> Iterator[str]:
    """Labels where classes are stated; those of other data may count what they like."""
    classes = part.give("classes", 0)
    splits = (("train", data.train, data.train_labels), ("heldout", data.heldout, data.heldout_labels))
    for name, samples, labels in splits:
        if labels is not None:
            yield from _tensor_problems(f"{name}_labels", labels, torch.int64, (len(samples),))
        if classes and len(samples):
            yield from _class_problems(f"{name}_labels", labels, classes)
    names: object = data.class_names
    if not isinstance(names, tuple) or not all(isinstance(word, str) for word in names):
        yield f"class_names is {names!r:.80}, expected a tuple of str"
    elif classes and len(names) not in {0, classes}:
        yield f"class_names has {len(names)} names, expected none or {classes}: `gives` states classes={classes}"


def _class_problems(name: str, labels: Tensor | None, classes: int) -> Iterator[str]:
    expected = f"expected 0 to {classes - 1}: `gives` states classes={classes}"
    if labels is None:
        yield f"{name} is None, {expected}"
        return
    lowest, highest = (int(bound) for bound in labels.aminmax())
    if lowest < 0 or highest >= classes:
        yield f"{name} has {lowest} to {highest}, {expected}"


def _presence_problems(name: str, stated: Any, given: object, form: str) -> Iterator[str]:
    if stated and given is None:
        yield f"{name} is None, expected {form}: `gives` states {name}={stated!r}"
    if given is not None and not stated:
        yield f"{name} is a {type(given).__name__}, expected None: `gives` states no {name}"


def _knowledge_problems(part: Part, data: Data, shape: tuple[int, ...]) -> Iterator[str]:
    """What is wrong with what is known of the points' density."""
    if len(shape) == 3:
        yield "modes or a density of images came, expected them of points only"
        return
    if data.modes is not None:
        yield from _mode_problems(data.modes, part.give("modes"), shape[0])
    for method in ("log_prob", "sample"):
        if data.density is not None and not callable(getattr(data.density, method, None)):
            yield f"density is a {type(data.density).__name__} without the method `{method}`, expected a Density"


def _mode_problems(modes: object, stated: int | bool, dimension: int) -> Iterator[str]:
    if not isinstance(modes, Modes):
        yield f"modes is a {type(modes).__name__}, expected ganbench's Modes"
        return
    yield from _tensor_problems("modes.centres", modes.centres, torch.float64, ("K", dimension))
    count = len(modes.centres)
    if stated is not True and count != stated:
        yield f"modes.centres has {count} modes, expected {stated}: so `gives` states under modes"
    for name, values in (("modes.deviations", modes.deviations), ("modes.weights", modes.weights)):
        yield from _tensor_problems(name, values, torch.float64, (count,))
        if not (values > 0).all():
            yield f"{name} has the number {values.min().item():g}, expected numbers above 0"
    total = modes.weights.sum().item()
    if abs(total - 1) > ROUNDING:
        yield f"modes.weights sum up to {total:.9g}, expected 1"


def _described(value: Tensor) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}"


def _written(shape: Shape) -> str:
    """`(N, 2)` or `(N,)`."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
