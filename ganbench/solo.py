"""One seed's players, operation by operation."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from ganbench.casts import Average, Memory, Move, autocast, follow
from ganbench.objective import Objective
from ganbench.packing import pack
from ganbench.players import Players
from ganbench.protocols import Game
from ganbench.seeding import stream
from ganbench.states import State
from ganbench.terms import Precision
from ganbench.witness import Phase, Terms, Witness, at_once, no_phase, sharable, still_shared


class Solo:
    """One seed, operation by operation."""

    together = False

    def __init__(self, players: Players, seed: int, precision: Precision = "float32") -> None:
        self.watched = True
        self.phase: Phase = no_phase
        self.players: tuple[Players, ...] = (players,)
        self.generator_weights: list[Tensor] = list(players.generator.parameters())
        self.discriminator_weights: list[Tensor] = list(players.discriminator.parameters())
        self._device = self.generator_weights[0].device
        self._latents_rng = stream(seed, "latents", self._device)
        self._loss_rng = stream(seed, "loss", self._device)
        self._augmentation_rng = stream(seed, "augmentation", self._device)
        self.memory = Memory({}, self._device)
        self._autocast = autocast(self._device, precision)
        self._shared = sharable(players, precision)
        self._average = follow(players)

    def average(self) -> Average | None:
        """The average; its buffers looked up each time, since a network may put another tensor in one's place."""
        average = self._average
        return follow(self.players[0]) if average is not None and average.buffers else average

    def latents(self, batch_size: int, latent_dim: int) -> Tensor:
        """(batch_size, latent_dim)."""
        dtype = self.generator_weights[0].dtype
        return torch.randn((batch_size, latent_dim), generator=self._latents_rng, device=self._device, dtype=dtype)

    def fake(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """(batch_size / packing, *packed shape)."""
        with self._autocast():
            return self.players[0].fake(latents, labels)

    def discriminator(self, objective: Objective, move: Move) -> tuple[Terms, Terms]:
        """Each term (N,), each part of the summary a scalar."""
        game, witness = self._game(objective, move, self._shared)
        with self._autocast():
            terms = objective.discriminator(game)
        objective.adapt(witness.logits_of("real"), game.memory)
        self.memory.keep(game.memory)
        if move.step == 1:
            self._shared = still_shared(self._shared, witness.asked)
        return terms, witness.summary() if self.watched else {}

    def generator(self, objective: Objective, move: Move) -> Terms:
        """Each term (N,)."""
        game, _ = self._game(objective, move, ())
        with self._autocast():
            terms = objective.generator(game)
        self.memory.keep(game.memory)
        return terms

    def random_generators(self) -> list[torch.Generator]:
        """The streams of latents, of the loss and of the augmentation."""
        return [self._latents_rng, self._loss_rng, self._augmentation_rng]

    def habits(self) -> State:
        """Which passes of the critic a penalty shares."""
        return {"shared": sorted(self._shared)}

    def take_on(self, habits: State) -> None:
        """Go on with them."""
        self._shared = frozenset(habits["shared"])

    def _game(self, objective: Objective, move: Move, shared: Collection[str]) -> tuple[Game, Witness]:
        players, labels, memory = self.players[0], move.labels, self.memory.told()

        def seen(samples: Tensor) -> Tensor:
            return objective.augmented(samples, players.packing, self._augmentation_rng, memory)

        real = pack(move.real, players.packing)
        witness = Witness(
            lambda samples: players.logits(seen(samples), labels),
            real,
            move.fake,
            at_once,
            shared=shared,
            phase=self.phase,
            heads=lambda samples: players.judge(seen(samples), labels),
        )

        def fake(latents: Tensor) -> Tensor:
            return players.fake(latents, labels)

        rng = self._loss_rng
        return Game(real, move.fake, move.latents, labels, witness, fake, rng, move.step, memory), witness
