"""Networks at hand for checks: built from a seed, roused where they start at zero, called as the core calls them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from ganbench.conformance.findings import Breach, NotChecked
from ganbench.conformance.subjects import Subject
from ganbench.contracts import Part, holds, several, takes_classes, takes_labels
from ganbench.errors import ChoiceError, PluginError
from ganbench.seeding import global_stream, stream

CLASSES = 5
LEAST_LATENT_DIM = 16
COUNT = 8
"""Samples of a batch: enough for two groups of four."""

Shape = tuple[int, ...]


def shapes(subject: Subject, *, large: bool = False) -> list[Shape]:
    """Shapes of samples that the contract allows, points and the smallest images first; with `large`, 64×64 too."""
    accepted = several(subject.part.need("data", ("points", "images")))
    points: list[Shape] = [(2,), (3,)]
    return [*(points if "points" in accepted else []), *(_images(subject, large=large) if "images" in accepted else [])]


def _images(subject: Subject, *, large: bool) -> list[Shape]:
    least = int(subject.part.need("min_resolution", 1))
    sides = [side for side in (8, 16, 32) if side >= least] or [1 << (least - 1).bit_length()]
    found: list[Shape] = [(channels, side, side) for side in sides for channels in (1, 3)]
    if not subject.part.need("power_of_two"):
        found.append((3, max(least, 8) + 2, max(least, 8) + 4))
    return [*found, (3, 64, 64)] if large and least <= 64 else found


def smallest(subject: Subject) -> list[Shape]:
    """One shape of each kind of data that the contract allows: points, and the smallest images."""
    of_each = {len(shape): shape for shape in reversed(shapes(subject))}  # the first of each is kept
    return [of_each[dimensions] for dimensions in sorted(of_each)]


@dataclass(frozen=True)
class Built:
    """A network for samples of some shape, with what it is called with."""

    subject: Subject
    shape: Shape
    network: nn.Module

    @property
    def conditional(self) -> bool:
        """Whether it is called with labels."""
        return takes_labels(self.subject.component, self.subject.choice)

    @cached_property
    def latent_dim(self) -> int:
        """The numbers that a latent has."""
        return latent_dim(self.subject.part)

    def inputs(self, count: int = COUNT, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Latents, or samples as the data have them: (count, …)."""
        rng = stream(seed, "conformance inputs")
        if self.subject.kind == "generator":
            return torch.randn((count, self.latent_dim), generator=rng, dtype=dtype)
        samples = torch.randn((count, *self.shape), generator=rng, dtype=dtype)
        return samples.tanh() if len(self.shape) == 3 else samples

    def labels(self, count: int = COUNT) -> Tensor | None:
        """Labels, if it takes any: 0, 1, 2, … over again."""
        return torch.arange(count) % CLASSES if self.conditional else None

    def call(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the network makes of the inputs, as a copy that leaves the network as it was."""
        return called(copy.deepcopy(self.network), inputs, labels)


def latent_dim(generator: Part) -> int:
    """Enough numbers for the codes that a latent holds, if it holds any."""
    categories, continuous = generator.give("codes", (0, 0))
    return max(LEAST_LATENT_DIM, 4 + int(categories) + int(continuous))


def called(network: nn.Module, inputs: Tensor, labels: Tensor | None) -> Tensor:
    """The network's own answer, drawn with the same global numbers every time."""
    with global_stream(0, "conformance"):
        answer: object = network(inputs) if labels is None else network(inputs, labels.to(inputs.device))
    if not isinstance(answer, Tensor):
        raise Breach(
            f"forward gives a {type(answer).__name__}",
            "a tensor",
            "return one tensor from forward; a discriminator's heads come from a method `judge`",
            method="forward",
        )
    return answer


def build(subject: Subject, shape: Shape, seed: int = 0, *, roused: bool = True) -> Built:
    """The network in training mode, its weights drawn from the seed; `roused`, so that no path through it is silent."""
    arguments: list[object] = [latent_dim(subject.part)] if subject.kind == "generator" else []
    arguments.append(shape)
    if takes_classes(subject.component):
        arguments.append(CLASSES if _told_classes(subject) else 0)
    with global_stream(seed, subject.kind):
        try:
            network = subject.ground.workshop.make(subject.kind, subject.choice, *arguments)
        except PluginError as error:
            if isinstance(error.__cause__, ChoiceError) and subject.corner:
                raise NotChecked(f"{shape}: {error.__cause__}") from error
            raise error.__cause__ or error from None
        if not isinstance(network, nn.Module):
            raise Breach(
                f"building gives a {type(network).__name__}",
                "a torch.nn.Module",
                "let the target be a Module's class, or a function that returns a Module",
            )
        if roused:
            _rouse(network)
    return Built(subject, shape, network.train())


def each(subject: Subject, of: list[Shape], check: Callable[[Built], None]) -> None:
    """The check for each shape; those that a corner refuses politely are passed over, if not all are."""
    refused: list[str] = []
    for shape in of:
        try:
            built = build(subject, shape)
        except NotChecked as error:
            refused.append(str(error))
            continue
        try:
            check(built)
        except Breach as breach:
            text = f"for samples of shape {shape}: {breach.found}"
            raise Breach(text, breach.expected, breach.mend, breach.line, breach.method) from breach.__cause__
    if len(refused) == len(of):
        raise Breach(
            f"it cannot be built: {refused[0]}",
            "every allowed value of a parameter to work for some shape that the contract allows",
            "drop the value from the annotation, or let the contract say what it needs",
        )


def _told_classes(subject: Subject) -> bool:
    needs = subject.component.needs
    return any(holds(needs.get(key), subject.choice) for key in ("labels", "classes"))


@torch.no_grad()
def _rouse(network: nn.Module) -> None:
    """Move weights that all start at one value, as gains at 0 and biases do, so that what they multiply counts."""
    for parameter in network.parameters():
        if parameter.numel() and bool((parameter == parameter.flatten()[0]).all()):
            inputs = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            parameter.add_(torch.randn_like(parameter), alpha=0.1 if parameter.ndim < 2 else 0.5 / inputs**0.5)
