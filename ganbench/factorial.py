"""Least squares for variants made of parts: the means of the variants, and what each level of a factor adds to them.

Each variant counts once, however many of its seeds finished, and the error is that of the seeds: what the parts do not
explain is no error. Montgomery, Design and Analysis of Experiments, chapters 4 to 6; Searle, Linear Models (1971),
chapter 5, on what can be estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

Reals = np.ndarray[Any, np.dtype[np.float64]]
Wholes = np.ndarray[Any, np.dtype[np.int64]]

TINY = 1e-9
"""What is taken for 0 beside 1, where rounding left something."""


@dataclass(frozen=True)
class CellMeans:
    """The means of cells, C of them, each at the average seed, and how sure they are.

    The covariance of `means` is `variance` times diag(1 / `counts`) + `loading` `loading`ᵀ. `variance` is that of one
    seed within its cell, NaN where `freedom`, its degrees of freedom, is 0.
    """

    means: Reals
    counts: Reals
    loading: Reals
    variance: float
    freedom: int
    blocked: bool

    def covariance(self, combinations: Reals) -> Reals:
        """Of linear combinations of the means, in units of `variance`: (m, C) → (m, m)."""
        loaded = combinations @ self.loading
        return np.asarray((combinations / self.counts) @ combinations.T + loaded @ loaded.T)

    def variances(self, combinations: Reals) -> Reals:
        """The diagonal of the covariance: (m, C) → (m,)."""
        own, shared = combinations**2 / self.counts, (combinations @ self.loading) ** 2
        return np.asarray(own.sum(axis=1) + shared.sum(axis=1))


class Fit(NamedTuple):
    """What a linear model made of cell means, as matrices that take cell means.

    `basis` spans what the model can say: (C, rank). `effects` gives the effect of each level: (levels, C), NaN where it
    cannot be estimated.
    """

    basis: Reals
    effects: Reals


class Interaction(NamedTuple):
    """Cells of two factors: which levels, how far each lies from what its parts add up to, and the test of them all."""

    first: Wholes
    second: Wholes
    combinations: Reals
    p: float


def cell_means(values: Reals, cells: Wholes, blocks: Wholes | None = None) -> CellMeans:
    """The mean of each cell: `values` of trials, the cell of each and, where seeds are shared, its block.

    With blocks, what the seeds have in common is taken out, by least squares. Blocks that do not connect all cells are
    ignored, as nothing could be compared across them.
    """
    counts = np.bincount(cells).astype(np.float64)
    means = np.bincount(cells, values) / counts
    left = values - means[cells]
    squares, freedom, loading = float(left @ left), len(values) - len(counts), np.zeros((len(counts), 0))
    blocked = False
    if blocks is not None:
        table = np.zeros((len(counts), int(blocks.max()) + 1))
        np.add.at(table, (cells, blocks), 1)
        weights, vectors = np.linalg.eigh(np.diag(table.sum(axis=0)) - table.T @ (table / counts[:, None]))
        known = weights > TINY * len(values)
        if blocked := int(known.sum()) == len(weights) - 1:
            half = vectors[:, known] / np.sqrt(weights[known])  # (blocks, rank), half of the pseudo-inverse
            sums = half.T @ np.bincount(blocks, left)
            loading = (table / counts[:, None]) @ half
            means, squares, freedom = means - loading @ sums, squares - float(sums @ sums), freedom - len(sums)
    rounding = TINY**2 * float(values @ values)
    variance = (squares if squares > rounding else 0.0) / freedom if freedom > 0 else float("nan")
    return CellMeans(means, counts, loading, variance, freedom, blocked)


def fit_levels(levels: Wholes, sizes: list[int]) -> Fit:
    """The additive model of cells with these `levels`: (C, factors), `sizes` levels of each factor.

    Coded to sum to zero over the levels of a factor: an effect is the change from the average of all its levels.
    """
    cells = len(levels)
    coded = [np.ones((cells, 1))]
    coding = [np.zeros((sum(sizes), 1))]
    start = 0
    for factor, size in enumerate(sizes):
        contrasts = np.vstack([np.eye(size - 1), -np.ones((1, size - 1))])  # (size, size - 1)
        coded.append(contrasts[levels[:, factor]])
        rows = np.zeros((sum(sizes), size - 1))
        rows[start : start + size] = contrasts
        coding.append(rows)
        start += size
    design, wanted = np.hstack(coded), np.hstack(coding)
    left, singular, right = np.linalg.svd(design, full_matrices=False)
    known = singular > TINY * singular[0]
    basis, right = left[:, known], right[known]
    effects = (wanted @ right.T / singular[known]) @ basis.T
    reached = np.linalg.norm(wanted - wanted @ right.T @ right, axis=1) < TINY * len(wanted)
    effects[~reached] = np.nan
    return Fit(basis, effects)


def interact(means: CellMeans, fit: Fit, first: Wholes, second: Wholes) -> Interaction | None:
    """How the cells of two factors, whose levels are `first` and `second`, differ from the additive model, on average.

    None where the cells leave nothing to differ.
    """
    pairs, where = np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)
    averaging = np.zeros((len(pairs), len(first)))
    averaging[where.ravel(), np.arange(len(first))] = 1
    averaging /= averaging.sum(axis=1, keepdims=True)
    combinations = averaging - (averaging @ fit.basis) @ fit.basis.T
    weights, vectors = np.linalg.eigh(means.covariance(combinations))
    known = weights > TINY
    if not known.any():
        return None
    apart = vectors[:, known].T @ (combinations @ means.means)
    rank = int(known.sum())
    p = _p_of_f(float((apart**2 / weights[known]).sum()) / rank, means, rank)
    return Interaction(pairs[:, 0], pairs[:, 1], combinations, p)


def _p_of_f(square: float, means: CellMeans, rank: int) -> float:
    """The p-value of Fisher's F: `square`, the mean square of what is tested, over the variance of the seeds."""
    if means.freedom <= 0:
        return float("nan")
    if means.variance == 0:
        return 1.0 if square <= TINY**2 * float(means.means @ means.means) else 0.0
    return float(stats.f.sf(square / means.variance, rank, means.freedom))
