"""The contract that components declare, and whether two of them fit: decided before anything is imported or trained.

A contract is two small mappings, `needs` and `gives`. A value may be a parameter's name in braces, `"{resolution}"`:
it stands for what that parameter holds. A mapping `{"norm": ("batch",)}` is true while `norm` holds one of the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ganbench.errors import PluginError, suggest
from ganbench.rules import DRIVERS, KEYS, Rule, parameter_in
from ganbench.terms import PACKING, Choice, Component, Faster, Kind, Training


@dataclass(frozen=True)
class Part:
    """A component together with the choice that asked for it: what contracts are checked on."""

    component: Component
    choice: Choice

    def need(self, key: str, default: Any = None) -> Any:
        """What the component needs under `key`, with parameters put in."""
        return _filled(self.component.needs.get(key, default), self)

    def give(self, key: str, default: Any = None) -> Any:
        """What the component gives under `key`, with parameters put in."""
        return _filled(self.component.gives.get(key, default), self)

    def __str__(self) -> str:
        return str(self.choice)


@dataclass(frozen=True)
class Combination:
    """What is to train together. `objective` is the loss, then its penalties."""

    dataset: Part
    generator: Part
    discriminator: Part
    objective: tuple[Part, ...]


def check_contract(kind: Kind, component: Component) -> None:
    """Nothing, if the contract can be read: known keys only, values that fit them, and what the kind must state.

    A data set states `data` and `shape`, a metric a measure for each of its scores. Raises PluginError that names the
    component and the key.
    """
    for side in ("needs", "gives"):
        for key, value in getattr(component, side).items():
            _check_item(f"{kind} {component.name}: `{side}`", KEYS[kind][side], key, value, names=True)
    missing = [key for key in ("data", "shape") if kind == "dataset" and key not in component.gives]
    if missing:
        raise PluginError(f"{kind} {component.name}: `gives` lacks '{missing[0]}'")
    if (kind == "metric") != bool(component.measures):
        problem = "states no measures: expected a Measure for each score"
        if kind != "metric":
            problem = f"states `measures`, which belong to metrics only: a {kind} has none"
        raise PluginError(f"{kind} {component.name}: {problem}")


def check_part(kind: Kind, part: Part) -> None:
    """Nothing, if the contract still makes sense with the parameters of the choice put in. Raises PluginError."""
    place = f"{kind} {part}"
    for key in part.component.needs:
        _check_item(f"{place}: `needs`", KEYS[kind]["needs"], key, part.need(key))
    for key in part.component.gives:
        _check_item(f"{place}: `gives`", KEYS[kind]["gives"], key, part.give(key))
    if kind == "dataset":
        shape_of(part.component, part.choice)


def shape_of(component: Component, choice: Choice) -> tuple[int, ...]:
    """The shape of one sample of a data set: (D,) or (C, H, W)."""
    dataset = Part(component, choice)
    shape = _several(dataset.give("shape"))
    dimensions = 3 if dataset.give("data") == "images" else 1
    if len(shape) != dimensions or not all(type(size) is int and size > 0 for size in shape):
        wanted = "positive integers (C, H, W)" if dimensions == 3 else "one positive integer (D,)"
        raise PluginError(f"dataset {choice}: `gives` states the shape {shape!r}, expected {wanted}")
    return shape


def mixes_batch(component: Component, choice: Choice) -> bool:
    """Whether the discriminator's logit of one sample depends on the others in the batch."""
    discriminator = Part(component, choice)
    return discriminator.give("mixes_batch") is True or bool(_mixing_settings(discriminator))


def needs_independent(objective: Iterable[Part]) -> bool:
    """Whether the loss or one of the penalties takes gradients that must be each sample's own."""
    return any(part.need("independent") for part in objective)


def adapt(component: Component, written: Choice) -> Choice:
    """`written` with the parameters that stop the discriminator from mixing the batch; those the user set stay."""
    own, stated = dict(written.parameters), component.gives.get("independent")
    advised = stated if isinstance(stated, Mapping) else {}
    missing = {key: value for key, value in advised.items() if key not in own}
    return written.with_parameters(**missing) if missing else written


def refused_drivers(combination: Combination) -> dict[Faster, str]:
    """For each faster driver that a part's contract leaves out, which part that is, in a sentence."""
    parts = [("generator", combination.generator), ("discriminator", combination.discriminator)]
    parts += [("penalty" if index else "loss", part) for index, part in enumerate(combination.objective)]
    refused: dict[Faster, str] = {}
    faster: tuple[Faster, ...] = ("vectorised", "graph")
    for role, part in parts:
        allowed = _several(part.need("driver", DRIVERS))
        for driver in (driver for driver in faster if driver not in allowed):
            refused.setdefault(driver, f"{role} {part} needs the driver {' or '.join(allowed)}")
    return refused


def incompatibility(combination: Combination, training: Training) -> str | None:
    """Why these cannot train together, in a sentence; None if they can."""
    return next(_reasons(combination, training), None)


def extractor_mismatch(extractor: Part, dataset: Part) -> str | None:
    """Why the extractor cannot look at the data set's images, in a sentence; None if it can."""
    if extractor.need("labels") and not dataset.give("classes", 0):
        return f"extractor {extractor} is trained on the data set's own classes, {dataset} has none"
    accepted = _several(extractor.need("channels", ()))
    channels = shape_of(dataset.component, dataset.choice)[0]
    if not accepted or channels in accepted:
        return None
    expected = " or ".join(str(count) for count in accepted)
    return f"extractor {extractor} needs images with {expected} channels, {dataset} has {channels}"


