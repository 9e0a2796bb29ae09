"""Several seeds at once: a penalty inside vmap gives each seed what it would get alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.testing import assert_close

from ganbench.draws import Draws
from ganbench.protocols import Game
from ganbench_penalties.consistency import Consistency, LatentConsistency
from ganbench_penalties.diversity import FeatureMatching, ModeSeeking, PullingAway
from ganbench_penalties.lecam import LeCam

SEEDS, COUNT = 3, 4


class Judge:
    """Its features are the pixels, its logits their weighted sums: the weights are a seed's own."""

    def __init__(self, weights: Tensor) -> None:
        self._weights = weights

    def __call__(self, samples: Tensor) -> Tensor:
        return self.judge(samples)["logits"]

    def judge(self, samples: Tensor) -> dict[str, Tensor]:
        features = samples.flatten(start_dim=1)
        return {"logits": (features @ self._weights).tanh(), "features": features}


def rngs() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(SEEDS, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("player", "penalty"),
    [
        ("discriminator", LeCam(start=0)),
        ("discriminator", Consistency(fake=5.0)),
        ("discriminator", LatentConsistency()),
        ("generator", LatentConsistency()),
        ("generator", ModeSeeking()),
        ("generator", FeatureMatching()),
        ("generator", PullingAway()),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_each_seed_pays_what_it_would_pay_alone(player, penalty):
    remembers = {name: torch.tensor(value) for name, value in getattr(penalty, "remembers", {}).items()}
    draws = Draws(rngs(), torch.device("cpu"))

    def play(real: Tensor, fake: Tensor, latents: Tensor, weights: Tensor, kept: dict[str, Tensor], rng=None) -> Tensor:
        draws.token = real
        game = Game(
            real=real,
            fake=fake,
            latents=latents,
            labels=None,
            critic=Judge(weights),
            generator=lambda given: (given @ torch.ones(6, 64, dtype=given.dtype)).reshape(-1, 1, 8, 8),
            rng=rng or draws.rng,
            step=1,
            memory=dict(kept),
        )
        (term,) = getattr(penalty, player)(game).values()
        return term

    given = (
        numbers(COUNT, 1, 8, 8, seed=0),
        numbers(COUNT, 1, 8, 8, seed=1),
        numbers(COUNT, 6, seed=2),
        numbers(64, seed=3),
    )
    alone = [play(*one, remembers, rng) for *one, rng in zip(*given, rngs(), strict=True)]
    with draws:
        together = vmap(play)(*given, {name: value.repeat(SEEDS) for name, value in remembers.items()})
    assert together.shape == (SEEDS, COUNT)
    assert_close(together, torch.stack(alone))
