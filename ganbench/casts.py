"""Who plays: one seed's players, or those of several seeds at once; either way a loss sees one seed and a batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.func import vmap

from ganbench.draws import Draws
from ganbench.objective import Objective, blame, expect_shape
from ganbench.players import Players, full, pack
from ganbench.protocols import Game
from ganbench.seeding import stream
from ganbench.stacking import StackedNetwork, lift
from ganbench.terms import Precision
from ganbench.witness import Network, Phase, Terms, Witness, no_phase, sharable, still_shared


class Move(NamedTuple):
    """What one player's update starts from: real samples, fakes that are not packed yet, latents, labels or None.

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

    def average(self) -> Average | None:
        """The generators' averages as they are now, or None where there are none."""
        ...

    def latents(self, batch_size: int, latent_dim: int) -> Tensor:
        """Standard normal latents: (batch_size, latent_dim), or (seeds, batch_size, latent_dim)."""
        ...

    def fake(self, latents: Tensor) -> Tensor:
        """What the generator makes of the latents: (…, batch_size / packing, *packed shape)."""
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
        self._autocast = _autocast(self._device, precision)
        self._shared = sharable(players, precision)
        self._average = _following(players)

    def average(self) -> Average | None:
        """The average; its buffers looked up each time, since a network may put another tensor in one's place."""
        average = self._average
        return _following(self.players[0]) if average is not None and average.buffers else average

    def latents(self, batch_size: int, latent_dim: int) -> Tensor:
        """(batch_size, latent_dim)."""
        dtype = self.generator_weights[0].dtype
        return torch.randn((batch_size, latent_dim), generator=self._latents_rng, device=self._device, dtype=dtype)

    def fake(self, latents: Tensor) -> Tensor:
        """(batch_size / packing, *packed shape)."""
        with self._autocast():
            return self.players[0].fake(latents)

    def discriminator(self, objective: Objective, move: Move) -> tuple[Terms, Terms]:
        """Each term (N,), each part of the summary a scalar."""
        game, witness = self._game(move, self._shared)
        with self._autocast():
            terms = objective.discriminator(game)
        self._shared = still_shared(self._shared, witness.asked)
        return terms, witness.summary() if self.watched else {}

    def generator(self, objective: Objective, move: Move) -> Terms:
        """Each term (N,)."""
        game, _ = self._game(move, ())
        with self._autocast():
            return objective.generator(game)

    def random_generators(self) -> list[torch.Generator]:
        """The streams of latents and of the loss."""
        return [self._latents_rng, self._loss_rng]

    def _game(self, move: Move, shared: Collection[str]) -> tuple[Game, Witness]:
        players = self.players[0]
        real = pack(move.real, players.packing)
        witness = Witness(players.logits, real, move.fake, _at_once, shared=shared, phase=self.phase)
        game = Game(real, move.fake, move.latents, move.labels, witness, players.fake, self._loss_rng, move.step)
        return game, witness


