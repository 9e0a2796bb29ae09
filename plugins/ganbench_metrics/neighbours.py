"""Which samples lie within the balls around others that reach to their k-th nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ganbench.protocols import Evidence, Tensors
from ganbench_metrics import pairs

DEPTH = 5
"""Neighbours whose distances are found in one go, so that metrics with k up to this share them."""

ROUNDING = 1e-13
"""How much of |x|² + |y|² rounding may add to a squared distance. Float32 itself blurs features by 6e-8 of their size,
and distances by more than the root of this, so nothing is lost."""


def real_balls(evidence: Evidence, real: Tensor, k: int) -> Tensor:
    """The squared radii, (N,) float64, of balls around reals (N, D) that hold k other reals."""
    depth = max(DEPTH, k)

    def compute() -> Tensors:
        return {"squared": nearest(real, depth, pairs.all_within(evidence, "real", real))}

    kept = evidence.of_real.recall(f"neighbours/nearest/1/{depth}", compute)
    return _closed(kept["squared"][:, k - 1].to(real.device), real)


def fake_balls(evidence: Evidence, fake: Tensor, k: int) -> Tensor:
    """The squared radii, (N,) float64, of balls around fakes (N, D) that hold k other fakes."""
    return _closed(nearest(fake, k, pairs.all_within(evidence, "fake", fake))[:, k - 1], fake)


def nearest(samples: Tensor, k: int, blocks: Iterable[pairs.Block]) -> Tensor:
    """Squared distances of samples (N, D) from their k nearest others, ascending: (N, k) float64, infinite if too few.

    `blocks` are the samples' products with each other. A duplicate is another sample, at distance 0.
    """
    norms = pairs.squared_norms(samples)
    found = norms.new_full((len(samples), k + 1), torch.inf)  # with the sample itself
    for rows, columns, products in blocks:
        found[rows] = _smallest(found[rows], _from_a_row(norms[columns], products))
        if columns.start > rows.start:
            found[columns] = _smallest(found[columns], _from_a_row(norms[rows], products.T.contiguous()))
    return (found[:, 1:] + norms[:, None]).clamp_min_(0)


def crossing(evidence: Evidence, real: Tensor, fake: Tensor) -> Iterator[pairs.Block]:
    """Squared distances, by rounding perhaps below 0, of reals (N, D) from fakes (M, D): all blocks, reals in rows."""
    real_norms, fake_norms = pairs.squared_norms(real), pairs.squared_norms(fake)
    for rows, columns, products in pairs.all_between(evidence, real, fake):
        yield rows, columns, _from_a_row(fake_norms[columns], products).add_(real_norms[rows, None])


def _from_a_row(norms: Tensor, products: Tensor) -> Tensor:
    """Squared distances of columns of those norms (M,) from each row, (N, M), but for the row's own squared norm."""
    return torch.add(norms, products, alpha=-2)


def _smallest(known: Tensor, candidates: Tensor) -> Tensor:
    """The smallest numbers of each row in both, ascending, as many as are known."""
    few = candidates.topk(min(known.shape[1], candidates.shape[1]), dim=1, largest=False).values
    return torch.cat([known, few], dim=1).topk(known.shape[1], dim=1, largest=False).values


def _closed(squared: Tensor, samples: Tensor) -> Tensor:
    """Squared radii (N,), so much larger that a sample on the ball's surface is inside it whatever rounding does.

    Such a sample's own squared norm is at most 2|x|² + 2r².
    """
    return squared + ROUNDING * (3 * pairs.squared_norms(samples) + 2 * squared)
