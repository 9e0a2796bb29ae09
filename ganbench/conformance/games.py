"""Games for losses and penalties to be tried on: networks, a batch of each side, and what the objective makes of it."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.batches import Batches
from ganbench.conformance.stages import Stage
from ganbench.errors import PluginError
from ganbench.networks import build_players
from ganbench.objective import Objective
from ganbench.players import Players
from ganbench.protocols import Game
from ganbench.seeding import global_stream, stream

COUNT = 8
PLAYERS = ("discriminator", "generator")

MEMORIES = (None, 0.5)
"""What an objective remembers while it is tried: what it starts with, then this in every place."""


@dataclass(frozen=True)
class Batch:
    """One batch of each side, sample by sample: what a move starts from. `labels` are None where data have none."""

    real: Tensor
    latents: Tensor
    labels: Tensor | None

    def tensors(self) -> dict[str, Tensor]:
        """What there is, by name."""
        named = {"real": self.real, "latents": self.latents}
        return named if self.labels is None else {**named, "labels": self.labels}

    def rearranged(self, order: Tensor) -> Batch:
        """The same samples in another order (N,)."""
        return Batch(**{**vars(self), **{name: tensor[order] for name, tensor in self.tensors().items()}})

    def exchanged(self, place: int, other: Batch) -> Batch:
        """The same batch with one sample from another."""
        changed = {name: tensor.clone() for name, tensor in self.tensors().items()}
        for name, tensor in changed.items():
            tensor[place] = other.tensors()[name][place]
        return Batch(**{**vars(self), **changed})


@dataclass(frozen=True)
class Table:
    """Where a game is played: the players in `dtype`, and what is tried, as if it were all of the objective."""

    stage: Stage
    players: Players
    objective: Objective
    dtype: torch.dtype

    @property
    def moving(self) -> list[str]:
        """The players that the objective has terms for."""
        return [player for player in PLAYERS if hasattr(self.objective.loss, player)]

    def batch(self, seed: int) -> Batch:
        """A batch of the stage's data, chosen by the seed."""
        data = self.stage.data
        batches = Batches(data.train, data.train_labels, COUNT, [seed], together=False, flips=False, dtype=self.dtype)
        real, labels = batches.take(batches.choose())
        rng = stream(seed, "conformance latents")
        latents = torch.randn((COUNT, self.stage.trial.training.latent_dim), generator=rng, dtype=self.dtype)
        return Batch(real, latents, labels)

    def remembered(self, value: float | None = None) -> dict[str, Tensor]:
        """What the objective starts with, or the same number in every place."""
        starts = self.objective.remembers
        return {name: torch.tensor(start if value is None else value) for name, start in starts.items()}

    def game(self, player: str, batch: Batch, rng: torch.Generator, memory: float | None = None) -> Game:
        """The move of one player."""
        players, labels = self.players, batch.labels

        def generator(latents: Tensor) -> Tensor:
            return players.fake(latents, labels)

        fake = generator(batch.latents)
        fake = fake.detach() if player == "discriminator" else fake
        critic = PlainCritic(players, labels)
        remembered = self.remembered(memory)
        return Game(batch.real, fake, batch.latents, labels, critic, generator, rng, 1, remembered)

    def terms(self, player: str, batch: Batch, memory: float | None = None) -> tuple[dict[str, Tensor], bool]:
        """The objective's terms for the player, each (N,), and whether numbers were drawn from the game's `rng`."""
        rng = loss_rng()
        before = rng.get_state()
        with global_stream(0, "conformance"):
            terms = self.move(player, self.game(player, batch, rng, memory))
        return terms, not torch.equal(before, rng.get_state())

    def given(self, player: str) -> object:
        """What the component's own method gives for the player, whatever it is."""
        given: list[object] = []

        def move(game: Game) -> Any:
            given.append(getattr(self.objective.loss, player)(game))
            return given[0]

        loss: Any = SimpleNamespace(remembers=getattr(self.objective.loss, "remembers", {}), **{player: move})
        with suppress(PluginError):
            replace(self, objective=replace(self.objective, loss=loss)).terms(player, self.batch(0))
        return given[0]

    def move(self, player: str, game: Game) -> dict[str, Tensor]:
        """What the player minimises in this game."""
        return self.objective.discriminator(game) if player == "discriminator" else self.objective.generator(game)


def loss_rng() -> torch.Generator:
    """What a game's `rng` is, every time anew."""
    return stream(0, "conformance loss")


@dataclass(frozen=True)
class PlainCritic:
    """The discriminator with its labels, as a loss calls it."""

    players: Players
    labels: Tensor | None

    def __call__(self, samples: Tensor) -> Tensor:
        return self.players.logits(samples, self.labels)

    def judge(self, samples: Tensor) -> dict[str, Tensor]:
        """The logits and the heads."""
        return self.players.judge(samples, self.labels)


def lay(stage: Stage, dtype: torch.dtype = torch.float32) -> Table:
    """The table for a stage: new networks, and the component alone as what they play for."""
    subject, shape = stage.subject, tuple(stage.data.train.shape[1:])
    workshop = subject.ground.workshop
    players = build_players(workshop, stage.trial, shape)
    generator, discriminator = (
        _smoothed(copy.deepcopy(network)).to(dtype).train() for network in (players.generator, players.discriminator)
    )
    label = workshop.label(subject.kind, subject.choice)
    objective = Objective(workshop.make(subject.kind, subject.choice), loss_label=label)
    return Table(stage, replace(players, generator=generator, discriminator=discriminator), objective, dtype)


def _smoothed(network: nn.Module) -> nn.Module:
    """The network without kinks: the slope of a piecewise linear one does not change with its input a little."""
    for name, module in list(network.named_modules()):
        if name and isinstance(module, nn.ReLU | nn.LeakyReLU):
            network.set_submodule(name, nn.SiLU())
    return network
