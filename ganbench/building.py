"""From a trial's choices to working parts: data, networks, objective, engine and evaluator."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

import ganbench
from ganbench.batches import Batches
from ganbench.casts import Cast
from ganbench.contracts import Part, knows_classes
from ganbench.drivers import Driver
from ganbench.environment import PACKAGES, package_version
from ganbench.errors import DataError, PluginError
from ganbench.graphs import CapturedStep
from ganbench.group import Together
from ganbench.methods import MethodEngine
from ganbench.metrics import Evaluator, Labelled
from ganbench.networks import build_discriminator, build_generator, build_players
from ganbench.objective import Objective, blame, described
from ganbench.players import Players, averaged
from ganbench.plugins import Offer, Registry
from ganbench.protocols import Data, Extractor, Method, Places
from ganbench.seeding import global_stream
from ganbench.solo import Solo
from ganbench.stacking import NotTogether
from ganbench.stepping import Stepper
from ganbench.terms import Choice, Component, Evaluation, Job, Kind, Trial
from ganbench.training import Engine
from ganbench.workshop import Workshop, load_data, open_workshop


def prepare(registry: Registry, places: Places, device: str, job: Job) -> None:
    """Do once what each job like this one begins with, for what it leaves behind: files, features, or the error."""
    workshop = open_workshop(registry, places, device)
    data = load_data(workshop, job.dataset)
    if isinstance(job, Trial):
        require_training_samples(job.dataset, data)
    build_evaluator(workshop, data, job.dataset, job.evaluation)


def require_training_samples(dataset: Choice, data: Data) -> None:
    """Nothing, if there are samples to train on. Raises DataError otherwise."""
    if not len(data.train):
        raise DataError(f"{dataset}: all {len(data.heldout)} samples are held out, so there is none to train on")


def load_extractor(workshop: Workshop, choice: Choice, data: Data) -> Extractor:
    """The extractor, trained on the data where it is one of those that are. Raises PluginError for anything else."""
    component = workshop.registry.find("extractor", choice).component
    extra = (data,) if component.needs.get("labels") else ()
    label = workshop.label("extractor", choice)
    extractor = workshop.make("extractor", choice, workshop.places, *extra)
    if not isinstance(extractor, Extractor):
        raise PluginError(f"{label} gave a {type(extractor).__name__}, expected ganbench's Extractor")
    return _checked_extractor(label, component, extractor, data)


def _checked_extractor(label: str, component: Component, extractor: Extractor, data: Data) -> Extractor:
    """The extractor with what the core knows of it. Raises PluginError where it is not what was declared."""
    expected: dict[str, Callable[[Any], bool]] = {
        "module": lambda value: isinstance(value, nn.Module),
        "tag": lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_]+", value) is not None,
        "weights_sha256": lambda value: isinstance(value, str),
        "layer": lambda value: isinstance(value, str) and bool(value),
        "dimension": lambda value: type(value) is int and value > 0,
        "logits_layer": lambda value: isinstance(value, str),
    }
    for name, fits in expected.items():
        value = getattr(extractor, name)
        if not fits(value):
            raise PluginError(f"{label}: its {name} is {value!r:.60}, expected {_WANTED[name]}")
    trained = component.needs.get("labels")
    classes = (len(data.class_names) if trained else component.gives.get("classes", 0)) or 0
    if (trained or classes or component.gives.get("logits")) and not extractor.logits_layer:
        raise PluginError(f"{label}: it was declared to have class logits, and names no logits_layer")
    return replace(extractor, classes=classes, label=label)


_WANTED = {
    "module": "a torch.nn.Module",
    "tag": "letters, digits and '_'",
    "weights_sha256": "a string",
    "layer": "the name of a layer",
    "dimension": "an integer above 0",
    "logits_layer": "the name of a layer, or an empty string",
}


def build_evaluator(workshop: Workshop, data: Data, dataset: Choice, evaluation: Evaluation) -> Evaluator:
    """The metrics with the real side of every comparison already extracted."""
    chosen = evaluation.extractor
    return Evaluator(
        data,
        build_metrics(workshop, evaluation.metrics),
        load_extractor(workshop, chosen, data) if chosen else None,
        evaluation.samples,
        workshop.device,
        training=need_training(workshop, evaluation.metrics),
        identity=_identity(workshop, dataset, chosen),
        class_names=_names_known(workshop, data, dataset, chosen),
    )


def _names_known(workshop: Workshop, data: Data, dataset: Choice, extractor: Choice | None) -> tuple[str, ...]:
    """What the data's classes are called, where the extractor tells those apart; their numbers where they have none."""
    if extractor is None:
        return ()
    classifier = Part(workshop.registry.find("extractor", extractor).component, extractor)
    classified = Part(workshop.registry.find("dataset", dataset).component, dataset)
    if not knows_classes(classifier, classified):
        return ()
    return data.class_names or tuple(str(number) for number in range(classified.give("classes", 0)))


def build_metrics(workshop: Workshop, metrics: Sequence[Choice]) -> list[Labelled]:
    """The metrics, each with its owner's name and with what it declared."""
    offers = [workshop.registry.find("metric", choice) for choice in metrics]
    return [
        Labelled(
            workshop.label("metric", choice),
            workshop.make("metric", choice),
            offer.component.measures,
            _scope(offer, choice),
        )
        for choice, offer in zip(metrics, offers, strict=True)
    ]


