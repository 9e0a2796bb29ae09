"""Inception score: how sure a classifier is of each fake, and how evenly fakes fall on its classes."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ganbench.errors import ChoiceError, DataError
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.protocol import blank, ending


class InceptionScore:
    """exp of the mean KL divergence of a fake's class probabilities from all fakes' (arXiv:1606.03498, §4).

    It is the mean over `splits` of the shuffled fakes, by the order that torch-fidelity gives them. None with fewer
    than two fakes in a split, where it would be 1 whatever they are.
    """

    def __init__(self, splits: int = 10) -> None:
        if splits < 1:
            raise ChoiceError(f"metric 'inception-score': splits is {splits}, expected at least 1")
        self._splits = splits

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: the mean over splits."""
        extractor, logits = evidence.extractor, evidence.fake_logits
        if extractor is None or logits is None:
            raise DataError("metric 'inception-score' needs class logits, and there are none. Choose another extractor")
        settings = {"splits": self._splits, "rng_seed": evidence.rng_seed}
        score = replace(
            blank(evidence, "inception-score", **settings),
            name=f"isc_{ending(extractor, len(logits))}",
            direction="higher",
            layer=extractor.logits_layer,
            dimension=logits.shape[1],
        )
        if len(logits) < 2 * self._splits:
            return (score,)
        values = split_scores(logits, self._splits, evidence.rng_seed)  # (splits,)
        noise = values.std().item() / math.sqrt(self._splits) if self._splits > 1 else None
        return (replace(score, value=values.mean().item(), noise=noise),)


def split_scores(logits: Tensor, splits: int, seed: int) -> Tensor:
    """The score of each of `splits` parts of shuffled logits (N, K): (splits,) float64."""
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(logits))).to(logits.device)
    bounds = [part * len(logits) // splits for part in range(splits + 1)]
    return torch.stack([_score(logits[order[start:end]].double()) for start, end in itertools.pairwise(bounds)])


def _score(logits: Tensor) -> Tensor:
    logarithms = logits.log_softmax(dim=1)  # (N, K)
    marginal = logarithms.logsumexp(dim=0) - math.log(len(logits))  # (K,)
    return (logarithms.exp() * (logarithms - marginal)).sum(dim=1).mean().exp()
