"""Whether the parts of a variant, and the data set, can train together: decided from their contracts alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ganbench.contracts import Part, holding, holds, mixes_batch, several, shape_of, takes_labels
from ganbench.rules import DRIVERS
from ganbench.terms import PACKING, Faster, Training, Variant


@dataclass(frozen=True)
class Combination:
    """What is to train together. `objective` is the loss, if there is one, then its penalties."""

    dataset: Part
    generator: Part
    discriminator: Part
    objective: tuple[Part, ...]
    augmentation: Part | None = None
    method: Part | None = None

    @property
    def variant(self) -> Variant:
        """The choices that the combination is made of, without the data set."""
        choices = [part.choice for part in self.objective]
        return Variant(
            self.generator.choice,
            self.discriminator.choice,
            choices[0] if choices else None,
            tuple(choices[1:]),
            self.augmentation.choice if self.augmentation else None,
            self.method.choice if self.method else None,
        )

    @property
    def roles(self) -> list[tuple[str, Part]]:
        """Every part with what it is, without the data set."""
        parts = [("generator", self.generator), ("discriminator", self.discriminator)]
        parts += [("penalty" if index else "loss", part) for index, part in enumerate(self.objective)]
        parts += [("augmentation", self.augmentation)] if self.augmentation else []
        return [*parts, ("method", self.method)] if self.method else parts


def incompatibility(combination: Combination, training: Training) -> str | None:
    """Why these cannot train together, in a sentence; None if they can."""
    return next(_reasons(combination, training), None)


def refused_drivers(combination: Combination) -> dict[Faster, str]:
    """For each faster driver that a part's contract leaves out, which part that is, in a sentence."""
    refused: dict[Faster, str] = {}
    faster: tuple[Faster, ...] = ("vectorised", "graph")
    for role, part in combination.roles:
        allowed = several(part.need("driver", DRIVERS))
        for driver in (driver for driver in faster if driver not in allowed):
            refused.setdefault(driver, f"{role} {part} needs the driver {' or '.join(allowed)}")
    return refused


def _reasons(combination: Combination, training: Training) -> Iterator[str]:
    dataset, discriminator = combination.dataset, combination.discriminator
    for role, part in combination.roles:
        yield from _data_reasons(role, part, dataset)
    for role, part in combination.roles[2:]:
        yield from _objective_reasons(role, part, discriminator)
    yield from _label_reasons(combination)
    yield from _code_reasons(combination)
    yield from _method_reasons(combination, training)
    packing = discriminator.choice.get(PACKING, 1)
    if isinstance(packing, int) and training.batch_size % packing:
        beside = f"batch_size {training.batch_size}"
        yield f"discriminator {discriminator} packs {packing} samples, which does not divide {beside}"
    if training.flips and dataset.give("data") != "images":
        yield f"training with flips needs images, {dataset} has {dataset.give('data')}"


def _data_reasons(role: str, part: Part, dataset: Part) -> Iterator[str]:
    given, accepted = dataset.give("data"), several(part.need("data", ()))
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
    """Why the discriminator does not say what a part of the objective asks of it."""
    expected, given = part.need("logits"), logits_of(discriminator)
    if expected and expected != given:
        vectors = expected == "vector" and "outputs" in discriminator.component.gives
        hint = f"; write {discriminator.choice.with_parameters(outputs=16)} for vectors of 16" if vectors else ""
        yield f"{role} {part} needs {expected} logits, discriminator {discriminator} gives {given} logits{hint}"
    if part.need("independent") and mixes_batch(discriminator.component, discriminator.choice):
        settings = holding(discriminator.component.gives.get("mixes_batch"), discriminator.choice)
        cause = f" with {', '.join(settings)}" if settings else ""
        yield f"{role} {part} needs a discriminator that does not mix the batch, {discriminator} does{cause}"
    heads = discriminator.component.gives.get("heads", {})
    for head in several(part.need("heads", ())):
        if not holds(heads.get(head), discriminator.choice):
            settings = heads.get(head) if isinstance(heads.get(head), dict) else {}
            ways = [f"{key}={value}" for key, values in settings.items() for value in several(values)]
            hint = f"; it has with {' or '.join(ways)}" if ways else ""
            yield f"{role} {part} needs a discriminator with the head '{head}', {discriminator} has none{hint}"


def logits_of(discriminator: Part) -> str:
    """What kind of logits the discriminator gives: vectors where it has more than one output."""
    return "vector" if discriminator.give("outputs", 1) > 1 else str(discriminator.give("logits", "scalar"))


def _label_reasons(combination: Combination) -> Iterator[str]:
    """Why there are no labels for a part that needs them."""
    dataset, discriminator = combination.dataset, combination.discriminator
    for role, part in combination.roles:
        needs = [part.component.needs.get(key) for key in ("labels", "classes")]
        wanted = next((condition for condition in needs if holds(condition, part.choice)), None)
        if wanted is not None and not dataset.give("classes", 0):
            settings = holding(wanted, part.choice)
            cause = f" for {', '.join(settings)}" if settings else ""
            yield f"{role} {part} needs data with classes{cause}, {dataset} has none"
    packing = discriminator.choice.get(PACKING, 1)
    if packing != 1 and takes_labels(discriminator.component, discriminator.choice):
        yield f"discriminator {discriminator} packs {packing} samples, which have a label each; it can be told one"
    for role, part in combination.roles[2:]:
        if packing != 1 and (part.need("labels") or part.need("codes")):
            yield f"{role} {part} judges one sample at a time, discriminator {discriminator} packs {packing}"


def _code_reasons(combination: Combination) -> Iterator[str]:
    """Why the networks do not have the latent codes that the loss is about."""
    for role, part in combination.roles[2:]:
        codes = part.need("codes")
        for other, network in combination.roles[:2]:
            given = network.give("codes", (0, 0))
            if codes is not None and tuple(given) != tuple(codes):
                yield (
                    f"{role} {part} needs a {other} with categories={codes[0]} and continuous={codes[1]}, "
                    f"{network} has categories={given[0]} and continuous={given[1]}"
                )


def _method_reasons(combination: Combination, training: Training) -> Iterator[str]:
    """Why the method does not go with the rest."""
    method, discriminator = combination.method, combination.discriminator
    if method is None:
        return
    alone = bool(method.component.gives.get("alone"))
    if alone and len(combination.roles) > 3:
        beside = ", ".join(str(part) for _, part in combination.roles[2:-1])
        yield f"method {method} has an objective of its own, and takes nothing beside it: {beside}"
    if not alone and not combination.objective:
        yield f"method {method} needs a loss: write it behind one, as 'nonsaturating + {method}'"
    if combination.augmentation is not None and not alone:
        yield f"method {method} calls the discriminator itself, so augmentation {combination.augmentation} has no place"
    if discriminator.choice.get(PACKING, 1) != 1:
        yield f"method {method} judges one sample at a time, discriminator {discriminator} packs several"
    if method.need("encoder") and "outputs" not in discriminator.component.gives:
        yield f"method {method} needs a discriminator that can serve as an encoder, {discriminator} has no `outputs`"
    for role, part in combination.roles[:2]:
        if takes_labels(part.component, part.choice):
            yield f"method {method} knows no labels, {role} {part} needs them"
    if training.reuse_fakes:
        yield f"method {method} makes its own fakes, so training with reuse_fakes has no place"
