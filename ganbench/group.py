"""Several seeds of one variant in stacked tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.func import vmap

from ganbench.casts import Average, Memory, Move, autocast
from ganbench.draws import Draws
from ganbench.objective import Objective, blame, expect_shape
from ganbench.packing import pack
from ganbench.players import Players, full
from ganbench.protocols import Game
from ganbench.seeding import stream
from ganbench.stacking import StackedNetwork, lift
from ganbench.states import State
from ganbench.terms import Precision
from ganbench.witness import Network, Phase, Terms, Witness, at_once, no_phase, sharable, still_shared


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
        self._augmentation_rngs = [stream(seed, "augmentation", self._device) for seed in seeds]
        self.memory = Memory({}, self._device, len(seeds))
        self._autocast = autocast(self._device, precision)
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

    def fake(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """(seeds, batch_size / packing, *packed shape)."""
        with self._autocast():
            return self._fake(latents, labels)

    def discriminator(self, objective: Objective, move: Move) -> tuple[Terms, Terms]:
        """Each term (seeds, N), each part of the summary (seeds,)."""
        return self._play("discriminator", objective, move, self._shared)

    def generator(self, objective: Objective, move: Move) -> Terms:
        """Each term (seeds, N)."""
        return self._play("generator", objective, move, ())[0]

    def _play(
        self, player: Literal["generator", "discriminator"], objective: Objective, move: Move, shared: Collection[str]
    ) -> tuple[Terms, Terms]:
        """What a loss makes of each seed's game, and what its critic said.

        What it asked of the critic in the last step is computed for all seeds before it is called.
        """
        move = move._replace(real=self._packed(move.real))
        minimised, asked, told = getattr(objective, player), list[str](), self.memory.told()
        judge = self._judge(objective, move, told)
        with self._autocast():
            # A pass that leaves a trace, or draws, comes when the loss asks for it, and in that order, as alone.
            traceless = objective.augmentation is None and not self._discriminator.buffers
            ready = self._answers(judge, self._asked.get(player, ()), move, shared) if traceless else {}

            def play(
                given: Mapping[str, Tensor], known: Mapping[str, Tensor], memory: Mapping[str, Tensor]
            ) -> tuple[Terms, Terms, Terms, Terms]:
                game, witness = self._game(given, known, move, shared, judge, memory)
                terms = minimised(game)
                asked.extend(witness.asked)
                seen = {"real": witness.logits_of("real")} if objective.adapts else {}
                heard = {name: logits for name, logits in seen.items() if logits is not None}
                return terms, witness.summary() if self.watched else {}, dict(game.memory), heard

            # A mode costs every operation a detour. Without it, a loss that draws after all is refused by vmap.
            with self._draws if self._drawing.get(player, True) else nullcontext():
                terms, summary, memory, heard = vmap(play)(_given(move), ready, told)
            self._drawing[player] = self._draws.was_used() or self._drawing.get(player, False)
        self._asked[player] = tuple(dict.fromkeys(asked))
        if player == "discriminator" and move.step == 1:
            self._shared = still_shared(self._shared, asked)
        self.memory.keep(_adapted(objective, heard.get("real"), memory) if player == "discriminator" else memory)
        return terms, summary

    def _judge(self, objective: Objective, move: Move, told: Mapping[str, Tensor]) -> Network:
        """The discriminators as they see packed samples of all seeds."""
        packing = self.players[0].packing
        rngs = self._augmentation_rngs

        def judge(samples: Tensor) -> Tensor:
            if objective.augmentation is not None:
                memories = [{name: value[place] for name, value in told.items()} for place in range(len(rngs))]
                triples = zip(samples, rngs, memories, strict=True)
                samples = torch.stack([objective.augmented(own, packing, rng, memory) for own, rng, memory in triples])
            return self._logits(samples, move.labels)

        return judge

    def _answers(self, judge: Network, asked: Sequence[str], move: Move, shared: Collection[str]) -> dict[str, Tensor]:
        batches = {"real": move.real, "fake": move.fake}
        witness = Witness(judge, move.real, move.fake, at_once, shared=shared, phase=self.phase)
        calls: dict[str, Network] = {name: witness for name in batches}  # noqa: C420 - dict.fromkeys knows no Network
        calls |= {f"{name} slopes": witness.slopes for name in batches}
        return {name: calls[name](batches[name.partition(" ")[0]]) for name in asked}

    def random_generators(self) -> list[torch.Generator]:
        """The streams of latents, of the loss and of the augmentation, one of each a seed."""
        return [*self._latents_rngs, *self._draws.rngs, *self._augmentation_rngs]

    def habits(self) -> State:
        """Which passes of the critic a penalty shares, what losses ask for, and whether they draw."""
        asked = {player: list(names) for player, names in self._asked.items()}
        return {"shared": sorted(self._shared), "asked": asked, "drawing": dict(self._drawing)}

    def take_on(self, habits: State) -> None:
        """Go on with them."""
        self._shared = frozenset(habits["shared"])
        self._asked = {player: tuple(names) for player, names in habits["asked"].items()}
        self._drawing = dict(habits["drawing"])

    def _game(
        self,
        given: Mapping[str, Tensor],
        known: Mapping[str, Tensor],
        move: Move,
        shared: Collection[str],
        judge: Network,
        memory: Mapping[str, Tensor],
    ) -> tuple[Game, Witness]:
        """One seed's game, from inside vmap."""
        real, fake, latents = given["real"], given["fake"], given["latents"]
        self._draws.token = latents
        witness = Witness(judge, real, fake, lift, shared=shared, phase=self.phase, ready=known)
        generator = partial(lift, lambda latents: self._fake(latents, move.labels))
        labels, rng = given.get("labels"), self._draws.rng
        return Game(real, fake, latents, labels, witness, generator, rng, move.step, dict(memory)), witness

    def _packed(self, samples: Tensor) -> Tensor:
        packing = self.players[0].packing
        return samples if packing == 1 else vmap(partial(pack, packing=packing))(samples)

    def _fake(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        one, (seeds, count, *_) = self.players[0], latents.shape
        told = one.to_tell("generator", count, labels)
        with blame(one.generator_label):
            fake = self._generator(latents, *told)
        fake = full(expect_shape(one.generator_label, fake, (seeds, count, *one.shape)))
        return self._packed(fake)

    def _logits(self, samples: Tensor, labels: Tensor | None) -> Tensor:
        one, (seeds, count, *_) = self.players[0], samples.shape
        told = one.to_tell("discriminator", count, labels)
        with blame(one.discriminator_label):
            logits = self._discriminator(samples, *told)
        shape = (seeds, count) if one.outputs == 1 else (seeds, count, one.outputs)
        return full(expect_shape(one.discriminator_label, logits, shape))


def _adapted(objective: Objective, real_logits: Tensor | None, memory: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """What seeds remember after each was told its logits (seeds, N)."""
    if real_logits is None or not objective.adapts:
        return memory
    each = [{name: value[place] for name, value in memory.items()} for place in range(len(real_logits))]
    for logits, own in zip(real_logits, each, strict=True):
        objective.adapt(logits, own)
    return {name: torch.stack([own[name] for own in each]) for name in memory}


def _given(move: Move) -> dict[str, Tensor]:
    given = {"real": move.real, "fake": move.fake, "latents": move.latents}
    return given if move.labels is None else {**given, "labels": move.labels}


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
