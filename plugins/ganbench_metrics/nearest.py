"""The nearest neighbour of every sample, with ties counted: exact, in float64, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.protocols import Evidence
from ganbench_metrics import pairs
from ganbench_metrics.neighbours import ROUNDING


@dataclass(frozen=True)
class Nearest:
    """For each of N samples, its nearest among some others.

    `squared` is the squared distance, `ties` how many of the others are as near, `index` one of those; `slack` is what
    still counts as equal, for copies must tie whatever rounding does. All are (N,).
    """

    squared: Tensor
    ties: Tensor
    index: Tensor
    slack: Tensor

    def merged(self, other: Nearest) -> Nearest:
        """The nearest among the others of both, which must be different ones."""
        squared, slack = torch.minimum(self.squared, other.squared), torch.minimum(self.slack, other.slack)
        own, others = self.squared <= squared + slack, other.squared <= squared + slack  # (N,), (N,)
        return Nearest(
            squared,
            torch.where(own, self.ties, 0) + torch.where(others, other.ties, 0),
            torch.where(self.squared <= other.squared, self.index, other.index),
            slack,
        )

    def share(self, other: Nearest) -> Tensor:
        """With what probability the nearest of both is one of these, if chance decides between ties: (N,) float64."""
        both = self.merged(other)
        own = self.squared <= both.squared + both.slack
        return torch.where(own, self.ties, 0).double() / both.ties


def among_reals(evidence: Evidence, real: Tensor) -> Nearest:
    """For each real (N, D) the nearest other one: computed once for all evaluations."""
    kept = evidence.of_real.recall(
        "nearest/among/1", lambda: vars(_among(real, pairs.all_within(evidence, "real", real)))
    )
    return Nearest(**{name: tensor.to(real.device) for name, tensor in kept.items()})


def among_fakes(evidence: Evidence, fake: Tensor) -> Nearest:
    """For each fake (M, D) the nearest other one. A duplicate is another one, at distance 0."""
    return _among(fake, pairs.all_within(evidence, "fake", fake))


def of_reals(evidence: Evidence, real: Tensor, fake: Tensor) -> Nearest:
    """For each real (N, D) the nearest fake (M, D)."""
    return _searched(real, fake, pairs.all_between(evidence, real, fake))


def of_fakes(evidence: Evidence, real: Tensor, fake: Tensor) -> Nearest:
    """For each fake (M, D) the nearest real (N, D): computed once for all metrics that ask."""
    blocks = pairs.all_between(evidence, real, fake)
    found = evidence.of_both.recall("nearest/fakes/1", lambda: vars(_searched(fake, real, _turned(blocks))))
    return Nearest(**found)


def nearest(queries: Tensor, others: Tensor) -> Nearest:
    """For each of `queries` (N, D) the nearest of `others` (M, D)."""
    return _searched(queries, others, pairs.between(queries, others))


def _searched(queries: Tensor, others: Tensor, blocks: Iterable[pairs.Block], *, itself: bool = False) -> Nearest:
    """The nearest, by the inner products of queries with others. With `itself` they are one, and none is its own."""
    own, against = pairs.squared_norms(queries), pairs.squared_norms(others)  # (N,), (M,)
    infinite, none = torch.full_like(own, torch.inf), torch.zeros_like(own, dtype=torch.int64)
    found = Nearest(infinite, none, none.clone(), infinite.clone())
    for rows, columns, products in blocks:
        squared = torch.add(against[columns], products, alpha=-2).add_(own[rows, None]).clamp_(min=0)  # (n, m)
        if itself and rows.start == columns.start:
            squared.fill_diagonal_(torch.inf)
        part = _in_block(squared, own[rows], columns.start)
        merged = Nearest(*(tensor[rows] for tensor in vars(found).values())).merged(part)
        for name, tensor in vars(merged).items():
            getattr(found, name)[rows] = tensor
    return found


def _in_block(squared: Tensor, norms: Tensor, first: int) -> Nearest:
    """The nearest in a block of squared distances (n, m) whose first column is the sample of index `first`."""
    least, index = squared.min(dim=1)  # (n,), (n,)
    slack = ROUNDING * (3 * norms + 2 * least)  # of two that are so near, neither has a squared norm above the bracket
    return Nearest(least, (squared <= (least + slack)[:, None]).sum(dim=1), index + first, slack)


def _among(samples: Tensor, blocks: Iterable[pairs.Block]) -> Nearest:
    return _searched(samples, samples, _mirrored(blocks), itself=True)


def _mirrored(blocks: Iterable[pairs.Block]) -> Iterator[pairs.Block]:
    for rows, columns, products in blocks:
        yield rows, columns, products
        if columns.start > rows.start:
            yield columns, rows, products.T


def _turned(blocks: Iterable[pairs.Block]) -> Iterator[pairs.Block]:
    return ((columns, rows, products.T) for rows, columns, products in blocks)
