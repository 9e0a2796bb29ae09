"""The engine: the players' optimisers and the data, stepped until a budget is spent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganbench.accounting import Clock, Tally
from ganbench.datasets import as_input
from ganbench.errors import PluginError
from ganbench.objective import Objective
from ganbench.players import Players, pack
from ganbench.protocols import Game
from ganbench.seeding import stream
from ganbench.terms import Budget, Optimiser, Spent, Training

POLL_STEPS = 32
"""Steps between two looks from the host for divergence: a look makes a GPU wait."""


class Diverged(Exception):  # noqa: N818 - an outcome of a trial, not anybody's mistake
    """A loss, a logit, a gradient or a weight stopped being finite at `step`, counted from 1."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"{what} is not finite at step {step}")
        self.step = step


def make_optimiser(settings: Optimiser, network: nn.Module) -> torch.optim.Optimizer:
    """torch's optimiser for one player, fused where torch has it."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate = settings.learning_rate
    first, second = map(float, settings.betas)  # torch takes no mixture of integers and floats
    if settings.name == "adam":
        return torch.optim.Adam(parameters, lr=rate, betas=(first, second), eps=settings.epsilon, fused=True)
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, alpha=second, eps=settings.epsilon)
    return torch.optim.SGD(parameters, lr=rate, fused=True)


def rate_factor(schedule: str, progress: float) -> float:
    """What the recipe's learning rates are multiplied by when `progress` (0 to 1) of the budget is spent."""
    remaining = 1 - min(max(progress, 0.0), 1.0)
    if schedule == "linear":
        return remaining
    return (1 - math.cos(math.pi * remaining)) / 2 if schedule == "cosine" else 1.0


class Batches:
    """Real samples on the device, in a new random order each epoch; an epoch's last part runs into the next."""

    def __init__(self, samples: Tensor, labels: Tensor | None, batch_size: int, rng: torch.Generator) -> None:
        self._samples = samples  # (N, C, H, W) uint8 or (N, D) float32
        self._labels = labels  # (N,) or None
        self._batch_size = batch_size
        self._rng = rng
        self._order = torch.empty(0, dtype=torch.int64, device=samples.device)
        self._position = 0

    def next(self) -> tuple[Tensor, Tensor | None]:
        """The next batch as networks see it, (batch_size, …), and its labels, (batch_size,) or None."""
        while self._position + self._batch_size > len(self._order):
            epoch = torch.randperm(len(self._samples), generator=self._rng, device=self._samples.device)
            self._order = torch.cat([self._order[self._position :], epoch])
            self._position = 0
        chosen = self._order[self._position : self._position + self._batch_size]
        self._position += self._batch_size
        return as_input(self._samples[chosen]), None if self._labels is None else self._labels[chosen]


class Witness:
    """The critic as a loss calls it, which remembers what it said of the real and of the fake batch."""

    def __init__(self, players: Players, real: Tensor, fake: Tensor) -> None:
        self._players = players
        self._real, self._fake = real, fake
        self._real_logits: Tensor | None = None
        self._fake_logits: Tensor | None = None

    def __call__(self, samples: Tensor) -> Tensor:
        """Logits (N,) of packed samples."""
        logits = self._players.logits(samples)
        if samples is self._real:
            self._real_logits = logits.detach()
        elif samples is self._fake:
            self._fake_logits = logits.detach()
        return logits

    def summary(self) -> dict[str, Tensor]:
        """Mean logits, and the share of pairs in which the real sample has the higher logit: ½ is chance.

        Pairs, because a threshold means nothing to a critic whose logits may have any offset, as a Wasserstein critic's
        have. Empty for a loss that shows the critic neither batch as it is.
        """
        if self._real_logits is None or self._fake_logits is None:
            return {}
        right = (self._real_logits > self._fake_logits).float() + (self._real_logits == self._fake_logits).float() / 2
        return {
            "logit/real": self._real_logits.mean(),
            "logit/fake": self._fake_logits.mean(),
            "discriminator/accuracy": right.mean(),
        }


