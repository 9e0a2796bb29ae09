"""What both players minimise: a loss with its penalties, checked, so that a mistake bears its owner's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ganbench.errors import DataError, GanbenchError, PluginError, suggest
from ganbench.packing import pack, unpack
from ganbench.protocols import Augmentation, Game, Loss, Penalty, Remembered, Terms


class blame:  # noqa: N801 - read as a word: `with blame(label)`
    """Turns what a plugin's code raises in the block into a PluginError that names its owner.

    Running out of memory is nobody's mistake, and passes through.
    """

    __slots__ = ("_label",)

    def __init__(self, label: str) -> None:
        self._label = label

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, (DataError, PluginError, MemoryError, torch.OutOfMemoryError)):
            return
        if isinstance(error, GanbenchError):
            raise PluginError(f"{self._label}: {error}") from error
        if isinstance(error, (Exception, SystemExit)):
            raise PluginError(f"{self._label} raised {type(error).__name__}: {error}") from error


def described(value: object) -> str:
    """A value in the words of an error message: a tensor by its shape, anything else by its type."""
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def expect_shape(label: str, value: object, shape: tuple[int, ...]) -> Tensor:
    """`value`, if it is a tensor of `shape`; else a PluginError that names whose it is."""
    if isinstance(value, Tensor) and tuple(value.shape) == shape:
        return value
    raise PluginError(f"{label} gave {described(value)}, expected a tensor of shape {shape}")


@dataclass(frozen=True)
class Objective:
    """A loss with its penalties as named per-sample terms. The labels say in messages whose each is.

    What a part remembers is in `game.memory` under its place in the objective: `0/mean` is the loss's, `1/mean` that of
    the first penalty.
    """

    loss: Loss
    penalties: tuple[Penalty, ...] = ()
    loss_label: str = "the loss"
    penalty_labels: tuple[str, ...] = ()
    augmentation: Augmentation | None = None
    augmentation_label: str = "the augmentation"

    @property
    def parts(self) -> list[object]:
        """The plugins' objects that it is made of."""
        return [self.loss, *self.penalties, *([self.augmentation] if self.augmentation else [])]

    @property
    def remembers(self) -> dict[str, float]:
        """All that the parts remember, with what it starts as."""
        parts = enumerate(zip((self.loss_label, *self.penalty_labels), (self.loss, *self.penalties), strict=True))
        named: list[tuple[str, str, object]] = [(str(place), label, part) for place, (label, part) in parts]
        named += [(_AUGMENTATION, self.augmentation_label, self.augmentation)] if self.augmentation else []
        return {
            f"{place}/{name}": start for place, label, part in named for name, start in remembered(label, part).items()
        }

    def discriminator(self, game: Game) -> dict[str, Tensor]:
        """The loss's terms for the discriminator with those of the penalties, each (N,)."""
        return self._all("discriminator", game)

    def generator(self, game: Game) -> dict[str, Tensor]:
        """The loss's terms for the generator with those of the penalties, each (N,)."""
        return self._all("generator", game)

    def _all(self, player: str, game: Game) -> dict[str, Tensor]:
        terms = self._terms(0, self.loss_label, getattr(self.loss, player), game)
        for place, (label, penalty) in enumerate(zip(self.penalty_labels, self.penalties, strict=True), start=1):
            move = getattr(penalty, player, None)
            added = {} if move is None else self._terms(place, label, move, game)
            for name in added.keys() & terms.keys():
                raise PluginError(f"{label} gave a term named '{name}', which this objective has already")
            terms |= added
        return terms

    def _terms(self, place: int, label: str, move: Callable[[Game], Terms], game: Game) -> dict[str, Tensor]:
        own = _own(str(place), game.memory)
        terms = checked_terms(label, lambda: move(replace(game, memory=own) if own else game), len(game.real))
        _keep(label, str(place), own, game.memory)
        return terms

    def augmented(self, samples: Tensor, packing: int, rng: torch.Generator, memory: Remembered) -> Tensor:
        """What the discriminator sees of packed `samples`: the same, or an augmentation of each."""
        if self.augmentation is None:
            return samples
        apart = unpack(samples, packing)
        with blame(self.augmentation_label):
            changed = self.augmentation(apart, rng, _own(_AUGMENTATION, memory))
        return pack(expect_shape(self.augmentation_label, changed, tuple(apart.shape)), packing)

    @property
    def adapts(self) -> bool:
        """Whether the augmentation is told the logits of the real batch."""
        return hasattr(self.augmentation, "adapt")

    def adapt(self, real_logits: Tensor | None, memory: Remembered) -> None:
        """Let the augmentation change what it remembers, in `memory`."""
        if real_logits is None or self.augmentation is None or not self.adapts:
            return
        own = _own(_AUGMENTATION, memory)
        with blame(self.augmentation_label):
            self.augmentation.adapt(real_logits, own)
        _keep(self.augmentation_label, _AUGMENTATION, own, memory)


_AUGMENTATION = "augmentation"


def _own(place: str, memory: Remembered) -> dict[str, Tensor]:
    """What the part at that place remembers, by the names that it gave."""
    return {name.partition("/")[2]: value for name, value in memory.items() if name.startswith(f"{place}/")}


def _keep(label: str, place: str, own: Remembered, memory: Remembered) -> None:
    """Write what has become of it into `memory`, detached. Raises PluginError for another name, or for no scalar."""
    for name, value in own.items():
        if f"{place}/{name}" not in memory:
            known = _own(place, memory)
            raise PluginError(f"{label} remembers '{name}', which its `remembers` does not name.{suggest(name, known)}")
        memory[f"{place}/{name}"] = expect_shape(f"{label}: memory '{name}'", value, ()).detach()


def remembered(label: str, part: object) -> Mapping[str, float]:
    """What a part of a plugin remembers, by name, with what it starts as. Raises PluginError for anything else."""
    stated: object = getattr(part, "remembers", {})
    if not isinstance(stated, Mapping) or not all(
        isinstance(name, str) and isinstance(value, int | float) for name, value in stated.items()
    ):
        raise PluginError(f"{label}: remembers is {stated!r:.80}, expected a mapping from names to numbers")
    return stated


def checked_terms(label: str, move: Callable[[], Terms], count: int) -> dict[str, Tensor]:
    """What `move` gives, if it is named terms of shape (count,). Raises PluginError that names whose they are."""
    with blame(label):
        terms: object = move()
    if not isinstance(terms, Mapping) or not terms:
        came = "an empty mapping" if isinstance(terms, Mapping) else described(terms)
        raise PluginError(f"{label} returned {came}, expected a mapping from names to tensors of shape (N,)")
    return {name: _term(f"{label}: term '{name}'", term, count) for name, term in terms.items()}


def _term(label: str, value: object, count: int) -> Tensor:
    term = expect_shape(label, value, (count,))
    if not term.is_floating_point():
        raise PluginError(f"{label} is {term.dtype}, expected floating-point numbers")
    return term
