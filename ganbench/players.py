"""The players: two networks on one device, what they make and judge, and samples of the one that is scored."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from ganbench.errors import PluginError
from ganbench.objective import blame, described, expect_shape
from ganbench.packing import pack
from ganbench.seeding import global_stream

FORGETFUL = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
"""Layers whose derivative needs their input and weights, and not their output."""


@dataclass(frozen=True)
class Players:
    """Both networks on one device. `average` is the moving average of the generator, or None.

    `shape` is one sample's shape; the discriminator judges `packing` of them together, and gives `outputs` numbers for
    each. `told` names the players that are told labels.
    """

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module | None
    shape: tuple[int, ...]
    packing: int = 1
    outputs: int = 1
    told: frozenset[str] = frozenset()
    generator_label: str = "the generator"
    discriminator_label: str = "the discriminator"

    @property
    def scored(self) -> nn.Module:
        """The generator that is measured and saved: the average where there is one."""
        return self.generator if self.average is None else self.average

    def fake(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the generator makes of `latents` (N, Z) for `labels` (N,), packed: (N / packing, …)."""
        told = self.to_tell("generator", len(latents), labels)
        with blame(self.generator_label):
            fake = self.generator(latents, *told)
        return pack(full(expect_shape(self.generator_label, fake, (len(latents), *self.shape))), self.packing)

    def logits(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the discriminator makes of packed `samples`: logits (N / packing,), vectors where it has outputs."""
        told = self.to_tell("discriminator", len(samples), labels)
        with blame(self.discriminator_label):
            logits = self.discriminator(samples, *told)
        return self._judged("", logits, len(samples))

    def judge(self, samples: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """The logits of packed `samples` and all heads of the discriminator, by name."""
        told = self.to_tell("discriminator", len(samples), labels)
        with blame(self.discriminator_label):
            heads: object = self.discriminator.judge(samples, *told)  # type: ignore[operator]
        if not isinstance(heads, Mapping) or "logits" not in heads:
            came = f"the heads {sorted(map(str, heads))}" if isinstance(heads, Mapping) else described(heads)
            raise PluginError(f"{self.discriminator_label}: judge gave {came}, expected a mapping with 'logits'")
        for name, value in heads.items():
            if not isinstance(value, Tensor):
                came = described(value)
                raise PluginError(f"{self.discriminator_label}: judge gave {came} as '{name}', expected a tensor")
        logits = self._judged(": judge", heads["logits"], len(samples))
        return {**{name: full(value) for name, value in heads.items()}, "logits": logits}

    def to_tell(self, player: str, count: int, labels: Tensor | None) -> tuple[Tensor, ...]:
        """The labels, if the player is told some. Raises PluginError where they are not those of `count` samples."""
        if player not in self.told:
            return ()
        label = self.generator_label if player == "generator" else self.discriminator_label
        if labels is None or labels.shape[-1] != count:
            there = "no labels" if labels is None else f"labels of {labels.shape[-1]}"
            raise PluginError(f"{label} was called with {count} samples, and there are {there}")
        return (labels,)

    def _judged(self, where: str, logits: object, count: int) -> Tensor:
        shape = (count,) if self.outputs == 1 else (count, self.outputs)
        return full(expect_shape(f"{self.discriminator_label}{where}", logits, shape))


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


def arranged(network: nn.Module, shape: tuple[int, ...], given: tuple[int, ...], classes: int = 0) -> nn.Module:
    """The same network, laid out to run faster: the numbers that it gives are as they were, but for rounding.

    An activation overwrites its input where a layer that does not need its own output is all that comes before it, and
    where nobody else does: a random input, each of shape `given` and with one of `classes` labels where there are any,
    shows that. For images from 16×16 on, a pixel's
    channels lie in a row.
    """
    activations = [
        after
        for sequence in network.modules()
        if type(sequence) is nn.Sequential
        for before, after in pairwise(sequence)
        if type(before) in FORGETFUL and isinstance(after, nn.ReLU | nn.LeakyReLU) and not after.inplace
    ]
    before = _answer(network, given, classes) if activations else None
    _let_overwrite(activations, overwrite=True)
    after = _answer(network, given, classes) if before is not None else None
    if before is None or after is None or not torch.equal(before, after):
        _let_overwrite(activations, overwrite=False)
    if wants_channels_last(shape):
        network.to(memory_format=torch.channels_last)
    return network


def _let_overwrite(activations: Iterable[nn.ReLU | nn.LeakyReLU], *, overwrite: bool) -> None:
    for activation in activations:
        activation.inplace = overwrite


def _answer(network: nn.Module, given: tuple[int, ...], classes: int) -> Tensor | None:
    """What a copy of the network makes of a random batch, if it can be differentiated; None where anything fails."""
    try:
        with global_stream(0, "arrangement"):
            labels = (torch.tensor([0, classes - 1]),) if classes else ()
            answer = copy.deepcopy(network)(torch.randn(2, *given), *labels)
            answer.sum().backward()
    except Exception:  # noqa: BLE001 - a plugin's mistake shows in the first step, with its owner's name
        return None
    return cast(Tensor, answer.detach())


def wants_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether samples of this shape are images large enough for convolutions to gain by channels that lie in a row."""
    return len(shape) == 3 and min(shape[-2:]) >= 16


@torch.no_grad()
def sample(
    generator: nn.Module,
    latents: Tensor,
    label: str = "the generator",
    chunk: int = 500,
    labels: Tensor | None = None,
) -> Tensor:
    """What `generator` makes of `latents` (N, Z), for `labels` (N,) if there are any, in evaluation mode: (N, …).

    In chunks of a fixed size, so that the same latents give the same bits; the generator's mode and torch's global
    random state are as before.
    """
    was_training = generator.training
    generator.eval()
    try:
        with global_stream(0, "sampling", latents.device), blame(label):
            given = [torch.split(tensor, chunk) for tensor in (latents, labels) if tensor is not None]
            return torch.cat([generator(*parts) for parts in zip(*given, strict=True)])
    finally:
        generator.train(was_training)
