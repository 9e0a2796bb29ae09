"""Training: the usual game of two players, and the loop that steps until a budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ganbench.accounting import Clock
from ganbench.batches import Batches
from ganbench.casts import Cast, Memory, Move
from ganbench.objective import Objective
from ganbench.optimisers import rate_factor
from ganbench.stepping import Stepper
from ganbench.terms import Budget, Optimiser, Spent, Training

POLL_STEPS = 32
"""Steps between two looks from the host for divergence: a look makes a GPU wait."""

Fakes = tuple[Tensor, Tensor]
"""Latents, and what the generator made of them."""


class Engine(Stepper):
    """The usual game: a step is one generator update with its discriminator updates, both on the same objective."""

    def __init__(
        self,
        cast: Cast,
        objective: Objective,
        batches: Batches,
        training: Training,
        *,
        captured: bool = False,
    ) -> None:
        self.objective = objective
        super().__init__(cast, batches, training, label=objective.loss_label, captured=captured)
        seeds = len(cast.players) if cast.together else None
        cast.memory = Memory(objective.remembers, cast.generator_weights[0].device, seeds)

    def updated(self) -> dict[str, tuple[Optimiser, list[Tensor]]]:
        """By the name of each update, the settings of its optimiser and the weights that it moves."""
        return {
            "discriminator": (self.training.discriminator, self._cast.discriminator_weights),
            "generator": (self.training.generator, self._cast.generator_weights),
        }

    def parts(self) -> list[object]:
        """The loss, the penalties and the augmentation."""
        return self.objective.parts

    def play(self) -> None:
        """A whole step on the device. Reads nothing from it, and nothing from the host that changes between steps."""
        reused = None
        for number, chosen in enumerate(self._chosen, start=1):
            with self.phase("data"):
                real, labels = self._batches.take(chosen)
            if self.training.reuse_fakes and number == len(self._chosen):
                reused = self._fakes(labels)
            self._update_discriminator(real, labels, reused)
        self._update_generator(real, labels, reused)  # the batch that the discriminator saw last: costs no budget
        with self.phase("average"):
            self._update_average()

    def _fakes(self, labels: Tensor | None) -> Fakes:
        """New latents, and what the generator makes of them for the labels of a real batch."""
        with self.phase("generator forward"):
            latents = self._cast.latents(self.training.batch_size, self.training.latent_dim)
            return latents, self._cast.fake(latents, labels)

    def _update_discriminator(self, real: Tensor, labels: Tensor | None, reused: Fakes | None) -> None:
        with torch.no_grad():
            latents, fake = reused or self._fakes(labels)
        with self.phase("discriminator forward"):
            move = Move(real, fake.detach(), latents, labels, self.steps)
            terms, seen = self._cast.discriminator(self.objective, move)
        self._descend("discriminator", terms, seen)

    def _update_generator(self, real: Tensor, labels: Tensor | None, reused: Fakes | None) -> None:
        latents, fake = reused or self._fakes(labels)
        with self.phase("discriminator forward"):
            move = Move(real, fake, latents, labels, self.steps)
            terms = self._cast.generator(self.objective, move)
        self._descend("generator", terms, {})


@dataclass(frozen=True)
class Checkpointed:
    """Training at an evaluation point: the budget that each seed has spent, and whether it is the end.

    `statistics` are those since the last point, one a seed.
    """

    spent: Spent
    statistics: list[dict[str, float]]
    final: bool


@dataclass(frozen=True)
class Meter:
    """What turns an engine's steps into a budget's axes. Seeds that train together share the device's time evenly."""

    clock: Clock
    flops_per_step: int

    def spent(self, engine: Stepper) -> Spent:
        """What each seed of `engine` has used so far."""
        petaflops = engine.steps * self.flops_per_step / 1e15
        return Spent(engine.kimg, engine.steps, self.clock.seconds() / len(engine.players), petaflops)


class Keeping(Protocol):
    """Somebody who keeps what training has come to, between two of its steps."""

    def due(self) -> bool:
        """Whether it is time for that. Asked after every step."""
        ...

    def keep(self) -> None:
        """Keep it. What this raises ends training."""
        ...


class NeverKept:
    """For training that is not worth keeping."""

    def due(self) -> bool:
        """Never."""
        return False

    def keep(self) -> None:
        """Nothing."""


_NEVER = NeverKept()


def train(
    engine: Stepper,
    budget: Budget,
    points: tuple[float, ...],
    meter: Meter,
    report: Callable[[Spent], None],
    keeper: Keeping = _NEVER,
) -> Iterator[Checkpointed]:
    """Step until the budget is spent, and stop at each evaluation point; the clock stands while the caller looks.

    `points` are shares of the budget, ascending; the end is always the last. `report` is told what is spent after
    every step, one that failed too. What an engine and its meter have behind them already is not done again. The clock
    stands as well while `keeper` keeps. Raises Diverged once no seed is left.
    """
    progress = budget.progress(meter.spent(engine)) if engine.steps else 0.0
    remaining = [point for point in points if progress < point < 1]
    meter.clock.resume()
    while progress < 1:
        engine.set_learning_rates(rate_factor(engine.training.schedule, progress))
        try:
            engine.step()
        finally:
            spent = meter.spent(engine)
            report(spent)
        progress = budget.progress(spent)
        if engine.steps % POLL_STEPS == 0:
            engine.check()
        if progress < 1 and not (remaining and progress >= remaining[0]):
            if keeper.due():
                meter.clock.pause()
                keeper.keep()
                meter.clock.resume()
            continue
        meter.clock.pause()
        engine.check()
        spent = meter.spent(engine)  # all of it: while the clock ran, it may have lagged behind the device
        progress = budget.progress(spent)
        yield Checkpointed(spent, engine.statistics(), final=progress >= 1)
        remaining = [point for point in remaining if point > progress]
        if progress < 1 and keeper.due():
            keeper.keep()
        meter.clock.resume()
