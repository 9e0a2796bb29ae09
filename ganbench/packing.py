"""Samples that the discriminator judges together, as one: PacGAN's packing (arXiv:1712.04086, §2)."""

from __future__ import annotations

from torch import Tensor


def pack(samples: Tensor, packing: int) -> Tensor:
    """Every `packing` samples in a row as one, joined on the channel axis: (N, C, …) to (N / packing, C · packing, …).

    PacGAN (arXiv:1712.04086, §2). The batch keeps its number of samples, so that packing costs no more of a budget.
    """
    if packing == 1:
        return samples
    return samples.reshape(len(samples) // packing, samples.shape[1] * packing, *samples.shape[2:])


def unpack(samples: Tensor, packing: int) -> Tensor:
    """What `pack` joined, apart again: (N / packing, C · packing, …) to (N, C, …)."""
    if packing == 1:
        return samples
    return samples.reshape(len(samples) * packing, samples.shape[1] // packing, *samples.shape[2:])


def packed_shape(shape: tuple[int, ...], packing: int) -> tuple[int, ...]:
    """The shape of what the discriminator judges."""
    return (shape[0] * packing, *shape[1:])
