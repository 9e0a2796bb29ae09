"""How well real and generated samples can be told apart: classifier two-sample tests."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ganbench.metrics import spread
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.histograms import binomial_noise
from ganbench_metrics.nearest import among_fakes, among_reals, of_fakes, of_reals
from ganbench_metrics.protocol import blank, features_of

FEWEST = 20
"""Samples a side without which there is nothing to learn from."""

LARGEST = 10_000
"""Samples a side that the logistic regression sees at most; they are evenly spaced."""

ITERATIONS = 1000


class Detectability:
    """Classifier two-sample tests (arXiv:1610.06545, §3): 0.5 where the two sides cannot be told apart.

    Two classifiers, for each is blind to what the other sees: a logistic regression, tested on samples that it was not
    trained on, sees means that differ; leave-one-out 1-nearest-neighbour sees samples that repeat.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Two scores, both accuracies: `c2st_logistic_…` and `c2st_1nn_…`."""
        suffix, real, fake = _looked_at(evidence)
        score = blank(evidence, "detectability", iterations=ITERATIONS, largest=LARGEST, rng_seed=evidence.rng_seed)
        logistic, neighbour = replace(score, name=f"c2st_logistic_{suffix}"), replace(score, name=f"c2st_1nn_{suffix}")
        if min(len(real), len(fake)) < FEWEST:
            return logistic, neighbour
        right, tested = logistic_accuracy(real, fake, evidence.rng_seed)
        by_neighbour = neighbour_accuracy(evidence, real, fake)
        pairs = min(len(real), len(fake))
        return (
            replace(logistic, value=right, noise=binomial_noise(right, tested)),
            replace(neighbour, value=by_neighbour, noise=binomial_noise(by_neighbour, pairs)),
        )


def logistic_accuracy(real: Tensor, fake: Tensor, seed: int) -> tuple[float, int]:
    """How often a logistic regression, trained on half of each side (N, D), is right about the other; and of how many.

    Features are scaled to mean 0 and variance 1 on the half that is trained on. Both sides count alike.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = torch.Generator().manual_seed(seed)
    halves = [_halves(_at_most(side, LARGEST).cpu().double(), rng) for side in (real, fake)]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS, class_weight="balanced"))
    trained_on = torch.cat([halves[0][0], halves[1][0]])
    labels = torch.cat([torch.full((len(half[0]),), label) for label, half in enumerate(halves)])
    classifier.fit(trained_on.numpy(), labels.numpy())
    right = [(classifier.predict(half[1].numpy()) == label).mean() for label, half in enumerate(halves)]
    return float(sum(right)) / 2, sum(len(half[1]) for half in halves)


def neighbour_accuracy(evidence: Evidence, real: Tensor, fake: Tensor) -> float:
    """How often the nearest other sample of both sides (N, D) is of a sample's own side; ties count in proportion."""
    reals_right = among_reals(evidence, real).share(of_reals(evidence, real, fake))  # (N,)
    fakes_right = among_fakes(evidence, fake).share(of_fakes(evidence, real, fake))  # (N,)
    return (reals_right.mean() + fakes_right.mean()).item() / 2


def _looked_at(evidence: Evidence) -> tuple[str, Tensor, Tensor]:
    """What the scores' names end in, and the two sides (N, D): features of images, or the points themselves."""
    if evidence.extractor is None and evidence.real.ndim == 2:
        return "points", evidence.real, evidence.fake
    extractor, real, fake = features_of(evidence, "detectability")
    return extractor.tag, real, fake


def _at_most(samples: Tensor, count: int) -> Tensor:
    return samples if len(samples) <= count else samples[spread(len(samples), count)]


def _halves(samples: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(samples), generator=rng)
    return samples[order[: len(samples) // 2]], samples[order[len(samples) // 2 :]]
