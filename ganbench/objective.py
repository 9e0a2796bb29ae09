"""What both players minimise: a loss with its penalties, checked, so that a mistake bears its owner's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.errors import DataError, GanbenchError, PluginError
from ganbench.protocols import Game, Loss, Penalty, Terms


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
    """A loss with its penalties as named per-sample terms. The labels say in messages whose each is."""

    loss: Loss
    penalties: tuple[Penalty, ...] = ()
    loss_label: str = "the loss"
    penalty_labels: tuple[str, ...] = ()

    def discriminator(self, game: Game) -> dict[str, Tensor]:
        """The loss's terms for the discriminator with those of every penalty, each (N,)."""
        terms = _terms(self.loss_label, self.loss.discriminator, game)
        for label, penalty in zip(self.penalty_labels, self.penalties, strict=True):
            for name, term in _terms(label, penalty.discriminator, game).items():
                if name in terms:
                    raise PluginError(f"{label} gave a term named '{name}', which this objective has already")
                terms[name] = term
        return terms

    def generator(self, game: Game) -> dict[str, Tensor]:
        """The loss's terms for the generator, each (N,)."""
        return _terms(self.loss_label, self.loss.generator, game)


def _terms(label: str, move: Callable[[Game], Terms], game: Game) -> dict[str, Tensor]:
    with blame(label):
        terms: object = move(game)
    if not isinstance(terms, Mapping) or not terms:
        came = "an empty mapping" if isinstance(terms, Mapping) else described(terms)
        raise PluginError(f"{label} returned {came}, expected a mapping from names to tensors of shape (N,)")
    return {name: _term(f"{label}: term '{name}'", term, len(game.real)) for name, term in terms.items()}


def _term(label: str, value: object, count: int) -> Tensor:
    term = expect_shape(label, value, (count,))
    if not term.is_floating_point():
        raise PluginError(f"{label} is {term.dtype}, expected floating-point numbers")
    return term
