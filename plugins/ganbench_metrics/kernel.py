"""Kernel distance of features: unbiased, and the same number as torch-fidelity's, with each pair seen once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ganbench.errors import ChoiceError
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics import pairs
from ganbench_metrics.pairs import Side
from ganbench_metrics.protocol import blank, ending, features_of

LARGEST_SUBSET = 1000


class Kernel:
    """Kernel distance: unbiased MMD² of features under (xᵀy/d + 1)³, averaged over subsets (arXiv:1801.01401, §4).

    Each of the `subsets` holds at most 1,000 samples. With no more than that, the one subset that there is holds them
    all. Values a little below 0 are right for equal distributions. None with fewer than two samples.
    """

    def __init__(self, subsets: int = 100) -> None:
        if subsets < 1:
            raise ChoiceError(f"metric 'kernel': subsets is {subsets}, expected at least 1")
        self._subsets = subsets

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: the mean over subsets."""
        extractor, real, fake = features_of(evidence, "kernel")
        size = min(LARGEST_SUBSET, len(real), len(fake))
        subsets = self._subsets if size < max(len(real), len(fake)) else 1
        sampling = {"kid_subsets": subsets, "kid_subset_size": size, "rng_seed": evidence.rng_seed}
        score = replace(blank(evidence, "kernel", **sampling), name=f"kid_{ending(extractor, len(fake))}")
        if size < 2:
            return (score,)
        values = subset_values(evidence, real, fake, subsets, size)  # (B,)
        return (replace(score, value=values.mean().item(), noise=_noise(real, fake, values, size)),)


def subset_values(evidence: Evidence, real: Tensor, fake: Tensor, subsets: int, size: int) -> Tensor:
    """MMD² of `subsets` random subsets of `size` reals (N, D) and as many fakes (M, D): (subsets,) float64.

    Where it is cheaper, every pair's kernel is computed once and summed over each subset that holds the pair.
    """
    fakes, reals = _drawn(evidence.rng_seed, len(real), len(fake), subsets, size)  # (subsets, size), (subsets, size)
    sums = _AtOnce() if _once_is_cheaper(real, fake, subsets, size) else _InTurn()
    name = f"kernel/sums/1/{subsets}-{size}-of-{len(fake)}-fakes-by-{evidence.rng_seed}"
    kept = evidence.of_real.recall(name, lambda: {"sums": sums.within(evidence, "real", real, reals)})
    alike = kept["sums"].to(real.device) + sums.within(evidence, "fake", fake, fakes)
    return alike / (size * (size - 1)) - 2 * sums.between(evidence, real, fake, reals, fakes) / size**2


def jackknife(real: Tensor, fake: Tensor) -> float:
    """The deviation of MMD² of reals (N, D) and fakes (N, D), by leaving out one sample of either side at a time."""
    count = len(real)
    dimension = real.shape[1]
    alike_real, alike_fake = (_cube(side @ side.T, dimension).fill_diagonal_(0) for side in (real, fake))
    across = _cube(real @ fake.T, dimension)  # (N, N)
    variance = 0.0
    for alike, crossing in ((alike_real, across.sum(dim=1)), (alike_fake, across.sum(dim=0))):
        without = (alike.sum() - 2 * alike.sum(dim=1)) / ((count - 1) * (count - 2))
        without -= 2 * (across.sum() - crossing) / (count * (count - 1))  # (N,), but for a constant
        variance += (without.var(correction=0) * (count - 1)).item()
    return math.sqrt(variance) / dimension**3


def _noise(real: Tensor, fake: Tensor, values: Tensor, size: int) -> float | None:
    """The deviation of the mean of values (B,): the jackknife that leaves out all but a subset, or one sample.

    The variance of subsets of n of N samples, times n/(N − n), estimates that of the statistic of all samples
    (delete-d jackknife: Shao and Wu, Annals of Statistics 17(3), 1989); the choice of subsets adds its own, over B.
    """
    smallest = min(len(real), len(fake))
    if size < smallest:
        if len(values) < 2:
            return None
        return values.std().item() * math.sqrt(size / (smallest - size) + 1 / len(values))
    if len(real) != len(fake) or size < 3:
        return None
    return jackknife(real.double(), fake.double())


