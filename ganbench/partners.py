"""What a component can be used with: found by holding its contract against those of everything that is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from ganbench.choices import resolve
from ganbench.compatibility import Combination, incompatibility
from ganbench.contracts import (
    Part,
    adapt,
    extractor_mismatch,
    holds,
    metric_mismatch,
    mixes_batch,
    needs_independent,
    several,
    shape_of,
)
from ganbench.errors import ChoiceError, PluginError
from ganbench.plugins import Offer, Registry
from ganbench.rules import parameter_in
from ganbench.terms import Choice, Kind, Training, Value

SEVERAL_OUTPUTS = 16
"""What a discriminator's number of outputs is set to, where a loss wants vectors."""

Partners = Mapping[Kind, tuple[str, ...]]
"""By kind, the components that fit, each as a suite would write it."""

Roles = Mapping[Kind, Part]
_TRAINING: tuple[Kind, ...] = ("dataset", "generator", "discriminator", "loss")
_ADDED: tuple[Kind, ...] = ("penalty", "augmentation", "method")


def partners(registry: Registry, offer: Offer) -> Partners:
    """What fits the component: data sets, networks and losses, or metrics. Nothing for what goes with everything."""
    installed = _Installed(registry)
    own = installed.varieties(offer)
    find = _FINDERS.get(offer.kind)
    return find(installed, offer.kind, own) if find and own else {}


@dataclass(frozen=True)
class _Installed:
    """Every component as contracts are read: by its defaults, and with the settings that its contract speaks of."""

    registry: Registry
    _kept: dict[Kind, list[Part]] = field(default_factory=dict)

    def parts(self, kind: Kind) -> list[Part]:
        """The varieties of all components of the kind that have a default for each parameter."""
        if kind not in self._kept:
            offers = [offer for offer in self.registry.offers if offer.kind == kind]
            self._kept[kind] = [part for offer in offers for part in self.varieties(offer)]
        return self._kept[kind]

    def varieties(self, offer: Offer) -> list[Part]:
        """The component by its defaults, then with other settings; none where it needs one or cannot be read."""
        written = Choice(offer.component.name, owner=offer.owner if self._shared(offer) else "")
        try:
            plain = self._part(offer, written)
            settings = list(_settings(plain, self._codes() if offer.kind != "loss" else ()))
            return [plain, *(self._part(offer, written.with_parameters(**setting)) for setting in settings)]
        except (ChoiceError, PluginError):
            return []

    def _part(self, offer: Offer, written: Choice) -> Part:
        part = Part(offer.component, resolve(self.registry, offer.kind, written))
        _contract(part)  # raises for a contract that names a parameter that is not there
        return part

    def _shared(self, offer: Offer) -> bool:
        same = [item for item in self.registry.offers if item.kind == offer.kind]
        return sum(item.component.name == offer.component.name for item in same) > 1

    def _codes(self) -> set[tuple[int, ...]]:
        """The latent codes that losses ask for."""
        return {tuple(part.need("codes")) for part in self.parts("loss") if "codes" in part.component.needs}


def _settings(part: Part, codes: Iterable[Sequence[int]]) -> Iterator[Mapping[str, Value]]:
    """The settings that part a component's contract: values under which it states something else."""
    needs, gives = part.component.needs, part.component.gives
    conditions = [needs.get("labels"), needs.get("classes"), gives.get("mixes_batch")]
    stated = map(_mapping, (*conditions, *_mapping(gives.get("heads")).values()))
    values = {(key, value) for condition in stated for key, held in condition.items() for value in several(held)}
    known = part.choice.all_parameters()
    yield from ({key: value} for key, value in sorted(values, key=repr) if key in known and known[key] != value)
    if outputs := parameter_in(gives.get("outputs")):
        yield {outputs: SEVERAL_OUTPUTS}
    names = [parameter_in(item) for item in several(gives.get("codes", ()))]
    if names and all(names):
        yield from (dict(zip(names, wanted, strict=True)) for wanted in codes)


def _mapping(stated: Any) -> Mapping[str, Any]:
    return stated if isinstance(stated, Mapping) else {}


