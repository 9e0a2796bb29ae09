"""What the tests of losses and penalties share: a game whose every number is chosen by the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganbench.protocols import Game

MakeGame = Callable[..., Game]


def first_coordinate(samples: Tensor) -> Tensor:
    return samples.flatten(start_dim=1)[:, 0]


@pytest.fixture
def make_game() -> MakeGame:
    """A function that builds a Game in float64; without a critic, logits are the samples' first coordinates."""

    def make(real: object, fake: object, critic: Callable[[Tensor], Tensor] = first_coordinate, seed: int = 0) -> Game:
        real, fake = (torch.as_tensor(samples, dtype=torch.float64) for samples in (real, fake))
        latents = torch.zeros(len(real), 2, dtype=torch.float64)
        rng = torch.Generator().manual_seed(seed)
        return Game(real, fake, latents, None, critic, generator=lambda _: fake, rng=rng, step=0)

    return make
