"""The contract that components declare, and whether two of them fit: decided before anything is imported or trained.

A contract is two small mappings, `needs` and `gives`. A value may be a parameter's name in braces, `"{resolution}"`:
it stands for what that parameter holds. A mapping `{"norm": ("batch",)}` is true while `norm` holds one of the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ganbench.errors import PluginError, suggest
from ganbench.rules import KEYS, Rule, parameter_in
from ganbench.terms import Choice, Component, Kind


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
    shape = several(dataset.give("shape"))
    dimensions = 3 if dataset.give("data") == "images" else 1
    if len(shape) != dimensions or not all(type(size) is int and size > 0 for size in shape):
        wanted = "positive integers (C, H, W)" if dimensions == 3 else "one positive integer (D,)"
        raise PluginError(f"dataset {choice}: `gives` states the shape {shape!r}, expected {wanted}")
    return shape


def holds(condition: object, choice: Choice) -> bool:
    """Whether what a contract states is true of the choice: True, or a mapping of parameters of which one holds."""
    return condition is True or bool(holding(condition, choice))


def holding(condition: object, choice: Choice) -> list[str]:
    """The settings, `norm=batch`, by which a mapping of parameters to values is true of the choice."""
    if not isinstance(condition, Mapping):
        return []
    return [f"{key}={choice.get(key)}" for key, values in condition.items() if choice.get(key) in several(values)]


def mixes_batch(component: Component, choice: Choice) -> bool:
    """Whether the discriminator's logit of one sample depends on the others in the batch."""
    return holds(Part(component, choice).give("mixes_batch"), choice)


def takes_labels(component: Component, choice: Choice) -> bool:
    """Whether the network is called with labels beside its input."""
    return holds(Part(component, choice).need("labels"), choice)


def takes_classes(component: Component) -> bool:
    """Whether the network, with some of its parameters, is told at its making how many classes there are."""
    return "labels" in component.needs or "classes" in component.needs


def needs_independent(objective: Iterable[Part]) -> bool:
    """Whether the loss or one of the penalties takes gradients that must be each sample's own."""
    return any(part.need("independent") for part in objective)


def adapt(component: Component, written: Choice) -> Choice:
    """`written` with the parameters that stop the discriminator from mixing the batch; those the user set stay."""
    own, stated = dict(written.parameters), component.gives.get("independent")
    advised = stated if isinstance(stated, Mapping) else {}
    missing = {key: value for key, value in advised.items() if key not in own}
    return written.with_parameters(**missing) if missing else written


def extractor_mismatch(extractor: Part, dataset: Part) -> str | None:
    """Why the extractor cannot look at the data set's images, in a sentence; None if it can."""
    if extractor.need("labels") and not dataset.give("classes", 0):
        return f"extractor {extractor} is trained on the data set's own classes, {dataset} has none"
    accepted = several(extractor.need("channels", ()))
    channels = shape_of(dataset.component, dataset.choice)[0]
    if not accepted or channels in accepted:
        return None
    expected = " or ".join(str(count) for count in accepted)
    return f"extractor {extractor} needs images with {expected} channels, {dataset} has {channels}"


def knows_classes(extractor: Part, dataset: Part) -> bool:
    """Whether the extractor's logits are those of the data set's own classes."""
    same_words = extractor.need("labels") or extractor.give("vocabulary", "") == dataset.give("vocabulary", "")
    classes = _classes_of(extractor, dataset)
    return bool(classes and classes == dataset.give("classes", 0) and same_words)


def _classes_of(extractor: Part, dataset: Part) -> int:
    """How many classes the extractor tells apart: the data set's, where it is trained on those."""
    return (dataset if extractor.need("labels") else extractor).give("classes", 0) or 0


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


def _metric_reasons(metric: Part, dataset: Part, extractor: Part | None) -> Iterator[str]:
    given, accepted = dataset.give("data"), several(metric.need("data", ()))
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
    if metric.need("logits") and not (_classes_of(extractor, dataset) or extractor.give("logits")):
        yield f"metric {metric} needs class logits, extractor {extractor} has none"
    if metric.need("classes") and not knows_classes(extractor, dataset):
        yield f"metric {metric} needs an extractor that knows the classes of {dataset}, {extractor} does not"


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


def several(stated: Any) -> tuple[Any, ...]:
    """What a contract states, as a tuple of it where it states one thing."""
    return tuple(stated) if isinstance(stated, tuple | list) else (stated,)
