"""What every way of training has in common: optimisers, the average, what is seen of a step and what ends it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganbench.accounting import Tally
from ganbench.batches import Batches
from ganbench.casts import Cast
from ganbench.optimisers import clip_weights, gradients_of, make_optimiser, norms, set_learning_rate
from ganbench.players import Players
from ganbench.states import (
    State,
    Unknown,
    beyond_words,
    global_random_state,
    held,
    hold,
    network_state,
    optimiser_state,
    random_states,
    restore_global_random,
    restore_network,
    restore_optimiser,
    restore_random,
)
from ganbench.terms import Optimiser, Training
from ganbench.witness import Phase


class Diverged(Exception):  # noqa: N818 - an outcome of a trial, not anybody's mistake
    """A loss, a logit, a gradient or a weight stopped being finite at `step`, counted from 1."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"{what} is not finite at step {step}")
        self.step = step
        self.what = what


class Side(NamedTuple):
    """One of the updates of a step: its optimiser, with the settings it was made of, and what is seen of it."""

    settings: Optimiser
    optimiser: torch.optim.Optimizer
    tally: Tally


class Stepper(ABC):
    """All that a step of training touches, whatever a step is made of: `updated` and `play` say that.

    It carries one seed or several, whichever the `cast` has. With `captured`, all that changes from step to step lies
    on the device, so that `play` can be a CUDA graph. `diverged` has the seeds, by their place in the cast, that are
    beyond saving; the others go on. `phase` is entered for each part of a step, by name, for those who measure; without
    `watched`, a step keeps no statistics.
    """

    def __init__(
        self,
        cast: Cast,
        batches: Batches,
        training: Training,
        *,
        label: str,
        captured: bool = False,
    ) -> None:
        self.players = cast.players
        self.training = training
        self.steps = 0
        self.diverged: dict[int, Diverged] = {}
        self._cast = cast
        self._label = label
        self._batches = batches
        self._captured = captured
        self._device = device = cast.generator_weights[0].device
        seeds = len(cast.players) if cast.together else None
        self._sides = {
            name: Side(settings, make_optimiser(settings, weights, captured=captured), Tally(device, seeds))
            for name, (settings, weights) in self.updated().items()
        }
        self._chosen: list[Tensor] = []
        self._step: int | Tensor = torch.zeros((), dtype=torch.int64, device=device) if captured else 0
        self._kept: float | Tensor = torch.zeros((), device=device) if captured else 0.0
        self._play = self.play
        for players in cast.players:
            players.generator.train()
            players.discriminator.train()
        self._beyond_words = [beyond_words(part) for part in self._remembering()]

    @abstractmethod
    def updated(self) -> dict[str, tuple[Optimiser, list[Tensor]]]:
        """By the name of each update, the settings of its optimiser and the weights that it moves."""

    @abstractmethod
    def play(self) -> None:
        """A whole step on the device. Reads nothing from it, and nothing from the host that changes between steps."""

    @abstractmethod
    def parts(self) -> list[object]:
        """The plugins' objects that a step calls, beside the networks: what they keep is part of the state."""

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

    def _descend(self, name: str, terms: dict[str, Tensor], seen: Mapping[str, Tensor]) -> None:
        """One step of an optimiser down the gradient of `terms`; `seen` is kept with the statistics."""
        side = self._sides[name]
        with self.phase(f"{name} backward"):
            means, gradients = gradients_of(side.optimiser, terms, name, self._label)
        with self.phase("optimiser"):
            side.optimiser.step()
        if name == "discriminator" and self.training.clip is not None:
            clip_weights(
                (weight for group in side.optimiser.param_groups for weight in group["params"]), self.training.clip
            )
        if self.watched:
            with self.phase("statistics"), torch.no_grad():
                named = {f"{name}/{term}": mean for term, mean in means.items()}
                norm = {f"gradient_norm/{name}": norms(gradients, by_seed=self._cast.together)}
                side.tally.add({**named, **seen, **norm}, self._step)

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
        """Scale all learning rates from those of the recipe."""
        for side in self._sides.values():
            set_learning_rate(side.optimiser, side.settings.learning_rate * factor)

    def check(self) -> None:
        """Look for seeds in which something has ceased to be finite. Reads the device.

        Raises Diverged when no other seed is left.
        """
        first = zip(*(side.tally.first_bad() for side in self._sides.values()), strict=True)
        sound = self._sound_weights()
        for place, found in enumerate(first):
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
        finite = [weight.isfinite().reshape(len(weight), -1).all(1) for weight in weights]  # (seeds,) each
        sound: list[bool] = torch.stack(finite).all(0).tolist()
        return sound

    def statistics(self) -> list[dict[str, float]]:
        """For each seed, means since the last call of each loss term, the logits, the accuracy, the gradient norms."""
        told = zip(*(side.tally.read() for side in self._sides.values()), strict=True)
        return [{name: value for side in sides for name, value in side.items()} for sides in told]

    def state(self) -> State:
        """All that the next step depends on. Raises Unknown where a part remembers what cannot be written down."""
        for part, before in zip(self._remembering(), self._beyond_words, strict=True):
            changed = [name for name, text in beyond_words(part).items() if before.get(name) != text]
            if changed:
                raise Unknown(f"{type(part).__name__} keeps '{changed[0]}', which no checkpoint can hold")
        return {
            "steps": self.steps,
            "diverged": [[place, error.step, error.what] for place, error in self.diverged.items()],
            "networks": [_networks_state(players) for players in self.players],
            "optimisers": {name: optimiser_state(side.optimiser) for name, side in self._sides.items()},
            "tallies": {name: side.tally.state() for name, side in self._sides.items()},
            "memory": self._cast.memory.state(),
            "habits": self._cast.habits(),
            "batches": self._batches.state(),
            "random": random_states(self._random_generators()),
            "global_random": global_random_state(self._device),
            "parts": [held(part) for part in self.parts()],
        }

    def restore(self, state: State) -> None:
        """Go on from there, before the first step of an engine that was built alike."""
        self.steps = state["steps"]
        self.diverged = {place: Diverged(step, what) for place, step, what in state["diverged"]}
        for players, saved in zip(self.players, state["networks"], strict=True):
            _restore_networks(players, saved)
        for name, side in self._sides.items():
            restore_optimiser(side.optimiser, state["optimisers"][name])
            side.tally.restore(state["tallies"][name])
        self._cast.memory.keep(state["memory"])
        self._cast.take_on(state["habits"])
        self._batches.restore(state["batches"])
        restore_random(self._random_generators(), state["random"])
        restore_global_random(state["global_random"], self._device)
        for part, saved in zip(self.parts(), state["parts"], strict=True):
            hold(part, saved)

    def _random_generators(self) -> list[torch.Generator]:
        """All that a step draws from, besides torch's global generators."""
        return self._cast.random_generators()

    def _remembering(self) -> list[object]:
        networks = [network for players in self.players for network in (players.generator, players.discriminator)]
        return [*self.parts(), *(module for network in networks for module in network.modules())]


def _networks_of(players: Players) -> dict[str, nn.Module]:
    networks = {"generator": players.generator, "discriminator": players.discriminator}
    return networks if players.average is None else {**networks, "average": players.average}


def _networks_state(players: Players) -> State:
    return {name: network_state(network) for name, network in _networks_of(players).items()}


def _restore_networks(players: Players, state: State) -> None:
    for name, network in _networks_of(players).items():
        restore_network(network, state[name])