class Together:
    """Several seeds of one variant in stacked tensors. A loss still sees one seed: it runs inside vmap.

    Each seed draws from streams of its own, so that it gets the numbers that it would get alone. Raises NotTogether
    where the networks of two seeds do not match.
    """

    together = True

    def __init__(self, players: Sequence[Players], seeds: Sequence[int], precision: Precision = "float32") -> None:
        self.watched = True
        self.phase: Phase = no_phase
        self.players = tuple(players)
        self._generator = StackedNetwork([one.generator for one in players])
        self._discriminator = StackedNetwork([one.discriminator for one in players])
        self.generator_weights = self._generator.parameters()
        self.discriminator_weights = self._discriminator.parameters()
        self._average = _following_together(players, self._generator)
        self._device = self.generator_weights[0].device
        self._latents_rngs = [stream(seed, "latents", self._device) for seed in seeds]
        self._draws = Draws([stream(seed, "loss", self._device) for seed in seeds], self._device)
        self._autocast = _autocast(self._device, precision)
        self._shared = sharable(players[0], precision)
        self._asked: dict[str, tuple[str, ...]] = {}
        self._drawing: dict[str, bool] = {}

    def average(self) -> Average | None:
        """The averages of all seeds."""
        return self._average

    def latents(self, batch_size: int, latent_dim: int) -> Tensor:
        """(seeds, batch_size, latent_dim)."""
        shape, dtype = (len(self._latents_rngs), batch_size, latent_dim), self.generator_weights[0].dtype
        latents = torch.empty(shape, device=self._device, dtype=dtype)
        for row, rng in zip(latents, self._latents_rngs, strict=True):
            row.normal_(generator=rng)
        return latents

    def fake(self, latents: Tensor) -> Tensor:
        """(seeds, batch_size / packing, *packed shape)."""
        with self._autocast():
            return self._fake(latents)

    def discriminator(self, objective: Objective, move: Move) -> tuple[Terms, Terms]:
        """Each term (seeds, N), each part of the summary (seeds,)."""
        return self._play("discriminator", objective.discriminator, move, self._shared)

    def generator(self, objective: Objective, move: Move) -> Terms:
        """Each term (seeds, N)."""
        return self._play("generator", objective.generator, move, ())[0]

    def _play(
        self, player: str, minimised: Callable[[Game], Terms], move: Move, shared: Collection[str]
    ) -> tuple[Terms, Terms]:
        """What a loss makes of each seed's game, and what its critic said.

        What it asked of the critic in the last step is computed for all seeds before it is called.
        """
        real = self._packed(move.real)
        with self._autocast():
            ready = self._answers(self._asked.get(player, ()), {"real": real, "fake": move.fake}, shared)
            asked: list[str] = []

            def play(given: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> tuple[Terms, Terms]:
                game, witness = self._game(given, known, move.step, shared)
                terms = minimised(game)
                asked.extend(witness.asked)
                return terms, witness.summary() if self.watched else {}

            # A mode costs every operation a detour. Without it, a loss that draws after all is refused by vmap.
            with self._draws if self._drawing.get(player, True) else nullcontext():
                result: tuple[Terms, Terms] = vmap(play)(_given(move, real), ready)
            self._drawing[player] = self._draws.was_used() or self._drawing.get(player, False)
        self._asked[player] = tuple(dict.fromkeys(asked))
        self._shared = still_shared(self._shared, asked) if shared else self._shared
        return result

    def _answers(
        self, asked: Sequence[str], batches: Mapping[str, Tensor], shared: Collection[str]
    ) -> dict[str, Tensor]:
        witness = Witness(self._logits, batches["real"], batches["fake"], _at_once, shared=shared, phase=self.phase)
        calls: dict[str, Network] = {name: witness for name in batches}  # noqa: C420 - dict.fromkeys knows no Network
        calls |= {f"{name} slopes": witness.slopes for name in batches}
        return {name: calls[name](batches[name.partition(" ")[0]]) for name in asked}

    def random_generators(self) -> list[torch.Generator]:
        """The streams of latents and of the loss, one of each a seed."""
        return [*self._latents_rngs, *self._draws.rngs]

    def _game(
        self, given: Mapping[str, Tensor], known: Mapping[str, Tensor], step: int, shared: Collection[str]
    ) -> tuple[Game, Witness]:
        """One seed's game, from inside vmap."""
        real, fake, latents = given["real"], given["fake"], given["latents"]
        self._draws.token = latents
        witness = Witness(self._logits, real, fake, lift, shared=shared, phase=self.phase, ready=known)
        generator = partial(lift, self._fake)
        return Game(real, fake, latents, given.get("labels"), witness, generator, self._draws.rng, step), witness

    def _packed(self, samples: Tensor) -> Tensor:
        packing = self.players[0].packing
        return samples if packing == 1 else vmap(partial(pack, packing=packing))(samples)

    def _fake(self, latents: Tensor) -> Tensor:
        one, (seeds, count, *_) = self.players[0], latents.shape
        with blame(one.generator_label):
            fake = self._generator(latents)
        fake = full(expect_shape(one.generator_label, fake, (seeds, count, *one.shape)))
        return self._packed(fake)

    def _logits(self, samples: Tensor) -> Tensor:
        label = self.players[0].discriminator_label
        with blame(label):
            logits = self._discriminator(samples)
        return full(expect_shape(label, logits, tuple(samples.shape[:2])))


def _at_once(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    return function(*tensors)


def _given(move: Move, real: Tensor) -> dict[str, Tensor]:
    given = {"real": real, "fake": move.fake, "latents": move.latents}
    return given if move.labels is None else {**given, "labels": move.labels}


def _following(players: Players) -> Average | None:
    average, generator = players.average, players.generator
    if average is None:
        return None
    return Average(
        list(average.parameters()), list(generator.parameters()), list(average.buffers()), list(generator.buffers())
    )


def _following_together(players: Sequence[Players], generator: StackedNetwork) -> Average | None:
    averages = [one.average for one in players if one.average is not None]
    if not averages:
        return None
    own = StackedNetwork(averages)
    weights = {id(own.weights[name]): name for name in own.weights}.values()  # tied weights move once
    return Average(
        [own.weights[name] for name in weights],
        [generator.weights[name] for name in weights],
        list(own.buffers.values()),
        [generator.buffers[name] for name in own.buffers],
    )


def _autocast(device: torch.device, precision: Precision) -> Callable[[], AbstractContextManager[Any]]:
    """What a player's turn is computed in: bfloat16 where it is asked for and safe, else as torch is set."""
    if precision != "bf16":
        return nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)
