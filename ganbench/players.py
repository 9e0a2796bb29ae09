"""The players: two networks on one device, what they make and judge, and samples of the one that is scored."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganbench.objective import blame, expect_shape
from ganbench.seeding import global_stream


@dataclass(frozen=True)
class Players:
    """Both networks on one device. `average` is the moving average of the generator, or None.

    `shape` is one sample's shape; the discriminator judges `packing` of them together.
    """

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module | None
    shape: tuple[int, ...]
    packing: int = 1
    generator_label: str = "the generator"
    discriminator_label: str = "the discriminator"

    @property
    def scored(self) -> nn.Module:
        """The generator that is measured and saved: the average where there is one."""
        return self.generator if self.average is None else self.average

    def fake(self, latents: Tensor) -> Tensor:
        """What the generator makes of `latents` (N, Z), packed: (N / packing, …)."""
        with blame(self.generator_label):
            fake = self.generator(latents)
        return pack(expect_shape(self.generator_label, fake, (len(latents), *self.shape)), self.packing)

    def logits(self, samples: Tensor) -> Tensor:
        """What the discriminator makes of packed `samples`: logits (N / packing,)."""
        with blame(self.discriminator_label):
            logits = self.discriminator(samples)
        return expect_shape(self.discriminator_label, logits, (len(samples),))


def averaged(generator: nn.Module) -> nn.Module:
    """A copy of the generator to hold its moving average: always in evaluation mode, never trained."""
    return copy.deepcopy(generator).eval().requires_grad_(requires_grad=False)


def pack(samples: Tensor, packing: int) -> Tensor:
    """Every `packing` samples in a row as one, joined on the channel axis: (N, C, …) to (N / packing, C · packing, …).

    PacGAN (arXiv:1712.04086, §2). The batch keeps its number of samples, so that packing costs no more of a budget.
    """
    if packing == 1:
        return samples
    return samples.reshape(len(samples) // packing, samples.shape[1] * packing, *samples.shape[2:])


def packed_shape(shape: tuple[int, ...], packing: int) -> tuple[int, ...]:
    """The shape of what the discriminator judges."""
    return (shape[0] * packing, *shape[1:])


@torch.no_grad()
def sample(generator: nn.Module, latents: Tensor, label: str = "the generator", chunk: int = 500) -> Tensor:
    """What `generator` makes of `latents` (N, Z) in evaluation mode: (N, …) on its device.

    In chunks of a fixed size, so that the same latents give the same bits; the generator's mode and torch's global
    random state are as before.
    """
    was_training = generator.training
    generator.eval()
    try:
        with global_stream(0, "sampling", latents.device), blame(label):
            return torch.cat([generator(part) for part in torch.split(latents, chunk)])
    finally:
        generator.train(was_training)
