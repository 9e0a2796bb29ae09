"""A turn's scene for small networks in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from scenes import DIMENSION, LATENT_DIM, drawn
from torch import Tensor, nn

from ganbench.protocols import Game, Scene


@pytest.fixture
def make_scene() -> Callable[..., Scene]:
    """A function that builds a turn's scene of five points, the same every time for the same arguments."""

    def make(networks: Mapping[str, nn.Module], real=None, latents=None, objective=None, seed=0, step=1) -> Scene:
        real = 2 * drawn(1, 5, DIMENSION) + 1 if real is None else real
        latents = drawn(2, len(real), LATENT_DIM) if latents is None else latents
        rng = torch.Generator().manual_seed(seed)

        def game(fake: Tensor, critic: Callable[[Tensor], Tensor]) -> Game:
            return Game(real, fake, latents, None, critic, networks["generator"], rng, step, {})  # type: ignore[arg-type]

        return Scene(real, latents, None, networks, objective, game, rng, step)

    return make
