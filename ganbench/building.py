"""From a trial's choices to working parts: data, networks, objective, engine and evaluator."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn

import ganbench
from ganbench.batches import Batches
from ganbench.casts import Cast, Solo, Together
from ganbench.drivers import Driver
from ganbench.environment import PACKAGES, package_version, settle
from ganbench.errors import DataError, PluginError
from ganbench.graphs import CapturedStep
from ganbench.inspection import check_data
from ganbench.metrics import Evaluator, Labelled
from ganbench.objective import Objective, blame
from ganbench.players import Players, arranged, averaged, packed_shape
from ganbench.plugins import Offer, Registry, Source
from ganbench.protocols import Data, Extractor, Places
from ganbench.seeding import global_stream
from ganbench.terms import PACKING, Choice, Component, Evaluation, Job, Kind, Precision, Trial
from ganbench.training import Engine


@dataclass(frozen=True)
class Workshop:
    """What a job is built with: none of it may change a result on the same kind of device."""

    registry: Registry
    places: Places
    device: torch.device

    def label(self, kind: Kind, choice: Choice) -> str:
        """A component in the words of a message: what it is and whose."""
        offer = self.registry.find(kind, choice)
        return f"{kind} '{choice}' of {Source(offer.plugin, offer.owner, offer.version)}"

    def sources(self, job: Job) -> list[str]:
        """The plugins that a job's parts come from, with their versions or their files' hashes."""
        kinds: list[tuple[Kind, Choice]] = [("dataset", job.dataset)]
        kinds += [("metric", choice) for choice in job.evaluation.metrics]
        kinds += [("extractor", job.evaluation.extractor)] if job.evaluation.extractor else []
        if isinstance(job, Trial):
            variant = job.variant
            kinds += [("generator", variant.generator), ("discriminator", variant.discriminator)]
            kinds += [("loss", variant.loss), *(("penalty", choice) for choice in variant.penalties)]
        offers = [self.registry.find(kind, choice) for kind, choice in kinds]
        return sorted({f"{offer.plugin}: {offer.code or f'{offer.owner} {offer.version}'}" for offer in offers})

    def make(self, kind: Kind, choice: Choice, *arguments: object) -> Any:
        """Import a component's target and call it with `arguments` and the choice's parameters."""
        target = self.registry.load(kind, choice)
        parameters = {name: value for name, value in choice.all_parameters().items() if name != PACKING}
        with blame(self.label(kind, choice)):
            return target(*arguments, **parameters)


def open_workshop(
    registry: Registry, places: Places, device: str = "cpu", precision: Precision = "float32"
) -> Workshop:
    """A workshop in this process, which from now on computes as trials do: with one thread, and the same every time."""
    workshop = Workshop(registry, places, torch.device(device))
    settle(workshop.device, precision)
    return workshop


def load_data(workshop: Workshop, choice: Choice) -> Data:
    """The data set, on the CPU. Raises PluginError where it is not as its contract states."""
    data = workshop.make("dataset", choice, workshop.places)
    component = workshop.registry.find("dataset", choice).component
    return check_data(workshop.label("dataset", choice), component, choice, data)


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
    )


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


def build_generator(workshop: Workshop, trial: Trial, shape: tuple[int, ...]) -> nn.Module:
    """The generator with its initial weights, on the CPU: the trial's seed decides them, whatever the device."""
    choice = trial.variant.generator
    with global_stream(trial.seed, "generator"):
        generator = _network(workshop, "generator", choice, trial.training.latent_dim, shape)
    return arranged(generator, shape, (trial.training.latent_dim,))


def build_players(workshop: Workshop, trial: Trial, shape: tuple[int, ...]) -> Players:
    """Both networks with their initial weights, and the generator's average where the trial asks for one."""
    variant = trial.variant
    packing = packing_of(variant.discriminator)
    generator = build_generator(workshop, trial, shape).to(workshop.device)
    with global_stream(trial.seed, "discriminator"):
        judged = packed_shape(shape, packing)
        discriminator = _network(workshop, "discriminator", variant.discriminator, judged)
    return Players(
        generator,
        arranged(discriminator, shape, judged).to(workshop.device),
        None if trial.training.ema_half_life_kimg is None else averaged(generator),
        shape,
        packing,
        workshop.label("generator", variant.generator),
        workshop.label("discriminator", variant.discriminator),
    )


def packing_of(discriminator: Choice) -> int:
    """How many samples the discriminator judges together."""
    return cast(int, discriminator.get(PACKING, 1))


def build_objective(workshop: Workshop, trial: Trial) -> Objective:
    """The loss with its penalties."""
    variant = trial.variant
    return Objective(
        workshop.make("loss", variant.loss),
        tuple(workshop.make("penalty", choice) for choice in variant.penalties),
        workshop.label("loss", variant.loss),
        tuple(workshop.label("penalty", choice) for choice in variant.penalties),
    )


def build_engine(workshop: Workshop, trial: Trial, data: Data, driver: Driver = Driver()) -> Engine:
    """A trial ready for its first step. Two engines of the same trial do the same."""
    players = build_players(workshop, trial, tuple(data.train.shape[1:]))
    return _engine(workshop, [trial], data, Solo(players, trial.seed, trial.training.precision), driver)


def build_group(workshop: Workshop, trials: Sequence[Trial], data: Data, driver: Driver) -> Engine:
    """Trials that differ in their seeds alone, ready to train together. Raises NotTogether where they cannot."""
    shape = tuple(data.train.shape[1:])
    players = [build_players(workshop, trial, shape) for trial in trials]
    seeds = [trial.seed for trial in trials]
    return _engine(workshop, trials, data, Together(players, seeds, trials[0].training.precision), driver)


def _engine(workshop: Workshop, trials: Sequence[Trial], data: Data, cast: Cast, driver: Driver) -> Engine:
    training, device = trials[0].training, workshop.device
    labels = None if data.train_labels is None else data.train_labels.to(device)
    batches = Batches(
        data.train.to(device),
        labels,
        training.batch_size,
        [trial.seed for trial in trials],
        together=cast.together,
        flips=training.flips,
    )
    captured = driver.captured and device.type == "cuda"
    engine = Engine(cast, build_objective(workshop, trials[0]), batches, training, captured=captured)
    if captured:
        engine.capture(CapturedStep)
    return engine


def _network(workshop: Workshop, kind: Kind, choice: Choice, *arguments: object) -> nn.Module:
    network = workshop.make(kind, choice, *arguments)
    if not isinstance(network, nn.Module):
        raise PluginError(f"{workshop.label(kind, choice)} gave a {type(network).__name__}, expected a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise PluginError(f"{workshop.label(kind, choice)} has no weights to train")
    return network
