"""Whom a component can play with: the first of the installed ones that fit, those that take least time first."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ganbench.compatibility import Combination, incompatibility, logits_of
from ganbench.conformance.findings import NoPartners
from ganbench.conformance.networks import latent_dim, shapes
from ganbench.conformance.subjects import Subject, subjects
from ganbench.contracts import Part, adapt, mixes_batch, needs_independent, several
from ganbench.errors import GanbenchError, suggest
from ganbench.plugins import Offer
from ganbench.protocols import Data
from ganbench.rules import parameter_in
from ganbench.terms import Budget, Component, Evaluation, Kind, Training, Trial, Value

NETWORKS = ("mlp", "dcgan")
"""The networks that play beside a component, in the order in which they are tried; the others come after them."""

LOSSES = ("nonsaturating", "hinge")
"""The losses that are tried first."""

MOST = 50_000
"""Combinations that are tried."""

BATCH_SIZE = 16
VECTOR = 4
"""Outputs of a discriminator whose loss wants vectors."""


@dataclass(frozen=True)
class Stage:
    """A trial that a component plays in, what it is made of, and the data that it is played on."""

    subject: Subject
    combination: Combination
    trial: Trial
    data: Data


def stage(subject: Subject) -> Stage:
    """A trial in which the component plays, with partners that take little time; found once.

    Raises NoPartners where none of the installed components fits.
    """
    found, key = subject.ground.stages, (subject.kind, subject.choice)
    if key not in found:
        found[key] = find_stage(subject)
    return found[key]


def find_stage(subject: Subject) -> Stage:
    """The same, looked for anew."""
    refusals: Counter[str] = Counter()
    for combination in itertools.islice(_combinations(subject), MOST):
        training = _training(combination)
        refused = incompatibility(combination, training)
        if refused is None:
            dataset, variant = combination.dataset.choice, combination.variant
            trial = Trial(dataset, variant, 0, Budget(steps=1), training, Evaluation((1.0,), (), 1))
            return Stage(subject, combination, trial, subject.ground.data(dataset))
        refusals[refused] += 1
    raise _alone(subject, refusals)


def _alone(subject: Subject, refusals: Counter[str]) -> NoPartners:
    """What to say of a component that nothing fits: a word of its contract that nothing knows, else why most do not."""
    for key, word, known in _words(subject):
        side, others = ("gives", "loss takes") if subject.kind == "discriminator" else ("needs", "discriminator gives")
        return NoPartners(
            f"{side}={{'{key}': '{word}'}}, and no installed {others} '{word}'",
            f"for '{key}', what something installed can play with: {', '.join(sorted(known)) or 'nothing'}",
            f"write a known word.{suggest(word, known)}",
        )
    own = Counter({reason: count for reason, count in refusals.items() if str(subject.choice) in reason})
    commonest = (own or refusals).most_common(1)
    reason = commonest[0][0] if commonest else "no other component is installed that it could play with"
    return NoPartners(
        f"none of the installed components can play with it: {reason}",
        "a contract that some data set, generator, discriminator and loss fit",
        "mend `needs` and `gives`, or let the plugin offer the partner too",
    )


def _words(subject: Subject) -> Iterator[tuple[str, str, set[str]]]:
    """The words in the contract that no partner knows: the key, the word, and the words that partners know."""
    if subject.kind == "discriminator":
        losses = [part for offer in _first(subject, "loss", LOSSES) for part in _readable(offer, subject)[:1]]
        stated = {"logits": (logits_of(subject.part),)}
        known = {"logits": {str(loss.need("logits")) for loss in losses if loss.need("logits")}}
    else:
        judges = _installed(subject, "discriminator")
        vector = {"vector"} if any("outputs" in judge.component.gives for judge in judges) else set()
        stated = {key: several(subject.part.need(key, ())) for key in ("logits", "heads")}
        known = {
            "logits": {logits_of(judge) for judge in judges} | vector,
            "heads": {head for judge in judges for head in judge.component.gives.get("heads", {})},
        }
    yield from ((key, word, known[key]) for key, words in stated.items() for word in words if word not in known[key])


def _combinations(subject: Subject) -> Iterator[Combination]:
    """What could be played, each with the adapted discriminator; data that suit the component alone."""
    for (loss, penalties, augmentation, method), dataset in itertools.product(_objectives(subject), _datasets(subject)):
        objective = tuple(part for part in (loss, *penalties) if part is not None)
        wanting = [part for part in (*objective, method) if part is not None]
        generators = _networks(subject, "generator", wanting)
        discriminators = _networks(subject, "discriminator", wanting)
        if needs_independent(objective):
            discriminators = [_adapted(judge) for judge in discriminators]
        for generator, judge in itertools.product(generators, discriminators):
            yield Combination(dataset, generator, judge, objective, augmentation, method)


_Objective = tuple[Part | None, tuple[Part, ...], Part | None, Part | None]


def _objectives(subject: Subject) -> Iterator[_Objective]:
    own = subject.part
    if subject.kind == "loss":
        yield own, (), None, None
        return
    if subject.kind == "method" and own.give("alone"):
        yield None, (), None, own
        return
    losses = [loss for offer in _first(subject, "loss", LOSSES) for loss in _readable(offer, subject)[:1]]
    for loss in losses:
        if subject.kind == "penalty":
            yield loss, (own,), None, None
        else:
            yield loss, (), own if subject.kind == "augmentation" else None, own if subject.kind == "method" else None


def _datasets(subject: Subject) -> Iterator[Part]:
    """Points in the plane, without classes and with them, then pictures of a resolution that the networks take."""
    ground = subject.ground
    sizes = [shape for shape in shapes(subject) if len(shape) == 3 and shape[1] == shape[2]] or [(1, 8, 8)]
    if (2,) in shapes(subject):
        yield ground.part("dataset", "ring8")
        yield ground.part("dataset", "two-scales")
    for channels, resolution, _ in sizes:
        yield ground.part("dataset", "conformance-pictures", resolution=resolution, channels=channels)


def _networks(subject: Subject, kind: Kind, objective: Sequence[Part]) -> list[Part]:
    """The component itself, if it is of that kind; else the installed ones, with what the objective asks of them."""
    own = [subject.part] if subject.kind == kind else _installed(subject, kind)
    return [fitted for part in own for fitted in _fitted(part, objective)]


def _installed(subject: Subject, kind: Kind) -> list[Part]:
    """The installed networks with each corner, those of `NETWORKS` first; found once."""
    found = subject.ground.networks
    if kind not in found:
        offers = _first(subject, kind, NETWORKS)
        found[kind] = [part for offer in offers for part in _readable(offer, subject)]
    return found[kind]


def _readable(offer: Offer, subject: Subject) -> list[Part]:
    """The other component with each corner; none where its parameters cannot be read, which is its own fault."""
    try:
        return [candidate.part for candidate in subjects(offer, subject.ground)]
    except GanbenchError:
        return []


def _first(subject: Subject, kind: Kind, names: tuple[str, ...]) -> list[Offer]:
    offers = [offer for offer in subject.registry.offers if offer.kind == kind]
    return sorted(offers, key=lambda offer: names.index(offer.component.name) if offer.component.name in names else 99)


def _fitted(network: Part, objective: Sequence[Part]) -> Iterator[Part]:
    """The network as it is, then with the codes and the outputs that the objective asks for."""
    yield network
    changes: dict[str, Value] = {}
    for part in objective:
        codes = part.need("codes")
        if codes is not None:
            names = [parameter_in(stated) for stated in network.component.gives.get("codes", ())]
            changes |= {name: size for name, size in zip(names, codes, strict=False) if name}
        if part.need("logits") == "vector" and parameter_in(network.component.gives.get("outputs")):
            changes[parameter_in(network.component.gives["outputs"])] = VECTOR
    if changes:
        yield replace(network, choice=network.choice.with_parameters(**changes))


def _adapted(judge: Part) -> Part:
    """The discriminator with the parameters that stop it from mixing the batch, if it mixes."""
    mixes = mixes_batch(judge.component, judge.choice)
    return replace(judge, choice=adapt(judge.component, judge.choice)) if mixes else judge


def _training(combination: Combination) -> Training:
    """Small batches, and the settings that come with the loss or the method."""
    head: list[Component] = [part.component for part in (*combination.objective[:1], combination.method) if part]
    recipe = head[0].recipe if head else None
    own = dict(vars(recipe)) if recipe is not None else {}
    return replace(Training(), **own, batch_size=BATCH_SIZE, latent_dim=latent_dim(combination.generator))
