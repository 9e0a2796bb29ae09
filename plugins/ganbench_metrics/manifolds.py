"""Precision, recall, density and coverage: shares of samples within the balls around samples of the other side."""

from __future__ import annotations

from dataclasses import replace

import torch

from ganbench.errors import ChoiceError
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.neighbours import crossing, fake_balls, real_balls
from ganbench_metrics.protocol import blank, ending, features_of


class PrecisionRecall:
    """Share of fakes within the reals' manifold, and of reals within the fakes' (arXiv:1904.06991, eq. 1 and 2).

    A manifold is the union of balls around the samples, each up to the sample's `neighbours`-th nearest neighbour. Both
    are None where there are not that many neighbours.
    """

    def __init__(self, neighbours: int = 3) -> None:
        self._neighbours = _checked("precision-recall", neighbours)

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Two scores: precision, then recall."""
        extractor, real, fake = features_of(evidence, "precision-recall")
        suffix, k = ending(extractor, len(fake)), self._neighbours
        score = replace(blank(evidence, "precision-recall", neighbours=k), direction="higher")
        precision, recall = replace(score, name=f"precision_{suffix}"), replace(score, name=f"recall_{suffix}")
        if min(len(real), len(fake)) <= k:
            return precision, recall
        real_radii, fake_radii = real_balls(evidence, real, k), fake_balls(evidence, fake, k)  # (N,), (M,)
        near_real = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
        near_fake = torch.zeros(len(real), dtype=torch.bool, device=real.device)
        for rows, columns, squared in crossing(evidence, real, fake):
            near_real[columns] |= (squared <= real_radii[rows, None]).any(dim=0)
            near_fake[rows] |= (squared <= fake_radii[columns]).any(dim=1)
        return (
            replace(precision, value=near_real.double().mean().item()),
            replace(recall, value=near_fake.double().mean().item()),
        )


class DensityCoverage:
    """How many real balls a fake is in, and the share of real balls that hold a fake (arXiv:2002.09797, §3.1 and 3.2).

    A ball reaches from a real sample to its `neighbours`-th nearest real neighbour. Both are None where there are not
    that many neighbours, or no fakes.
    """

    def __init__(self, neighbours: int = 5) -> None:
        self._neighbours = _checked("density-coverage", neighbours)

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Two scores: density, then coverage."""
        extractor, real, fake = features_of(evidence, "density-coverage")
        suffix, k = ending(extractor, len(fake)), self._neighbours
        score = replace(blank(evidence, "density-coverage", neighbours=k), direction="higher")
        density, coverage = replace(score, name=f"density_{suffix}"), replace(score, name=f"coverage_{suffix}")
        if len(real) <= k or not len(fake):
            return density, coverage
        radii = real_balls(evidence, real, k)  # (N,)
        held = torch.zeros(len(real), dtype=torch.int64, device=real.device)  # fakes in each ball
        for rows, _, squared in crossing(evidence, real, fake):
            held[rows] += (squared <= radii[rows, None]).sum(dim=1)
        return (
            replace(density, value=held.sum().item() / (k * len(fake))),
            replace(coverage, value=(held > 0).double().mean().item()),
        )


def _checked(metric: str, neighbours: int) -> int:
    if neighbours < 1:
        raise ChoiceError(f"metric '{metric}': neighbours is {neighbours}, expected at least 1")
    return neighbours
