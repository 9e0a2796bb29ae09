"""Random numbers for a loss that plays for several seeds at once: each seed gets those that it would draw alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ganbench.stacking import NotTogether, lift


class _NobodysGenerator(torch.Generator):
    """Stands for the generators of all seeds; what only one seed's could answer, it does not."""

    def __getattribute__(self, name: str) -> Any:
        if name in dir(torch.Generator) and not name.startswith("__") and name != "device":
            raise NotTogether(f"the objective asks a random generator for its {name}, which each seed has its own of")
        return super().__getattribute__(name)


class Draws(TorchFunctionMode):
    """Hands each seed the random numbers that it would draw alone, where a loss asks for some from `rng`."""

    def __init__(self, rngs: Sequence[torch.Generator], device: torch.device) -> None:
        super().__init__()
        self.rngs = list(rngs)
        self.rng = _NobodysGenerator(device)
        self.token: Tensor | None = None
        self._used = False

    def was_used(self) -> bool:
        """Whether anything was drawn since the last call."""
        used, self._used = self._used, False
        return used

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        named = named or {}
        if named.get("generator") is not self.rng or self.token is None:
            return function(*arguments, **named)
        if any(isinstance(value, Tensor) for value in (*arguments, *named.values())):
            raise NotTogether(f"torch.{function.__name__} draws random numbers by the values of a tensor")

        self._used = True

        def draw(_: Tensor) -> Tensor:
            return torch.stack([function(*arguments, **{**named, "generator": rng}) for rng in self.rngs])

        return lift(draw, self.token)
