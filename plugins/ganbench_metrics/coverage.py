"""How much of a distribution generated samples cover: known modes for points, a classifier's classes for images."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ganbench.errors import DataError
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.protocol import blank, features_of

RADIUS = 3.0
"""How far, in standard deviations, a point may lie from a mode's centre and still be one of the mode's."""

SHARE = 0.2
"""The part of its fair share of samples that a mode or a class needs in order to count as covered."""

NEIGHBOURS = 3
"""A real image vouches for fakes of its class as near to it, in features, as its third real neighbour of that class."""


class ModeCoverage:
    """How points fall on known modes: the counts of arXiv:1705.07761 and 1712.04086, and what noise does not pass.

    High quality means within three standard deviations of the nearest mode. By the papers' rule one such sample
    captures a mode (`modes_any`), and so noise over the whole box captures most; `modes_20pct` asks for a fifth of the
    mode's fair share, and noise gets none. `tvd_modes` ranks: half the absolute differences between the weights of the
    modes and the histogram of samples, with one more bin for those of no mode: 0 is perfect, 1 misses every mode.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Five scores: `tvd_modes`, `modes_20pct`, `modes_any`, `high_quality`, `kl_modes` (nats)."""
        modes = evidence.data.modes
        if modes is None:
            raise DataError("metric 'modes': the modes of this data set are not known. Leave the metric out")
        count, weights = len(evidence.fake), modes.weights.double()
        counts = _on_modes(evidence.fake.double(), modes.centres.double(), RADIUS * modes.deviation)  # (K,)
        high_quality = counts.sum() / count
        histogram = torch.cat([counts / count, (1 - high_quality)[None]])  # (K + 1,), the last bin: of no mode
        expected = torch.cat([weights, weights.new_zeros(1)])  # (K + 1,)
        lower = blank(evidence, "modes", radius=RADIUS, share=SHARE)
        higher = replace(lower, direction="higher")
        return (
            replace(lower, name="tvd_modes", value=total_variation(histogram, expected), mean="geometric"),
            replace(higher, name="modes_20pct", value=float(covered(counts, count * weights).sum())),
            replace(higher, name="modes_any", value=float((counts > 0).sum())),
            replace(higher, name="high_quality", value=high_quality.item()),
            replace(lower, name="kl_modes", value=divergence(counts, weights)),
        )


class ClassCoverage:
    """How images fall on classes, by a classifier, against the classes of the held-out images by the same classifier.

    A classifier puts noise into some class, too: the one for `digits` finds seven of ten digits in uniform noise, if a
    fifth of the fair share is all that is asked. So a class is covered when that many images fall in it *and* lie
    within the manifold of its real images, as precision has it (arXiv:1904.06991, eq. 1); noise is left with two. A
    class without held-out images cannot be covered.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Three scores: `tvd_classes`, `kl_classes` (nats, fake from real), `classes_covered`."""
        extractor, real_features, fake_features = features_of(evidence, "classes")
        real_logits, fake_logits = evidence.real_logits, evidence.fake_logits
        if real_logits is None or fake_logits is None:
            raise DataError(f"metric 'classes': extractor '{extractor.tag}' is no classifier. Choose one with logits")
        classes = real_logits.shape[1]
        real_classes, fake_classes = real_logits.argmax(dim=1), fake_logits.argmax(dim=1)  # (N,), (N,)
        real_shares = _counts(real_classes, classes) / len(real_classes)  # (K,)
        fake_counts = _counts(fake_classes, classes)  # (K,)
        genuine = _within_class(real_features, real_classes, fake_features, fake_classes)  # (N,)
        reached = covered(_counts(fake_classes[genuine], classes), len(fake_classes) * real_shares)  # (K,)
        lower = replace(
            blank(evidence, "classes", share=SHARE, neighbours=NEIGHBOURS),
            layer=extractor.logits_layer,
            dimension=classes,
        )
        return (
            replace(lower, name="tvd_classes", value=total_variation(fake_counts / len(fake_classes), real_shares)),
            replace(lower, name="kl_classes", value=divergence(fake_counts, real_shares)),
            replace(lower, name="classes_covered", value=float(reached.sum()), direction="higher"),
        )


def total_variation(histogram: Tensor, reference: Tensor) -> float:
    """Half the sum of absolute differences of two probability vectors (K,): 0 if equal, 1 if disjoint."""
    return (histogram - reference).abs().sum().item() / 2


def divergence(counts: Tensor, reference: Tensor) -> float | None:
    """KL divergence, in nats, of the histogram of `counts` (K,) from probabilities `reference` (K,).

    None where it is undefined: nothing was counted, or something was that the reference says does not occur.
    """
    seen = counts > 0
    if not seen.any() or (reference[seen] <= 0).any():
        return None
    histogram = counts[seen] / counts.sum()
    return (histogram * (histogram / reference[seen]).log()).sum().item()


def covered(counts: Tensor, fair: Tensor) -> Tensor:
    """Which entries (K,) of `counts` are at least a fifth of what is `fair`, where anything is."""
    slack = 1 - 1e-9  # a fifth of 1125 * (1 / 75) must not ask for more than 3 samples
    return (fair > 0) & (counts >= SHARE * fair * slack)


def _on_modes(points: Tensor, centres: Tensor, radius: float) -> Tensor:
    """How many points (N, D) lie within `radius` of each centre (K, D), if it is their nearest: (K,)."""
    distances = torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist")  # (N, K)
    distance, nearest = distances.min(dim=1)  # (N,), (N,)
    return _counts(nearest[distance <= radius], len(centres))


def _counts(classes: Tensor, number: int) -> Tensor:
    return torch.bincount(classes, minlength=number).double()


def _within_class(real: Tensor, real_classes: Tensor, fake: Tensor, fake_classes: Tensor) -> Tensor:
    """Which fakes (N,) have features (N, D) within the manifold of the real images of the class that they fall in."""
    within = torch.zeros(len(fake), dtype=torch.bool)
    for number in sorted(set(real_classes.tolist())):
        members, candidates = real[real_classes == number], fake_classes == number  # (M, D), (N,)
        itself_and_neighbours = min(NEIGHBOURS + 1, len(members))
        radii = torch.cdist(members, members).kthvalue(itself_and_neighbours, dim=1).values  # (M,)
        within[candidates] = (torch.cdist(fake[candidates], members) <= radii).any(dim=1)
    return within