def _scope(offer: Offer, choice: Choice) -> str:
    """What tells a metric's statistics from another plugin's: nothing for ganbench's own, whose names say all."""
    return f"{offer.code}: {choice}" if offer.code else ""


def need_training(workshop: Workshop, metrics: Sequence[Choice]) -> bool:
    """Whether one of the metrics looks at features of the training split."""
    return any(workshop.registry.find("metric", choice).component.needs.get("training") for choice in metrics)


def _identity(workshop: Workshop, dataset: Choice, extractor: Choice | None) -> dict[str, Any]:
    """What besides the samples decides what is computed from them: the code, and what it was asked for."""
    asked: dict[str, str] = {}
    kinds: tuple[tuple[Kind, Choice | None], ...] = (("dataset", dataset), ("extractor", extractor))
    for kind, choice in kinds:
        if choice is not None:
            offer = workshop.registry.find(kind, choice)
            asked[kind] = f"{choice} of {offer.code or offer.version}"
    return {**asked, "ganbench": ganbench.__version__, **{name: package_version(name) for name in PACKAGES}}


def build_objective(workshop: Workshop, trial: Trial) -> Objective | None:
    """The loss with its penalties and its augmentation, or None where a method stands alone."""
    variant = trial.variant
    if variant.loss is None:
        return None
    augmentation = variant.augmentation
    return Objective(
        workshop.make("loss", variant.loss),
        tuple(workshop.make("penalty", choice) for choice in variant.penalties),
        workshop.label("loss", variant.loss),
        tuple(workshop.label("penalty", choice) for choice in variant.penalties),
        workshop.make("augmentation", augmentation) if augmentation else None,
        workshop.label("augmentation", augmentation) if augmentation else "",
    )


def build_engine(workshop: Workshop, trial: Trial, data: Data, driver: Driver = Driver()) -> Stepper:
    """A trial ready for its first step. Two engines of the same trial do the same."""
    shape = tuple(data.train.shape[1:])
    if trial.variant.method is not None:
        return _method_engine(workshop, trial, trial.variant.method, data, shape)
    players = build_players(workshop, trial, shape)
    return _engine(workshop, [trial], data, Solo(players, trial.seed, trial.training.precision), driver)


def _method_engine(
    workshop: Workshop, trial: Trial, choice: Choice, data: Data, shape: tuple[int, ...]
) -> MethodEngine:
    label = workshop.label("method", choice)
    method: Method = workshop.make("method", choice)
    generator = build_generator(workshop, trial, shape)
    make = partial(build_discriminator, workshop, trial)
    with global_stream(trial.seed, "discriminator"), blame(label):
        beside = dict(method.networks(make, trial.training.latent_dim, shape))
        turns = tuple(method.turns())
    for name, network in beside.items():
        if not isinstance(network, nn.Module):
            raise PluginError(f"{label}: its network '{name}' is {described(network)}, expected a torch.nn.Module")
    networks = {name: network.to(workshop.device) for name, network in {"generator": generator, **beside}.items()}
    labels = (workshop.label("generator", trial.variant.generator), label)
    others = nn.ModuleDict({name: network for name, network in networks.items() if name != "generator"})
    average = None if trial.training.ema_half_life_kimg is None else averaged(networks["generator"])
    players = Players(networks["generator"], others, average, shape, 1, 1, frozenset(), *labels)
    cast = Solo(players, trial.seed, trial.training.precision)
    return MethodEngine(
        cast,
        networks,
        turns,
        build_objective(workshop, trial),
        _batches(workshop, [trial], data, together=False),
        trial.training,
        label=label,
        seed=trial.seed,
    )


def build_group(workshop: Workshop, trials: Sequence[Trial], data: Data, driver: Driver) -> Engine:
    """Trials that differ in their seeds alone, ready to train together. Raises NotTogether where they cannot."""
    shape = tuple(data.train.shape[1:])
    players = [build_players(workshop, trial, shape) for trial in trials]
    seeds = [trial.seed for trial in trials]
    return _engine(workshop, trials, data, Together(players, seeds, trials[0].training.precision), driver)


def _engine(workshop: Workshop, trials: Sequence[Trial], data: Data, cast: Cast, driver: Driver) -> Engine:
    captured = driver.captured and workshop.device.type == "cuda"
    objective = build_objective(workshop, trials[0])
    if objective is None:
        raise NotTogether("its method has a step of its own")
    batches = _batches(workshop, trials, data, together=cast.together)
    engine = Engine(cast, objective, batches, trials[0].training, captured=captured)
    if captured:
        engine.capture(CapturedStep)
    return engine


def _batches(workshop: Workshop, trials: Sequence[Trial], data: Data, *, together: bool) -> Batches:
    training, device = trials[0].training, workshop.device
    labels = None if data.train_labels is None else data.train_labels.to(device)
    seeds = [trial.seed for trial in trials]
    return Batches(data.train.to(device), labels, training.batch_size, seeds, together=together, flips=training.flips)
