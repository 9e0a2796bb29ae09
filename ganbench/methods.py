"""Training by a method: it says which networks play, and which updates a step is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ganbench.batches import Batches
from ganbench.casts import Cast, Memory, autocast
from ganbench.errors import PluginError, suggest
from ganbench.objective import Objective, checked_terms
from ganbench.protocols import Game, Scene, Turn
from ganbench.seeding import stream
from ganbench.stepping import Stepper
from ganbench.terms import Optimiser, Training


class MethodEngine(Stepper):
    """One seed of a trial whose method says what a step is. `networks` are the generator and those beside it, by name.

    Raises PluginError for a turn of a network that there is not, and for two of one name that do not move the same.
    """

    def __init__(
        self,
        cast: Cast,
        networks: Mapping[str, nn.Module],
        turns: tuple[Turn, ...],
        objective: Objective | None,
        batches: Batches,
        training: Training,
        *,
        label: str,
        seed: int,
    ) -> None:
        self._networks = networks
        self._turns = turns
        self.objective = objective
        _check_turns(label, turns, networks)
        super().__init__(cast, batches, training, label=label)
        device = cast.generator_weights[0].device
        self._rng = stream(seed, "loss", device)
        self._autocast = autocast(device, training.precision)
        cast.memory = Memory(objective.remembers if objective else {}, device)

    def updated(self) -> dict[str, tuple[Optimiser, list[Tensor]]]:
        """Each turn's optimiser and weights: a network that moves in turns of two names has an optimiser in each."""
        settings = {"generator": self.training.generator, "discriminator": self.training.discriminator}
        return {
            turn.name: (
                settings[turn.optimiser],
                [weight for player in turn.players for weight in self._networks[player].parameters()],
            )
            for turn in self._turns
        }

    def parts(self) -> list[object]:
        """The method, as far as its turns belong to an object, and the objective's parts."""
        owners = {id(owner): owner for turn in self._turns if (owner := getattr(turn.minimised, "__self__", None))}
        return [*owners.values(), *(self.objective.parts if self.objective else [])]

    def _random_generators(self) -> list[torch.Generator]:
        return [*super()._random_generators(), self._rng]

    def play(self) -> None:
        """The turns of every batch for each of them, then the others with the last one."""
        for chosen in self._chosen:
            with self.phase("data"):
                real, labels = self._batches.take(chosen)
            for turn in (turn for turn in self._turns if turn.every_batch):
                self._take(turn, real, labels)
        for turn in (turn for turn in self._turns if not turn.every_batch):
            self._take(turn, real, labels)
        with self.phase("average"):
            self._update_average()

    def _take(self, turn: Turn, real: Tensor, labels: Tensor | None) -> None:
        latents = self._cast.latents(self.training.batch_size, self.training.latent_dim)
        games: list[Game] = []

        def game(fake: Tensor, critic: Callable[[Tensor], Tensor]) -> Game:
            games.append(self._game(real, latents, labels, fake, critic))
            return games[-1]

        scene = Scene(real, latents, labels, self._networks, self.objective, game, self._rng, self.steps)
        with self.phase(f"{turn.name} forward"), self._autocast():
            terms = checked_terms(self._label, lambda: turn.minimised(scene), self.training.batch_size)
        if games:  # what a loss remembers of games before the last one was looking ahead
            self._cast.memory.keep(games[-1].memory)
        self._descend(turn.name, terms, {})

    def _game(self, real: Tensor, latents: Tensor, labels: Tensor | None, fake: Tensor, critic: object) -> Game:
        """What a loss sees of these fakes and this critic."""
        memory = self._cast.memory.told()
        return Game(real, fake, latents, labels, critic, self._generate, self._rng, self.steps, memory)  # type: ignore[arg-type]

    def _generate(self, latents: Tensor) -> Tensor:
        fake: Tensor = self._networks["generator"](latents)
        return fake


def _check_turns(label: str, turns: tuple[Turn, ...], networks: Mapping[str, nn.Module]) -> None:
    """Nothing, if turns move networks that there are, and those of one name, for they share an optimiser, the same."""
    for turn in turns:
        if turn.optimiser not in ("generator", "discriminator"):
            named = f"{label}: turn '{turn.name}' takes the optimiser of '{turn.optimiser}'"
            raise PluginError(f"{named}.{suggest(turn.optimiser, ('generator', 'discriminator'))}")
    moved: dict[str, tuple[tuple[str, ...], str]] = {}
    for turn in turns:
        for player in turn.players:
            if player not in networks:
                raise PluginError(f"{label}: turn '{turn.name}' moves '{player}'.{suggest(player, networks)}")
        same = moved.setdefault(turn.name, (turn.players, turn.optimiser))
        if same != (turn.players, turn.optimiser):
            raise PluginError(
                f"{label}: two turns named '{turn.name}' move {same[0]} and {turn.players}: name one anew"
            )
