"""From a trial's choices to working parts: data, networks, objective, engine and evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

import ganbench
from ganbench.contracts import shape_of
from ganbench.environment import settle
from ganbench.errors import PluginError
from ganbench.metrics import Evaluator, Labelled
from ganbench.objective import Objective, blame
from ganbench.players import Players, averaged, packed_shape
from ganbench.plugins import Registry, Source
from ganbench.protocols import Data, Extractor, Places
from ganbench.seeding import global_stream, stream
from ganbench.terms import PACKING, Choice, Evaluation, Job, Kind, Trial
from ganbench.training import Batches, Engine


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


def open_workshop(registry: Registry, places: Places, device: str = "cpu") -> Workshop:
    """A workshop in this process, which from now on computes as trials do: with one thread, and the same every time."""
    workshop = Workshop(registry, places, torch.device(device))
    settle(workshop.device)
    return workshop


def load_data(workshop: Workshop, choice: Choice) -> Data:
    """The data set, on the CPU. Raises PluginError where it is not of the form that its contract states."""
    data = workshop.make("dataset", choice, workshop.places)
    label = workshop.label("dataset", choice)
    if not isinstance(data, Data):
        raise PluginError(f"{label} gave a {type(data).__name__}, expected ganbench's Data")
    shape = shape_of(workshop.registry.find("dataset", choice).component, choice)
    dtype = torch.uint8 if len(shape) == 3 else torch.float32
    for name, samples in (("train", data.train), ("heldout", data.heldout)):
        if not isinstance(samples, torch.Tensor):
            raise PluginError(f"{label}: {name} is a {type(samples).__name__}, expected a tensor")
        missing = name == "heldout" and not len(samples)  # without training samples, data can be measured against
        if samples.dtype != dtype or tuple(samples.shape[1:]) != shape or missing:
            came = f"{samples.dtype} of shape {tuple(samples.shape)}"
            raise PluginError(f"{label}: {name} is {came}, expected {dtype} of shape (N, {', '.join(map(str, shape))})")
    return data


def prepare(registry: Registry, places: Places, device: str, dataset: Choice, evaluation: Evaluation) -> None:
    """Do once what each job on a data set begins with, for what it leaves behind: files, features, or the error."""
    workshop = open_workshop(registry, places, device)
    build_evaluator(workshop, load_data(workshop, dataset), dataset, evaluation)


def load_extractor(workshop: Workshop, choice: Choice, data: Data) -> Extractor:
    """The extractor, trained on the data where it is one of those that are. Raises PluginError for anything else."""
    component = workshop.registry.find("extractor", choice).component
    extra = (data,) if component.needs.get("labels") else ()
    extractor = workshop.make("extractor", choice, workshop.places, *extra)
    if not isinstance(extractor, Extractor):
        label = workshop.label("extractor", choice)
        raise PluginError(f"{label} gave a {type(extractor).__name__}, expected ganbench's Extractor")
    return extractor


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
    measures = [workshop.registry.find("metric", choice).component.measures for choice in metrics]
    return [
        Labelled(workshop.label("metric", choice), workshop.make("metric", choice), declared)
        for choice, declared in zip(metrics, measures, strict=True)
    ]


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
    return {**asked, "ganbench": ganbench.__version__, "torch": torch.__version__}


def build_generator(workshop: Workshop, trial: Trial, shape: tuple[int, ...]) -> nn.Module:
    """The generator with its initial weights, on the CPU: the trial's seed decides them, whatever the device."""
    choice = trial.variant.generator
    with global_stream(trial.seed, "generator"):
        return _network(workshop, "generator", choice, trial.training.latent_dim, shape)


def build_players(workshop: Workshop, trial: Trial, shape: tuple[int, ...]) -> Players:
    """Both networks with their initial weights, and the generator's average where the trial asks for one."""
    variant = trial.variant
    packing = packing_of(variant.discriminator)
    generator = build_generator(workshop, trial, shape).to(workshop.device)
    with global_stream(trial.seed, "discriminator"):
        discriminator = _network(workshop, "discriminator", variant.discriminator, packed_shape(shape, packing))
    return Players(
        generator,
        discriminator.to(workshop.device),
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


def build_engine(workshop: Workshop, trial: Trial, data: Data) -> Engine:
    """A trial ready for its first step. Two engines of the same trial do the same."""
    samples = data.train.to(workshop.device)
    labels = None if data.train_labels is None else data.train_labels.to(workshop.device)
    rng = stream(trial.seed, "data", workshop.device)
    batches = Batches(samples, labels, trial.training.batch_size, rng)
    players = build_players(workshop, trial, tuple(data.train.shape[1:]))
    return Engine(players, build_objective(workshop, trial), batches, trial.training, trial.seed)


def _network(workshop: Workshop, kind: Kind, choice: Choice, *arguments: object) -> nn.Module:
    network = workshop.make(kind, choice, *arguments)
    if not isinstance(network, nn.Module):
        raise PluginError(f"{workshop.label(kind, choice)} gave a {type(network).__name__}, expected a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise PluginError(f"{workshop.label(kind, choice)} has no weights to train")
    return network
