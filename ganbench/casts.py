"""Who plays: one seed's players, or those of several seeds at once; either way a loss sees one seed and a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ganbench.objective import Objective
from ganbench.players import Players
from ganbench.states import State
from ganbench.terms import Precision
from ganbench.witness import Phase, Terms


class Move(NamedTuple):
    """What one player's update starts from: real samples, fakes, packed already, latents, labels or None.

    Where seeds play together, each has a first axis for them.
    """

    real: Tensor
    fake: Tensor
    latents: Tensor
    labels: Tensor | None
    step: int


@dataclass(frozen=True)
class Average:
    """The generator's moving average: its weights and buffers, and the generator's that they follow, pair by pair."""

    weights: list[Tensor]
    followed_weights: list[Tensor]
    buffers: list[Tensor]
    followed_buffers: list[Tensor]


class Memory:
    """What the parts of an objective remember, by name: a scalar each or, where seeds play together, one a seed.

    The tensors stay where they are, for a recorded step writes into them.
    """

    def __init__(self, starts: Mapping[str, float], device: torch.device, seeds: int | None = None) -> None:
        shape = () if seeds is None else (seeds,)
        self._kept = {name: torch.full(shape, float(start), device=device) for name, start in starts.items()}

    def told(self) -> dict[str, Tensor]:
        """Copies, to be read and replaced."""
        return {name: value.clone() for name, value in self._kept.items()}

    def keep(self, told: Mapping[str, Tensor]) -> None:
        """Remember what has become of them."""
        for name, value in told.items():
            self._kept[name].copy_(value)

    def state(self) -> State:
        """All that is remembered."""
        return dict(self._kept)


class Cast(Protocol):
    """The players of one seed or of several, and the random streams that each seed has of its own."""

    players: tuple[Players, ...]
    together: bool
    watched: bool
    """Whether to say what is to be seen of the logits."""
    phase: Phase
    """Entered for each part of a step that those who measure ask about, by its name."""
    generator_weights: list[Tensor]
    discriminator_weights: list[Tensor]
    memory: Memory

    def average(self) -> Average | None:
        """The generators' averages as they are now, or None where there are none."""
        ...

    def latents(self, batch_size: int, latent_dim: int) -> Tensor:
        """Standard normal latents: (batch_size, latent_dim), or (seeds, batch_size, latent_dim)."""
        ...

    def fake(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """What the generator makes of the latents, for the labels: (…, batch_size / packing, *packed shape)."""
        ...

    def discriminator(self, objective: Objective, move: Move) -> tuple[Terms, Terms]:
        """What the discriminator minimises, (…, N) each, and what is to be seen of its logits, one a seed."""
        ...

    def generator(self, objective: Objective, move: Move) -> Terms:
        """What the generator minimises, (…, N) each."""
        ...

    def random_generators(self) -> list[torch.Generator]:
        """All that a step draws from."""
        ...

    def habits(self) -> State:
        """What it has learned of the objective in the steps so far: it decides how the next ones are computed."""
        ...

    def take_on(self, habits: State) -> None:
        """Go on with them."""
        ...


def follow(players: Players) -> Average | None:
    """The average of one seed's generator as it is now, or None where there is none."""
    average, generator = players.average, players.generator
    if average is None:
        return None
    return Average(
        list(average.parameters()), list(generator.parameters()), list(average.buffers()), list(generator.buffers())
    )


def autocast(device: torch.device, precision: Precision) -> Callable[[], AbstractContextManager[Any]]:
    """What a player's turn is computed in: bfloat16 where it is asked for and safe, else as torch is set."""
    if precision != "bf16":
        return nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)
