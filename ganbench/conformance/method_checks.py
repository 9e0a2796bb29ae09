"""Checks of methods: the turns that they take, and how much they draw and read while they take them."""

from __future__ import annotations

import torch

from ganbench.building import build_engine
from ganbench.conformance.findings import Breach, plainly
from ganbench.conformance.stages import stage
from ganbench.conformance.subjects import Subject
from ganbench.conformance.terms_given import TERMS
from ganbench.conformance.watching import no_global_draw, no_host_read
from ganbench.seeding import global_stream
from ganbench.stepping import Stepper


def _engine(subject: Subject) -> Stepper:
    staged = stage(subject)
    return build_engine(subject.ground.workshop, staged.trial, staged.data)


def check_turns(subject: Subject) -> None:
    """A step is made of turns whose terms are (N,), and statistics of each are finite."""
    engine = _engine(subject)
    with global_stream(0, "training"), plainly(*_TURNS):
        engine.step()
    engine.check()


_TURNS = (
    f"turns, each of which gives {TERMS}",
    "return one number a sample, under a name, and do not average: the core does",
)


def check_random(subject: Subject) -> None:
    """The same seed, the same bits; in a step, nothing is drawn from global random numbers."""
    engine = _engine(subject)
    with no_global_draw("draw with `generator=scene.rng`, and explicit shapes"):
        engine.step()
    first, second = (_weights_after(subject) for _ in range(2))
    if any(not torch.equal(*pair) for pair in zip(first, second, strict=True)):
        raise Breach("two runs of one seed end in other weights", "the same bits", "draw from `scene.rng` alone")


def _weights_after(subject: Subject, steps: int = 2) -> list[torch.Tensor]:
    engine = _engine(subject)
    with global_stream(0, "training"):
        for _ in range(steps):
            engine.step()
    return [weight.detach() for weight in engine.players[0].generator.parameters()]


def check_host(subject: Subject) -> None:
    """No host reads inside a step."""
    engine = _engine(subject)
    with global_stream(0, "training"):
        engine.step()
        with no_host_read():
            engine.step()