def _contract(part: Part) -> str:
    """All that decides what the part fits, parameters put in and conditions decided."""
    component = part.component
    if "shape" in component.gives:
        return repr((part.give("data"), shape_of(component, part.choice), bool(part.give("classes", 0))))
    heads = {head: holds(condition, part.choice) for head, condition in _mapping(component.gives.get("heads")).items()}
    stated = [
        (key, holds(value, part.choice) if isinstance(value, Mapping) else read(key))
        for side, read in ((component.needs, part.need), (component.gives, part.give))
        for key, value in side.items()
        if key not in ("heads", "independent") or side is component.needs
    ]
    return repr((stated, heads, mixes_batch(component, adapt(component, part.choice))))


def _trained_with(installed: _Installed, kind: Kind, own: Sequence[Part]) -> Partners:
    """What trains together with a network or with a part of an objective, or on a data set."""
    told = [role for role in _TRAINING if role != kind and not (role == "loss" and _stands_alone(own[0]))]
    parts = {role: installed.parts(role) for role in told}
    classes = [_classes(role, parts[role]) for role in told]
    fitting: set[tuple[Kind, str]] = set()
    for *others, mine in product(*classes, _classes(kind, own)):
        new = {key for key, _ in others} - fitting
        if new and _trains({key[0]: part for key, part in (*others, mine)}):
            fitting |= new
    return {role: _names(part for part in parts[role] if (role, _contract(part)) in fitting) for role in told}


def _classes(kind: Kind, parts: Sequence[Part]) -> list[tuple[tuple[Kind, str], Part]]:
    """One part of each contract: what holds for it holds for all."""
    return [((kind, contract), part) for contract, part in {_contract(part): part for part in parts}.items()]


def _stands_alone(part: Part) -> bool:
    return bool(part.component.gives.get("alone"))


def _trains(roles: Roles) -> bool:
    objective = tuple(roles[kind] for kind in ("loss", "penalty") if kind in roles)
    judge = roles["discriminator"]
    if needs_independent(objective) and mixes_batch(judge.component, judge.choice):
        judge = Part(judge.component, adapt(judge.component, judge.choice))
    added = (roles.get("augmentation"), roles.get("method"))
    return incompatibility(Combination(roles["dataset"], roles["generator"], judge, objective, *added), _PLAIN) is None


_PLAIN = Training()


def _names(parts: Iterable[Part]) -> tuple[str, ...]:
    """How a suite would write them; of several varieties of a component, the first."""
    first: dict[tuple[str, str], Part] = {}
    for part in parts:
        first.setdefault((part.choice.owner, part.choice.name), part)
    return tuple(sorted(map(str, first.values())))


def _of_dataset(installed: _Installed, kind: Kind, own: Sequence[Part]) -> Partners:
    """What trains on the data set, and what measures it."""
    measured = [part for part in installed.parts("metric") if _measures(installed, part, own[0])]
    return {**_trained_with(installed, kind, own), "metric": _names(measured)}


def _of_metric(installed: _Installed, kind: Kind, own: Sequence[Part]) -> Partners:
    return {"dataset": _names(part for part in installed.parts("dataset") if _measures(installed, own[0], part))}


def _measures(installed: _Installed, metric: Part, dataset: Part) -> bool:
    """Whether the metric applies to the data set, with the extractor that the data set names."""
    named = [part for part in installed.parts("extractor") if part.choice.name == dataset.give("extractor", "")]
    return metric_mismatch(metric, dataset, named[0] if named else None) is None


def _of_extractor(installed: _Installed, kind: Kind, own: Sequence[Part]) -> Partners:
    images = [part for part in installed.parts("dataset") if part.give("data") == "images"]
    return {"dataset": _names(part for part in images if extractor_mismatch(own[0], part) is None)}


_FINDERS: Mapping[Kind, Callable[[_Installed, Kind, Sequence[Part]], Partners]] = {
    **dict.fromkeys(("generator", "discriminator", "loss", *_ADDED), _trained_with),
    "dataset": _of_dataset,
    "metric": _of_metric,
    "extractor": _of_extractor,
}