class Engine:
    """All that a step of training touches. A step is one generator update with its discriminator updates."""

    def __init__(self, players: Players, objective: Objective, batches: Batches, training: Training, seed: int) -> None:
        self.players = players
        self.training = training
        self.steps = 0
        self._objective = objective
        self._batches = batches
        self._device = next(players.generator.parameters()).device
        self._latents_rng = stream(seed, "latents", self._device)
        self._loss_rng = stream(seed, "loss", self._device)
        self._generator_optimiser = make_optimiser(training.generator, players.generator)
        self._discriminator_optimiser = make_optimiser(training.discriminator, players.discriminator)
        self._generator_tally = Tally(self._device)
        self._discriminator_tally = Tally(self._device)
        players.generator.train()
        players.discriminator.train()

    @property
    def kimg(self) -> float:
        """Thousands of real images shown to the discriminator so far, repetitions counted."""
        return self.steps * self.training.discriminator_steps * self.training.batch_size / 1000

    def step(self) -> None:
        """Update the discriminator as often as the recipe says, the generator once, and its average."""
        self.steps += 1
        for _ in range(self.training.discriminator_steps):
            real, labels = self._batches.next()
            self._update_discriminator(real, labels)
        self._update_generator(real, labels)  # the batch that the discriminator saw last: costs no budget
        self._update_average()

    def _update_discriminator(self, real: Tensor, labels: Tensor | None) -> None:
        latents = self._latents()
        with torch.no_grad():
            fake = self.players.fake(latents)
        game, witness = self._game(real, fake, latents, labels)
        terms = self._objective.discriminator(game)
        norm = descend(self._discriminator_optimiser, terms, self._objective.loss_label)
        if self.training.clip is not None:
            clip_weights(self.players.discriminator, self.training.clip)
        values = {f"discriminator/{name}": term.mean() for name, term in terms.items()}
        self._discriminator_tally.add({**values, **witness.summary(), "gradient_norm/discriminator": norm}, self.steps)

    def _update_generator(self, real: Tensor, labels: Tensor | None) -> None:
        latents = self._latents()
        fake = self.players.fake(latents)
        game, _ = self._game(real, fake, latents, labels)
        terms = self._objective.generator(game)
        norm = descend(self._generator_optimiser, terms, self._objective.loss_label)
        values = {f"generator/{name}": term.mean() for name, term in terms.items()}
        self._generator_tally.add({**values, "gradient_norm/generator": norm}, self.steps)

    @torch.no_grad()
    def _update_average(self) -> None:
        average, half_life_kimg = self.players.average, self.training.ema_half_life_kimg
        if average is None or half_life_kimg is None:
            return
        half_life = min(half_life_kimg, self.kimg * self.training.ema_rampup)
        kept = 0.5 ** (self.kimg / self.steps / half_life) if half_life > 0 else 0.0
        torch._foreach_lerp_(list(average.parameters()), list(self.players.generator.parameters()), 1 - kept)
        for mine, its in zip(average.buffers(), self.players.generator.buffers(), strict=True):
            mine.copy_(its)

    def _latents(self) -> Tensor:
        shape = (self.training.batch_size, self.training.latent_dim)
        return torch.randn(shape, generator=self._latents_rng, device=self._device)

    def _game(self, real: Tensor, fake: Tensor, latents: Tensor, labels: Tensor | None) -> tuple[Game, Witness]:
        packed = pack(real, self.players.packing)
        witness = Witness(self.players, packed, fake)
        game = Game(packed, fake, latents, labels, witness, self.players.fake, self._loss_rng, self.steps)
        return game, witness

    def set_learning_rates(self, factor: float) -> None:
        """Scale both players' learning rates from those of the recipe."""
        for optimiser, settings in (
            (self._generator_optimiser, self.training.generator),
            (self._discriminator_optimiser, self.training.discriminator),
        ):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * factor

    def check(self) -> None:
        """Raise Diverged if anything has ceased to be finite. Reads the device."""
        tallies = (self._discriminator_tally, self._generator_tally)
        bad = [step for step in (tally.first_bad() for tally in tallies) if step is not None]
        if bad:
            raise Diverged(min(bad), "a loss term, a logit or a gradient")
        for network in (self.players.discriminator, self.players.generator):
            if not torch.stack([parameter.isfinite().all() for parameter in network.parameters()]).all():
                raise Diverged(self.steps, "a weight")

    def statistics(self) -> dict[str, float]:
        """Means since the last call of each loss term, the logits, the accuracy and the gradient norms."""
        return {**self._discriminator_tally.read(), **self._generator_tally.read()}


def descend(optimiser: torch.optim.Optimizer, terms: dict[str, Tensor], label: str = "the loss") -> Tensor:
    """One update of the optimiser's parameters, and of nothing else, on the sum of the terms' means over the batch.

    Gives the Euclidean norm of the whole gradient, a scalar on the device. A parameter that no term reaches is left;
    if there is no other, raises a PluginError that names the loss by its `label`.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    total = torch.stack([term.mean() for term in terms.values()]).sum()
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(total, inputs=parameters)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        raise PluginError(f"{label}: its terms ({', '.join(terms)}) reach no weight of the player that is to move")
    norm = torch.nn.utils.get_total_norm(gradients)
    optimiser.step()
    return norm


@torch.no_grad()
def clip_weights(network: nn.Module, bound: float) -> None:
    """Bring every parameter of `network` into [-bound, bound] (Wasserstein GAN, arXiv:1701.07875, algorithm 1)."""
    parameters: list[Tensor] = list(network.parameters())
    torch._foreach_clamp_min_(parameters, -bound)
    torch._foreach_clamp_max_(parameters, bound)


@dataclass(frozen=True)
class Checkpointed:
    """Training at an evaluation point: the budget spent, the statistics since the last point, whether it is the end."""

    spent: Spent
    statistics: dict[str, float]
    final: bool


@dataclass(frozen=True)
class Meter:
    """What turns an engine's steps into a budget's axes."""

    clock: Clock
    flops_per_step: int

    def spent(self, engine: Engine) -> Spent:
        """What `engine` has used so far."""
        petaflops = engine.steps * self.flops_per_step / 1e15
        return Spent(engine.kimg, engine.steps, self.clock.seconds(), petaflops)


def train(
    engine: Engine, budget: Budget, points: tuple[float, ...], meter: Meter, report: Callable[[Spent], None]
) -> Iterator[Checkpointed]:
    """Step until the budget is spent, and stop at each evaluation point; the clock stands while the caller looks.

    `points` are shares of the budget, ascending; the end is always the last. `report` is told what is spent after
    every step, one that failed too. Raises Diverged.
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