def metric_mismatch(metric: Part, dataset: Part, extractor: Part | None) -> str | None:
    """Why the metric does not apply to the data set, in a sentence; None if it does."""
    return next(_metric_reasons(metric, dataset, extractor), None)


def needs_extractor(metric: Part) -> bool:
    """Whether the metric looks at features or logits rather than at the samples themselves.

    One whose `features` are `"images"` does so for images, and takes points as they are.
    """
    return any(metric.need(key) for key in ("features", "classes", "logits"))


def _check_item(place: str, rules: Mapping[str, Rule], key: str, value: Any, *, names: bool = False) -> None:
    if key not in rules:
        raise PluginError(f"{place} has the unknown key '{key}'.{suggest(str(key), rules)}")
    if not rules[key].allows(value, names=names):
        otherwise = ", or a parameter's name in braces" if names else ""
        raise PluginError(f"{place} has {key}={value!r:.80}, expected {rules[key].expected}{otherwise}")


def _reasons(combination: Combination, training: Training) -> Iterator[str]:
    dataset, discriminator = combination.dataset, combination.discriminator
    yield from _data_reasons("generator", combination.generator, dataset)
    yield from _data_reasons("discriminator", discriminator, dataset)
    for index, part in enumerate(combination.objective):
        yield from _objective_reasons("penalty" if index else "loss", part, discriminator)
    packing = discriminator.choice.get(PACKING, 1)
    if isinstance(packing, int) and training.batch_size % packing:
        beside = f"batch_size {training.batch_size}"
        yield f"discriminator {discriminator} packs {packing} samples, which does not divide {beside}"
    if training.flips and dataset.give("data") != "images":
        yield f"training with flips needs images, {dataset} has {dataset.give('data')}"


def _data_reasons(role: str, part: Part, dataset: Part) -> Iterator[str]:
    given, accepted = dataset.give("data"), _several(part.need("data", ()))
    if accepted and given not in accepted:
        yield f"{role} {part} needs {' or '.join(accepted)}, {dataset} has {given}"
    elif given == "images":
        yield from _image_reasons(role, part, dataset)


def _image_reasons(role: str, part: Part, dataset: Part) -> Iterator[str]:
    shape = shape_of(dataset.component, dataset.choice)
    height, width = shape[-2:]
    if part.need("power_of_two") and (height != width or height & (height - 1)):
        yield f"{role} {part} needs square images whose side is a power of two, {dataset} is {height}×{width}"
    smallest = part.need("min_resolution", 0)
    if min(height, width) < smallest:
        yield f"{role} {part} needs images of at least {smallest}×{smallest}, {dataset} is {height}×{width}"


def _objective_reasons(role: str, part: Part, discriminator: Part) -> Iterator[str]:
    expected, given = part.need("logits"), discriminator.give("logits", "scalar")
    if expected and expected != given:
        yield f"{role} {part} needs {expected} logits, discriminator {discriminator} gives {given} logits"
    if part.need("independent") and mixes_batch(discriminator.component, discriminator.choice):
        settings = _mixing_settings(discriminator)
        cause = f" with {', '.join(settings)}" if settings else ""
        yield f"{role} {part} needs a discriminator that does not mix the batch, {discriminator} does{cause}"


def _metric_reasons(metric: Part, dataset: Part, extractor: Part | None) -> Iterator[str]:
    given, accepted = dataset.give("data"), _several(metric.need("data", ()))
    if accepted and given not in accepted:
        yield f"metric {metric} needs {' or '.join(accepted)}, {dataset} has {given}"
    if metric.need("modes") and not dataset.give("modes", 0):
        yield f"metric {metric} needs known modes, {dataset} has none"
    if metric.need("density") and not dataset.give("density"):
        yield f"metric {metric} needs a known density, {dataset} has none"
    if metric.need("labels") and not dataset.give("classes", 0):
        yield f"metric {metric} needs classes, {dataset} has none"
    if not needs_extractor(metric) or (metric.need("features") == "images" and given != "images"):
        return
    if extractor is None:
        yield f"metric {metric} needs a feature extractor, {dataset} has none"
        return
    trained = extractor.need("labels")
    classes = dataset.give("classes", 0) if trained else extractor.give("classes", 0)
    same_words = trained or extractor.give("vocabulary", "") == dataset.give("vocabulary", "")
    if metric.need("logits") and not (classes or extractor.give("logits")):
        yield f"metric {metric} needs class logits, extractor {extractor} has none"
    if metric.need("classes") and not (classes and classes == dataset.give("classes", 0) and same_words):
        yield f"metric {metric} needs an extractor that knows the classes of {dataset}, {extractor} does not"


def _mixing_settings(part: Part) -> list[str]:
    """The settings, `norm=batch`, by which the discriminator mixes the batch."""
    stated = part.component.gives.get("mixes_batch", {})
    if not isinstance(stated, Mapping):
        return []
    return [
        f"{key}={part.choice.get(key)}" for key, values in stated.items() if part.choice.get(key) in _several(values)
    ]


def _filled(stated: Any, part: Part) -> Any:
    """`stated` with every `"{parameter}"` replaced by what that parameter holds."""
    if isinstance(stated, tuple | list):
        return tuple(_filled(item, part) for item in stated)
    parameter = parameter_in(stated)
    if not parameter:
        return stated
    known = part.choice.all_parameters()
    if parameter not in known:
        raise PluginError(f"{part.component.name}: its contract names '{stated}'.{suggest(parameter, known)}")
    return known[parameter]


def _several(stated: Any) -> tuple[Any, ...]:
    return tuple(stated) if isinstance(stated, tuple | list) else (stated,)
