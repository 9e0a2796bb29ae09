"""Whether generated samples are copies of what was trained on, by whose neighbours they are."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ganbench.errors import DataError
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.nearest import nearest, of_fakes
from ganbench_metrics.protocol import blank, features_of

FEWEST = 20
"""Samples a side without which a share says nothing."""


class Memorisation:
    """Whether fakes lie nearer to training samples than to held-out ones.

    Both come from one distribution, so to a generator that has seen neither they are exchangeable: of M training and
    N held-out samples, the nearest to its fake is a training sample with probability e = M/(M + N). What exceeds that
    was learnt by heart: (s − e)/(1 − e), where s is the share of fakes with a training sample as the nearest. The three
    samples are those of arXiv:2004.05675, which compares distances instead.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: `memorised_…`, 0 for no copying, 1 if a training sample is the nearest to every fake."""
        extractor, real, fake = features_of(evidence, "memorisation")
        train = evidence.train_features
        if train is None:
            raise DataError("metric 'memorisation' compares with training samples, and there are none. Leave it out")
        score = replace(blank(evidence, "memorisation", n_train=len(train)), name=f"memorised_{extractor.tag}")
        if min(len(train), len(real), len(fake)) < FEWEST:
            return (score,)
        expected = len(train) / (len(train) + len(real))
        share, independent = _nearest_in_training(evidence, train, real, fake)
        noise = _noise(share, expected, independent) / (1 - expected)
        return (replace(score, value=(share - expected) / (1 - expected), noise=noise),)


def _nearest_in_training(evidence: Evidence, train: Tensor, real: Tensor, fake: Tensor) -> tuple[float, float]:
    """The share of fakes (N, D) whose nearest real sample is one of `train`, and how many outcomes that is, in effect.

    Fakes that have their nearest sample in common are one outcome: (Σ n)²/Σ n² of them, for groups of n. Of samples
    equally near, chance decides.
    """
    from_train, from_real = nearest(fake, train), of_fakes(evidence, real, fake)
    of_training = from_train.share(from_real)  # (N,)
    which = torch.where(of_training >= 0.5, from_train.index, len(train) + from_real.index)  # (N,)
    groups = torch.bincount(which).double()
    return of_training.mean().item(), (groups.sum() ** 2 / groups.square().sum()).item()


def _noise(share: float, expected: float, independent: float) -> float:
    """The deviation of a share, drawn towards what is expected by one outcome, lest a single outcome seem certain."""
    drawn = (share * independent + expected) / (independent + 1)
    return math.sqrt(drawn * (1 - drawn) / independent)