def _drawn(seed: int, reals: int, fakes: int, subsets: int, size: int) -> tuple[Tensor, Tensor]:
    """Numbers of fakes and of reals, (subsets, size) each, drawn as torch-fidelity draws them."""
    rng = np.random.RandomState(seed)
    drawn = [rng.choice(count, size, replace=False) for _ in range(subsets) for count in (fakes, reals)]
    numbers = torch.from_numpy(np.stack(drawn))
    return numbers[::2], numbers[1::2]


def _once_is_cheaper(real: Tensor, fake: Tensor, subsets: int, size: int) -> bool:
    """Whether all pairs with a sum over each subset take less arithmetic than the subsets' own pairs."""
    dimension = real.shape[1]
    return 2 * len(real) * len(fake) * (dimension + subsets) < 3 * subsets * size**2 * dimension


class _AtOnce:
    """Sums of the kernel over the pairs of each subset (B, n), by one pass over the pairs of all samples."""

    def within(self, evidence: Evidence, side: Side, samples: Tensor, chosen: Tensor) -> Tensor:
        """Over pairs of different samples (N, D) of a side: (B,)."""
        return _alike(pairs.all_within(evidence, side, samples), samples, _masks(chosen, samples))

    def between(self, evidence: Evidence, real: Tensor, fake: Tensor, reals: Tensor, fakes: Tensor) -> Tensor:
        """Over pairs of a real (N, D) and a fake (M, D): (B,)."""
        blocks = pairs.all_between(evidence, real, fake)
        return _across(blocks, _masks(reals, real), _masks(fakes, fake), real.shape[1])


class _InTurn:
    """The same sums, by a pass over the pairs of each subset."""

    def within(self, _: Evidence, __: Side, samples: Tensor, chosen: Tensor) -> Tensor:
        """Over pairs of different samples (N, D) of a side: (B,)."""
        subsets = (samples[numbers] for numbers in chosen.to(samples.device))
        return torch.cat([_alike(pairs.within(subset), subset, _all_of(subset)) for subset in subsets])

    def between(self, _: Evidence, real: Tensor, fake: Tensor, reals: Tensor, fakes: Tensor) -> Tensor:
        """Over pairs of a real (N, D) and a fake (M, D): (B,)."""
        subsets = zip(
            (real[numbers] for numbers in reals.to(real.device)),
            (fake[numbers] for numbers in fakes.to(fake.device)),
            strict=True,
        )
        return torch.cat([_across(pairs.between(x, y), _all_of(x), _all_of(y), x.shape[1]) for x, y in subsets])


def _alike(blocks: Iterable[pairs.Block], samples: Tensor, masks: Tensor) -> Tensor:
    """The kernel summed over the pairs of different samples (N, D) in each mask (B, N), by their products: (B,)."""
    dimension = samples.shape[1]
    total = -(masks @ _cube(pairs.squared_norms(samples), dimension)) / dimension**3  # pairs of a sample with itself
    for block in blocks:
        once = _across([block], masks, masks, dimension)
        total += once if block[0] == block[1] else 2 * once  # the block's mirror holds the same pairs
    return total


def _across(blocks: Iterable[pairs.Block], left: Tensor, right: Tensor, dimension: int) -> Tensor:
    """The kernel summed over the pairs of which one is in `left` (B, N) and one in `right` (B, M): (B,)."""
    total = left.new_zeros(len(left))
    for rows, columns, products in blocks:
        sums = left[:, rows] @ _cube(products, dimension)  # (B, columns)
        total += (sums * right[:, columns]).sum(dim=1)
    return total / dimension**3


def _cube(products: Tensor, dimension: int) -> Tensor:
    """d³ times the kernel, which saves a pass over the products."""
    return (products + dimension).pow_(3)


def _masks(chosen: Tensor, samples: Tensor) -> Tensor:
    """1 for the samples that a subset holds, 0 for the others: (B, N) float64."""
    masks = torch.zeros(len(chosen), len(samples), dtype=torch.float64, device=samples.device)
    return masks.scatter_(1, chosen.to(samples.device), 1.0)


def _all_of(samples: Tensor) -> Tensor:
    return torch.ones(1, len(samples), dtype=torch.float64, device=samples.device)
