"""Inner products of all pairs of samples, in float64 and block by block, so that memory stays bounded.

Squared distances and polynomial kernels are both functions of inner products. In float64, rounding is far below what
tells two float32 features apart: a fake that copies a real image is known to be as near as that image itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import torch
from torch import Tensor

from ganbench.protocols import Evidence, Tensors

SIDE = 512
"""Rows and columns of a block: 2 MiB, which stay in a processor's cache."""

KEPT = 2**27
"""The most pairs of reals and fakes whose products are kept for other metrics of the same evaluation: 1 GiB. Of pairs
within a side, half as many."""

Side = Literal["real", "fake"]

Block = tuple[slice, slice, Tensor]
"""Rows, columns, and the inner products of those rows with those columns."""


def within(samples: Tensor) -> Iterator[Block]:
    """Products of samples (N, D) with each other: the blocks on and above the diagonal, for the rest mirrors them."""
    for rows in spans(len(samples)):
        left = samples[rows].double()
        for columns in spans(len(samples), rows.start):
            yield rows, columns, left @ samples[columns].double().T


def between(real: Tensor, fake: Tensor) -> Iterator[Block]:
    """Products of reals (N, D) with fakes (M, D): all blocks, reals in the rows."""
    for rows in spans(len(real)):
        left = real[rows].double()
        for columns in spans(len(fake)):
            yield rows, columns, left @ fake[columns].double().T


def all_within(evidence: Evidence, side: Side, samples: Tensor) -> Iterator[Block]:
    """As `within` all samples of a side, computed once for all metrics where they fit. Do not write to them."""
    if len(samples) ** 2 > KEPT // 2:
        return within(samples)
    kept = evidence.of_both.recall(f"pairs/{side}/1", lambda: _assembled(within(samples), len(samples), samples))
    return (
        (rows, columns, kept["products"][rows, columns])
        for rows in spans(len(samples))
        for columns in spans(len(samples), rows.start)
    )


def all_between(evidence: Evidence, real: Tensor, fake: Tensor) -> Iterator[Block]:
    """As `between` all samples of both sides, computed once for all metrics where they fit. Do not write to them."""
    if len(real) * len(fake) > KEPT:
        return between(real, fake)
    kept = evidence.of_both.recall("pairs/both/1", lambda: _assembled(between(real, fake), len(real), fake))
    return (
        (rows, columns, kept["products"][rows, columns]) for rows in spans(len(real)) for columns in spans(len(fake))
    )


def _assembled(blocks: Iterable[Block], count: int, others: Tensor) -> Tensors:
    """One matrix of the blocks, (count, len(others)); where there is no block it is not written to."""
    products = torch.empty(count, len(others), dtype=torch.float64, device=others.device)
    for rows, columns, block in blocks:
        products[rows, columns] = block
    return {"products": products}


def squared_norms(samples: Tensor) -> Tensor:
    """|x|² of each sample (N, D): (N,) float64."""
    norms = torch.empty(len(samples), dtype=torch.float64, device=samples.device)
    for rows in spans(len(samples)):  # a list of small results between large temporary ones would tear memory apart
        norms[rows] = samples[rows].double().square().sum(dim=1)
    return norms


def spans(count: int, start: int = 0) -> Iterator[slice]:
    """The numbers from `start` to `count`, cut into slices of SIDE."""
    for begin in range(start, count, SIDE):
        yield slice(begin, min(begin + SIDE, count))
