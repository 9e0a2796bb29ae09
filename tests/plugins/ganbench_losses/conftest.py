"""A small critic in float64 with every head, and games for it: what the tests of losses have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from ganbench.protocols import Game

SHAPE = (2, 2, 2)  # (C, H, W), so that a norm over the channels only is another number
CATEGORIES, CONTINUOUS, CLASSES = 3, 2, 4


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass(frozen=True)
class SmallCritic:
    """One hidden layer on 8 numbers; `kind` says what its logits are: scalar, vector or energy."""

    kind: str
    weights: dict[str, Tensor]

    def __call__(self, samples: Tensor) -> Tensor:
        return self.judge(samples)["logits"]

    def judge(self, samples: Tensor) -> dict[str, Tensor]:
        flat = samples.flatten(start_dim=1)  # (N, 8)
        hidden = torch.tanh(flat @ self.weights["in"] + self.weights["bias"])  # (N, 5)
        energy = (hidden @ self.weights["decode"] - flat).square().mean(dim=1)
        logits = {"scalar": hidden @ self.weights["out"], "vector": hidden @ self.weights["vector"], "energy": -energy}
        return {
            "logits": logits[self.kind],
            "features": hidden,
            "classes": hidden @ self.weights["classes"],
            "code": hidden @ self.weights["code"],
        }


@pytest.fixture
def small_critic() -> Callable[[str], SmallCritic]:
    """A function that builds the critic of a kind, always with the same weights."""

    def make(kind: str) -> SmallCritic:
        code = CATEGORIES + CONTINUOUS
        shapes = {"in": (8, 5), "bias": (5,), "out": (5,), "vector": (5, 3), "decode": (5, 8)}
        shapes |= {"classes": (5, CLASSES), "code": (5, code)}
        weights = {name: drawn(100 + n, *shape).requires_grad_() for n, (name, shape) in enumerate(shapes.items())}
        return SmallCritic(kind, weights)

    return make


@pytest.fixture
def small_game() -> Callable[..., Game]:
    """A function that builds a game of four real and four fake images, with labels, latents and what is remembered."""

    def make(critic, memory=None, real=None, fake=None, seed: int = 0) -> Game:
        real = 2 * drawn(1, 4, *SHAPE) if real is None else real
        fake = drawn(2, 4, *SHAPE) - 0.5 if fake is None else fake
        remembered = {name: torch.tensor(value) for name, value in (memory or {}).items()}
        return Game(
            real,
            fake,
            latents=drawn(3, len(real), CATEGORIES + CONTINUOUS + 1),
            labels=torch.arange(len(real)).flip(0) % CLASSES,
            critic=critic,
            generator=lambda _: fake,
            rng=torch.Generator().manual_seed(seed),
            step=1,
            memory=remembered,
        )

    return make
