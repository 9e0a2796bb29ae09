"""The engine: the players' optimisers and the data, stepped until a budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.accounting import Clock, Tally
from ganbench.batches import Batches
from ganbench.casts import Cast, Move
from ganbench.objective import Objective
from ganbench.optimisers import (
    clip_weights,
    gradients_of,
    make_optimiser,
    norms,
    rate_factor,
    set_learning_rate,
)
from ganbench.terms import Budget, Spent, Training
from ganbench.witness import Phase

POLL_STEPS = 32
"""Steps between two looks from the host for divergence: a look makes a GPU wait."""

Fakes = tuple[Tensor, Tensor]
"""Latents, and what the generator made of them."""


class Diverged(Exception):  # noqa: N818 - an outcome of a trial, not anybody's mistake
    """A loss, a logit, a gradient or a weight stopped being finite at `step`, counted from 1."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"{what} is not finite at step {step}")
        self.step = step


class Engine:
    """All that a step of training touches. A step is one generator update with its discriminator updates.

    It carries one seed or several, whichever the `cast` has. With `captured`, all that changes from step to step lies
    on the device, so that `play` can be a CUDA graph. `diverged` has the seeds, by their place in the cast, that are
    beyond saving; the others go on. `phase` is entered for each part of a step, by name, for those who measure; without
    `watched`, a step keeps no statistics.
    """

    def __init__(
        self,
        cast: Cast,
        objective: Objective,
        batches: Batches,
        training: Training,
        *,
        captured: bool = False,
    ) -> None:
        self.players = cast.players
        self.training = training
        self.steps = 0
        self.diverged: dict[int, Diverged] = {}
        self._cast = cast
        self.objective = objective
        self._batches = batches
        self._captured = captured
        device = cast.generator_weights[0].device
        self._generator_optimiser = make_optimiser(training.generator, cast.generator_weights, captured=captured)
        self._discriminator_optimiser = make_optimiser(
            training.discriminator, cast.discriminator_weights, captured=captured
        )
        seeds = len(cast.players) if cast.together else None
        self._generator_tally, self._discriminator_tally = Tally(device, seeds), Tally(device, seeds)
        self._chosen: list[Tensor] = []
        self._step: int | Tensor = torch.zeros((), dtype=torch.int64, device=device) if captured else 0
        self._kept: float | Tensor = torch.zeros((), device=device) if captured else 0.0
        self._play = self.play
        for players in cast.players:
            players.generator.train()
            players.discriminator.train()

    @property
    def watched(self) -> bool:
        """Whether steps keep statistics."""
        return self._cast.watched

    @watched.setter
    def watched(self, watched: bool) -> None:
        self._cast.watched = watched

    @property
    def phase(self) -> Phase:
        """What is entered for each part of a step, by name."""
        return self._cast.phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._cast.phase = phase

    @property
    def kimg(self) -> float:
        """Thousands of real images shown to each seed's discriminator so far, repetitions counted."""
        return self.steps * self.training.discriminator_steps * self.training.batch_size / 1000

    def step(self) -> None:
        """Update the discriminator as often as the recipe says, the generator once, and its average."""
        self.steps += 1
        self._prepare()
        self._play()

    def capture(self, wrap: Callable[[Callable[[], None], list[torch.Generator]], Callable[[], None]]) -> None:
        """From now on, let `wrap` carry out `play`; it is told the random generators that a step draws from."""
        self._play = wrap(self.play, [*self._cast.random_generators(), *self._batches.generators])

    def _prepare(self) -> None:
        """What the host decides before a step: which samples, and how much of the average is kept."""
        with self.phase("data"):
            chosen = [self._batches.choose() for _ in range(self.training.discriminator_steps)]
        kept = self._share_kept()
        if not self._captured:
            self._chosen, self._step, self._kept = chosen, self.steps, kept
            return
        self._chosen = self._chosen or [indices.clone() for indices in chosen]
        for mine, indices in zip(self._chosen, chosen, strict=True):
            mine.copy_(indices)
        self._step.fill_(self.steps)  # type: ignore[union-attr]
        self._kept.fill_(kept)  # type: ignore[union-attr]

    def play(self) -> None:
        """A whole step on the device. Reads nothing from it, and nothing from the host that changes between steps."""
        reused = None
        for number, chosen in enumerate(self._chosen, start=1):
            with self.phase("data"):
                real, labels = self._batches.take(chosen)
            if self.training.reuse_fakes and number == len(self._chosen):
                reused = self._fakes()
            self._update_discriminator(real, labels, reused)
        self._update_generator(real, labels, reused)  # the batch that the discriminator saw last: costs no budget
        with self.phase("average"):
            self._update_average()

    def _fakes(self) -> Fakes:
        """New latents, and what the generator makes of them."""
        with self.phase("generator forward"):
            latents = self._cast.latents(self.training.batch_size, self.training.latent_dim)
            return latents, self._cast.fake(latents)

    def _update_discriminator(self, real: Tensor, labels: Tensor | None, reused: Fakes | None) -> None:
        with torch.no_grad():
            latents, fake = reused or self._fakes()
        with self.phase("discriminator forward"):
            move = Move(real, fake.detach(), latents, labels, self.steps)
            terms, seen = self._cast.discriminator(self.objective, move)
        means, gradients = self._descend(self._discriminator_optimiser, terms, "discriminator")
        if self.training.clip is not None:
            clip_weights(self._cast.discriminator_weights, self.training.clip)
        self._watch(self._discriminator_tally, "discriminator", means, seen, gradients)

    def _update_generator(self, real: Tensor, labels: Tensor | None, reused: Fakes | None) -> None:
        latents, fake = reused or self._fakes()
        with self.phase("discriminator forward"):
            move = Move(real, fake, latents, labels, self.steps)
            terms = self._cast.generator(self.objective, move)
        means, gradients = self._descend(self._generator_optimiser, terms, "generator")
        self._watch(self._generator_tally, "generator", means, {}, gradients)

    def _descend(
        self, optimiser: torch.optim.Optimizer, terms: dict[str, Tensor], player: str
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        with self.phase(f"{player} backward"):
            means, gradients = gradients_of(optimiser, terms, player, self.objective.loss_label)
        with self.phase("optimiser"):
            optimiser.step()
        return means, gradients

    @torch.no_grad()
    def _watch(
        self,
        tally: Tally,
        player: str,
        means: Mapping[str, Tensor],
        seen: Mapping[str, Tensor],
        gradients: list[Tensor],
    ) -> None:
        if not self.watched:
            return
        with self.phase("statistics"):
            named = {f"{player}/{name}": mean for name, mean in means.items()}
            norm = {f"gradient_norm/{player}": norms(gradients, by_seed=self._cast.together)}
            tally.add({**named, **seen, **norm}, self._step)

    def _share_kept(self) -> float:
        """The weight of the old average in the new one."""
        half_life_kimg = self.training.ema_half_life_kimg
        if half_life_kimg is None:
            return 0.0
        half_life = min(half_life_kimg, self.kimg * self.training.ema_rampup)
        return 0.5 ** (self.kimg / self.steps / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def _update_average(self) -> None:
        average = self._cast.average()
        if average is None:
            return
        if isinstance(self._kept, Tensor):
            change = torch._foreach_sub(average.followed_weights, average.weights)  # noqa: SLF001 - as documented as the others
            torch._foreach_mul_(change, 1 - self._kept)
            torch._foreach_add_(average.weights, change)
        else:
            torch._foreach_lerp_(average.weights, average.followed_weights, 1 - self._kept)
        for mine, its in zip(average.buffers, average.followed_buffers, strict=True):
            mine.copy_(its)

    def set_learning_rates(self, factor: float) -> None:
        """Scale both players' learning rates from those of the recipe."""
        set_learning_rate(self._generator_optimiser, self.training.generator.learning_rate * factor)
        set_learning_rate(self._discriminator_optimiser, self.training.discriminator.learning_rate * factor)

    def check(self) -> None:
        """Look for seeds in which something has ceased to be finite. Reads the device.

        Raises Diverged when no other seed is left.
        """
        pairs = zip(self._discriminator_tally.first_bad(), self._generator_tally.first_bad(), strict=True)
        sound = self._sound_weights()
        for place, found in enumerate(pairs):
            bad = [step for step in found if step is not None]
            if place not in self.diverged and bad:
                self.diverged[place] = Diverged(min(bad), "a loss term, a logit or a gradient")
            elif place not in self.diverged and not sound[place]:
                self.diverged[place] = Diverged(self.steps, "a weight")
        if len(self.diverged) == len(self.players):
            raise self.diverged[max(self.diverged, key=lambda place: self.diverged[place].step)]

    def _sound_weights(self) -> list[bool]:
        weights = [*self._cast.discriminator_weights, *self._cast.generator_weights]
        if not self._cast.together:
            return [bool(torch.stack([weight.isfinite().all() for weight in weights]).all())]
        sound: list[bool] = torch.stack([weight.isfinite().flatten(1).all(1) for weight in weights]).all(0).tolist()
        return sound

    def statistics(self) -> list[dict[str, float]]:
        """For each seed, means since the last call of each loss term, the logits, the accuracy, the gradient norms."""
        pairs = zip(self._discriminator_tally.read(), self._generator_tally.read(), strict=True)
        return [{**discriminator, **generator} for discriminator, generator in pairs]


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

    def spent(self, engine: Engine) -> Spent:
        """What each seed of `engine` has used so far."""
        petaflops = engine.steps * self.flops_per_step / 1e15
        return Spent(engine.kimg, engine.steps, self.clock.seconds() / len(engine.players), petaflops)


def train(
    engine: Engine, budget: Budget, points: tuple[float, ...], meter: Meter, report: Callable[[Spent], None]
) -> Iterator[Checkpointed]:
    """Step until the budget is spent, and stop at each evaluation point; the clock stands while the caller looks.

    `points` are shares of the budget, ascending; the end is always the last. `report` is told what is spent after
    every step, one that failed too. Raises Diverged once no seed is left.
    """
    remaining = [point for point in points if point < 1]
    progress = 0.0
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
            continue
        meter.clock.pause()
        engine.check()
        spent = meter.spent(engine)  # all of it: while the clock ran, it may have lagged behind the device
        progress = budget.progress(spent)
        yield Checkpointed(spent, engine.statistics(), final=progress >= 1)
        remaining = [point for point in remaining if point > progress]
        meter.clock.resume()
