"""Several seeds at once: an augmentation inside vmap gives each seed what it would get alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.testing import assert_close

from ganbench.draws import Draws
from ganbench_augmentations.ada import ADA
from ganbench_augmentations.diffaugment import DiffAugment
from ganbench_augmentations.noise import InstanceNoise

SEEDS = 3


def rngs() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]


def remembered(augmentation) -> dict[str, Tensor]:
    return {name: torch.tensor(value) for name, value in getattr(augmentation, "remembers", {}).items()}


@pytest.mark.parametrize(
    "augmentation", [DiffAugment(), ADA(p=0.7), InstanceNoise()], ids=lambda one: type(one).__name__
)
def test_each_seed_gets_the_changes_that_it_would_get_alone(augmentation):
    images = torch.randn(SEEDS, 4, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    memory = remembered(augmentation)
    alone = [augmentation(one, rng, dict(memory)) for one, rng in zip(images, rngs(), strict=True)]
    draws = Draws(rngs(), torch.device("cpu"))

    def play(one: Tensor, kept: dict[str, Tensor]) -> Tensor:
        draws.token = one
        return augmentation(one, draws.rng, dict(kept))

    with draws:
        together = vmap(play)(images, {name: value.repeat(SEEDS) for name, value in memory.items()})
    assert_close(together, torch.stack(alone))


@pytest.mark.parametrize("augmentation", [ADA(p=0.5, every=2), InstanceNoise()], ids=lambda one: type(one).__name__)
def test_each_seed_adapts_as_it_would_alone(augmentation):
    logits = torch.tensor([1.0, -1.0, 0.5]).reshape(SEEDS, 1) * torch.ones(SEEDS, 4)

    def twice(one: Tensor, kept: dict[str, Tensor]) -> dict[str, Tensor]:
        kept = dict(kept)
        for _ in range(2):
            augmentation.adapt(one, kept)
        return kept

    memory = remembered(augmentation)
    together = vmap(twice)(logits, {name: value.repeat(SEEDS) for name, value in memory.items()})
    alone = [twice(one, memory) for one in logits]
    for name, values in together.items():
        assert_close(values, torch.stack([kept[name] for kept in alone]))
