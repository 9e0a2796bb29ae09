"""The players: two networks on one device, what they make and judge, and samples of the one that is scored."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from ganbench.objective import blame, expect_shape
from ganbench.seeding import global_stream

FORGETFUL = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
"""Layers whose derivative needs their input and weights, and not their output."""


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
        return pack(full(expect_shape(self.generator_label, fake, (len(latents), *self.shape))), self.packing)

    def logits(self, samples: Tensor) -> Tensor:
        """What the discriminator makes of packed `samples`: logits (N / packing,)."""
        with blame(self.discriminator_label):
            logits = self.discriminator(samples)
        return full(expect_shape(self.discriminator_label, logits, (len(samples),)))


def full(values: Tensor) -> Tensor:
    """What a network gave, in float32 where it came in bfloat16: a loss and the data know no half precision."""
    return values.float() if values.dtype == torch.bfloat16 else values


def averaged(generator: nn.Module) -> nn.Module:
    """A copy of the generator to hold its moving average: always in evaluation mode, never trained."""
    return copy.deepcopy(generator).eval().requires_grad_(requires_grad=False)


def detached(network: nn.Module) -> nn.Module:
    """A copy of the network whose tensors share memory with nothing."""
    copied = copy.deepcopy(network)
    for tensor in (*copied.parameters(), *copied.buffers()):
        tensor.data = tensor.detach().clone()
    return copied


def arranged(network: nn.Module, shape: tuple[int, ...], given: tuple[int, ...]) -> nn.Module:
    """The same network, laid out to run faster: the numbers that it gives are as they were, but for rounding.

    An activation overwrites its input where a layer that does not need its own output is all that comes before it, and
    where nobody else does: a random input, each of shape `given`, shows that. For images from 16×16 on, a pixel's
    channels lie in a row.
    """
    activations = [
        after
        for sequence in network.modules()
        if type(sequence) is nn.Sequential
        for before, after in pairwise(sequence)
        if type(before) in FORGETFUL and isinstance(after, nn.ReLU | nn.LeakyReLU) and not after.inplace
    ]
    before = _answer(network, given) if activations else None
    _let_overwrite(activations, overwrite=True)
    after = _answer(network, given) if before is not None else None
    if before is None or after is None or not torch.equal(before, after):
        _let_overwrite(activations, overwrite=False)
    if wants_channels_last(shape):
        network.to(memory_format=torch.channels_last)
    return network


def _let_overwrite(activations: Iterable[nn.ReLU | nn.LeakyReLU], *, overwrite: bool) -> None:
    for activation in activations:
        activation.inplace = overwrite


def _answer(network: nn.Module, given: tuple[int, ...]) -> Tensor | None:
    """What a copy of the network makes of a random batch, if it can be differentiated; None where anything fails."""
    try:
        with global_stream(0, "arrangement"):
            answer = copy.deepcopy(network)(torch.randn(2, *given))
            answer.sum().backward()
    except Exception:  # noqa: BLE001 - a plugin's mistake shows in the first step, with its owner's name
        return None
    return cast(Tensor, answer.detach())


def wants_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether samples of this shape are images large enough for convolutions to gain by channels that lie in a row."""
    return len(shape) == 3 and min(shape[-2:]) >= 16


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
