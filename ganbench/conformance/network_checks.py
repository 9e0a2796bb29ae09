"""Checks of what generators and discriminators give, and of what it depends on."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from ganbench.conformance.findings import Breach, NotChecked
from ganbench.conformance.networks import COUNT, Built, Shape, called, each, shapes, smallest
from ganbench.conformance.subjects import Subject
from ganbench.conformance.watching import finite
from ganbench.contracts import holds, mixes_batch

SMALL = 3 * 16 * 16
"""Numbers of a sample up to which a whole batch is tried; of larger ones, two samples."""

CHANGED = 2
"""The sample that is changed to see which others it changes."""

NEGLIGIBLE = 1e-9
"""A change of another sample's answer, relative to the change of the own one, that is rounding in float64."""


def check_shapes(subject: Subject) -> None:
    """Shape, type and range of what it gives for all that the contract allows, in float64 too."""
    found = shapes(subject, large=True)
    sides = sorted({shape[-1] for shape in found if len(shape) == 3})[:2]
    few = [shape for shape in found if len(shape) == 1 or shape[-1] in sides]
    each(subject, few if subject.corner else found, _check_answer)


def _check_answer(built: Built) -> None:
    precise = [(torch.float64, False)] if built.shape in smallest(built.subject) else []
    count = COUNT if math.prod(built.shape) <= SMALL else 2
    with torch.no_grad():
        for dtype, training in ((torch.float32, True), (torch.float32, False), *precise):
            network = copy.deepcopy(built.network).to(dtype).train(training)
            answer = called(network, built.inputs(count, dtype=dtype), built.labels(count))
            mode = "training" if training else "evaluation"
            _expect(f"in {mode} mode, given {_short(dtype)},", answer, _expected_shape(built, count), dtype)
            if built.subject.kind == "generator" and len(built.shape) == 3:
                _expect_range(answer)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _expected_shape(built: Built, count: int) -> Shape:
    return (count, *built.shape) if built.subject.kind == "generator" else (count,)


def _expect(which: str, answer: Tensor, shape: Shape, dtype: torch.dtype) -> None:
    if tuple(answer.shape) != shape or answer.dtype != dtype:
        raise Breach(
            f"{which} it gives {_short(answer.dtype)} of shape {tuple(answer.shape)}",
            f"{_short(dtype)} of shape {shape}",
            "reshape at the end of forward, and make new tensors with `dtype=` and `device=` of the input",
            method="forward",
        )
    finite("what it gives", answer)


def _expect_range(images: Tensor) -> None:
    lowest, highest = float(images.min()), float(images.max())
    if lowest < -1 or highest > 1:
        raise Breach(
            f"pixels from {lowest:.3g} to {highest:.3g}",
            "images in [-1, 1]",
            "end the generator with tanh",
            method="forward",
        )


def check_heads(subject: Subject) -> None:
    """Heads, outputs and logits as the contract states them."""
    stated = subject.component.gives
    heads = [name for name, when in stated.get("heads", {}).items() if holds(when, subject.choice)]
    if not heads and "outputs" not in stated:
        raise NotChecked("the contract states no heads and no outputs")
    if heads:
        each(subject, smallest(subject), lambda built: _check_judge(built, heads))
    if "outputs" in stated and not subject.corner:
        _check_outputs(subject)


def _check_judge(built: Built, heads: list[str]) -> None:
    network = copy.deepcopy(built.network).eval()
    samples, labels = built.inputs(), built.labels()
    judged = judge(network, samples, labels)
    logits = called(network, samples, labels)
    if not torch.equal(judged["logits"], logits):
        raise Breach("judge(x)['logits'] differs from forward(x)", "the same numbers", "let forward call judge")
    sizes = {"classes": 5, "code": sum(built.subject.part.give("codes", (0, 0)))}
    for name in heads:
        if name not in judged:
            raise Breach(f"judge gives {', '.join(judged)}", f"the head '{name}' that the contract states", "add it")
        head = judged[name]
        fits = head.ndim == 2 and len(head) == COUNT and head.shape[1] == sizes.get(name, head.shape[1])
        if not fits:
            raise Breach(
                f"the head '{name}' has shape {tuple(head.shape)}",
                f"({COUNT}, {sizes.get(name, 'features')})",
                "give one row a sample: class logits (N, K), codes (N, categories + continuous), features (N, F)",
            )
        finite(f"the head '{name}'", head)


