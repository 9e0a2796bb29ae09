"""A check that interrupts training: what goes on from a checkpoint must come to what was never interrupted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ganbench.building import build_engine
from ganbench.checkpoints import read_checkpoint, write_checkpoint
from ganbench.conformance.findings import Breach, NotChecked
from ganbench.conformance.stages import Stage, stage
from ganbench.conformance.subjects import Subject
from ganbench.seeding import global_stream
from ganbench.states import Unknown
from ganbench.stepping import Stepper

STEPS = 3
"""Before the interruption, and after it."""

IDENTITY = {"trials": ["a check"]}


def check_resumes(subject: Subject) -> None:
    """Interrupted after a few steps, it goes on from its checkpoint to the same bits."""
    staged = stage(subject)
    with global_stream(0, "training"), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        engine = _trained(_engine(staged), STEPS)
        try:
            write_checkpoint(path, IDENTITY, engine.state())
        except Unknown as reason:
            raise NotChecked(f"it trains without checkpoints: {reason}") from reason
        expected = _tensors(_trained(engine, STEPS))
        state = read_checkpoint(path, IDENTITY)
    with global_stream(1, "another process"):
        again = _engine(staged)
        again.restore(state)
        found = _tensors(_trained(again, STEPS))
    if not all(torch.equal(*pair) for pair in zip(expected, found, strict=True)):
        raise Breach(
            f"interrupted after {STEPS} steps, it went on to other numbers, with {staged.trial.variant}",
            "the same bits as without an interruption",
            "keep what it remembers in buffers, in `remembers`, or in attributes that hold numbers, tensors or "
            "random generators: not in a module's globals, closures or objects of its own",
        )


def _engine(staged: Stage) -> Stepper:
    return build_engine(staged.subject.ground.workshop, staged.trial, staged.data)


def _trained(engine: Stepper, steps: int) -> Stepper:
    for _ in range(steps):
        engine.step()
    return engine


def _tensors(engine: Stepper) -> list[Tensor]:
    """Copies of all tensors of both players."""
    players = engine.players[0]
    networks = (players.generator, players.discriminator)
    return [tensor.detach().clone() for network in networks for tensor in network.state_dict().values()]
