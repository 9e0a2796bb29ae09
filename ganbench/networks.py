"""From a trial's choices to its networks, with their initial weights, and what each is told beside its input."""

from __future__ import annotations

from typing import Literal, cast

from torch import nn

from ganbench.contracts import Part, holds, takes_classes, takes_labels
from ganbench.errors import PluginError
from ganbench.packing import packed_shape
from ganbench.players import Players, arranged, averaged
from ganbench.seeding import global_stream
from ganbench.terms import PACKING, Choice, Kind, Trial, Value
from ganbench.workshop import Workshop


def build_generator(workshop: Workshop, trial: Trial, shape: tuple[int, ...]) -> nn.Module:
    """The generator with its initial weights, on the CPU: the trial's seed decides them, whatever the device."""
    choice = trial.variant.generator
    classes = classes_told(workshop, "generator", choice, trial.dataset)
    with global_stream(trial.seed, "generator"):
        generator = _network(workshop, "generator", choice, trial.training.latent_dim, shape, *classes)
    told = sum(classes) if "generator" in told_labels(workshop, trial) else 0
    return arranged(generator, shape, (trial.training.latent_dim,), told)


def classes_told(workshop: Workshop, kind: Kind, choice: Choice, dataset: Choice) -> tuple[int, ...]:
    """What a network is made with after its shapes: the number of classes, 0 if it is told no labels."""
    component = workshop.registry.find(kind, choice).component
    if not takes_classes(component):
        return ()
    if not any(holds(component.needs.get(key), choice) for key in ("labels", "classes")):
        return (0,)
    return (Part(workshop.registry.find("dataset", dataset).component, dataset).give("classes", 0),)


def told_labels(workshop: Workshop, trial: Trial) -> frozenset[str]:
    """Which of the two networks are told labels."""
    kinds: tuple[Literal["generator", "discriminator"], ...] = ("generator", "discriminator")
    choices = {"generator": trial.variant.generator, "discriminator": trial.variant.discriminator}
    return frozenset(
        kind for kind in kinds if takes_labels(workshop.registry.find(kind, choices[kind]).component, choices[kind])
    )


def build_players(workshop: Workshop, trial: Trial, shape: tuple[int, ...]) -> Players:
    """Both networks with their initial weights, and the generator's average where the trial asks for one."""
    variant = trial.variant
    packing, told = packing_of(variant.discriminator), told_labels(workshop, trial)
    generator = build_generator(workshop, trial, shape).to(workshop.device)
    judged = packed_shape(shape, packing)
    with global_stream(trial.seed, "discriminator"):
        discriminator = build_discriminator(workshop, trial, judged)
    classes = sum(classes_told(workshop, "discriminator", variant.discriminator, trial.dataset))
    component = workshop.registry.find("discriminator", variant.discriminator).component
    return Players(
        generator,
        arranged(discriminator, shape, judged, classes if "discriminator" in told else 0).to(workshop.device),
        None if trial.training.ema_half_life_kimg is None else averaged(generator),
        shape,
        packing,
        Part(component, variant.discriminator).give("outputs", 1),
        told,
        workshop.label("generator", variant.generator),
        workshop.label("discriminator", variant.discriminator),
    )


def build_discriminator(workshop: Workshop, trial: Trial, shape: tuple[int, ...], **parameters: Value) -> nn.Module:
    """The variant's discriminator for samples of `shape`, with `parameters` set beside its own."""
    choice = trial.variant.discriminator.with_parameters(**parameters)
    classes = classes_told(workshop, "discriminator", choice, trial.dataset)
    return _network(workshop, "discriminator", choice, shape, *classes)


def packing_of(discriminator: Choice) -> int:
    """How many samples the discriminator judges together."""
    return cast(int, discriminator.get(PACKING, 1))


def _network(workshop: Workshop, kind: Kind, choice: Choice, *arguments: object) -> nn.Module:
    network = workshop.make(kind, choice, *arguments)
    if not isinstance(network, nn.Module):
        raise PluginError(f"{workshop.label(kind, choice)} gave a {type(network).__name__}, expected a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise PluginError(f"{workshop.label(kind, choice)} has no weights to train")
    return network