def judge(network: nn.Module, samples: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
    """What the method `judge` gives. Raises Breach where there is none, or no logits in it."""
    method = getattr(network, "judge", None)
    if method is None:
        raise Breach(
            "there is no method `judge`",
            "`judge(samples) -> dict` with 'logits' and each head that the contract states",
            "write it, and let forward return judge(samples)['logits']",
        )
    judged: dict[str, Tensor] = method(samples) if labels is None else method(samples, labels)
    if "logits" not in judged:
        raise Breach(f"judge gives {', '.join(judged) or 'nothing'}", "'logits' among them", "add the logits")
    return judged


def _check_outputs(subject: Subject) -> None:
    for count in (2, 3):
        choice = subject.choice.with_parameters(outputs=count)
        wide = Subject(subject.offer, choice, subject.ground, f"outputs={count}")
        each(wide, smallest(wide), lambda built, count=count: _check_vectors(built, count))  # type: ignore[misc]


def _check_vectors(built: Built, count: int) -> None:
    answer = built.call(built.inputs(), built.labels())
    _expect(f"with outputs={count}", answer, (COUNT, count), torch.float32)


def check_labels(subject: Subject) -> None:
    """Other labels, other answers: for the samples whose labels changed."""
    if not takes_labels_at_all(subject):
        raise NotChecked("the contract asks for no labels")
    each(subject, smallest(subject), _check_labels_count)


def takes_labels_at_all(subject: Subject) -> bool:
    """Whether the choice is called with labels."""
    return holds(subject.component.needs.get("labels"), subject.choice)


def _check_labels_count(built: Built) -> None:
    network, inputs, labels = (
        copy.deepcopy(built.network).eval().double(),
        built.inputs(dtype=torch.float64),
        built.labels(),
    )
    assert labels is not None  # only networks that take labels are asked
    with torch.no_grad():
        before, after = called(network, inputs, labels), called(network, inputs, (labels + 1) % 5)
    if torch.equal(before, after):
        raise Breach(
            "other labels give the same answer",
            "an answer that depends on the labels: the contract asks for them",
            "use the labels in forward, or drop `labels` from `needs`",
        )


def check_batch(subject: Subject) -> None:
    """Whether samples of a batch mix, with every parameter value, as the contract says."""
    if subject.kind == "generator":
        each(subject, smallest(subject), _check_generator_apart)
    elif mixes_batch(subject.component, subject.choice):
        _check_mixes(subject)
    else:
        each(subject, smallest(subject), _check_critic_apart)


def _check_generator_apart(built: Built) -> None:
    share = _share_of_others(built)
    if share > NEGLIGIBLE:
        raise Breach(
            f"in evaluation mode, changing one latent changes other samples ({share:.1e} of its own change)",
            "each sample to depend on its own latent alone, in evaluation mode",
            "normalise by running statistics in evaluation mode, as torch.nn.BatchNorm does",
        )


def _check_critic_apart(built: Built) -> None:
    share = _share_of_others(built)
    if share > NEGLIGIBLE:
        raise Breach(
            f"changing sample {CHANGED} changes the logits of others ({share:.1e} of its own change)",
            "no mixing: the contract's `mixes_batch` does not hold for these parameters",
            "state gives={'mixes_batch': True}, or {'parameter': (values,)} for some; or normalise each sample alone",
        )


def _check_mixes(subject: Subject) -> None:
    """Samples mix for some shape: of the smallest, a network may have no layer yet that does it."""
    shares: list[float] = []
    each(subject, shapes(subject), lambda built: shares.append(_share_of_others(built)))
    if max(shares) <= NEGLIGIBLE:
        raise Breach(
            "samples of a batch do not mix",
            "mixing: the contract's `mixes_batch` holds for these parameters",
            "state mixes_batch=False, or only the parameter values that mix; else penalties are refused in vain",
        )


def _share_of_others(built: Built) -> float:
    """How much another sample changes with one, in training mode for a critic: relative to that one's own change."""
    network = copy.deepcopy(built.network).double().train(built.subject.kind != "generator")
    inputs, labels = built.inputs(dtype=torch.float64), built.labels()
    other = inputs.clone()
    other[CHANGED] = built.inputs(seed=1, dtype=torch.float64)[CHANGED]
    with torch.no_grad():
        before, after = (called(copy.deepcopy(network), given, labels) for given in (inputs, other))
    changes = (after - before).reshape(COUNT, -1).abs().amax(1)  # (N,)
    own, others = float(changes[CHANGED]), float(changes[torch.arange(COUNT) != CHANGED].max())
    if own == 0:
        raise Breach("another sample gives the same answer", "an answer that depends on the input", "use the input")
    return others / own
