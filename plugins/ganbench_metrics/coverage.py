"""How evenly generated images fall on a classifier's classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ganbench.errors import DataError
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.histograms import (
    SHARE,
    counts_of,
    covered,
    divergence,
    divergence_noise,
    total_variation,
    total_variation_noise,
)
from ganbench_metrics.protocol import blank, features_of

NEIGHBOURS = 3
"""A real image vouches for fakes of its class as near to it, in features, as its third real neighbour of that class."""

BLOCK = 2**24
"""Distances held at once: 128 MiB."""


class ClassCoverage:
    """How images fall on classes, by a classifier, against the classes of the held-out images by the same classifier.

    A classifier puts noise into some class, too: the one for `digits` finds seven of ten digits in uniform noise, if a
    fifth of the fair share is all that is asked. So a class is covered when that many images fall in it *and* lie
    within the manifold of its real images, as precision has it (arXiv:1904.06991, eq. 1); noise is left with two. A
    class without held-out images cannot be covered. `classes_any` is the papers' count for stacked MNIST, one image
    in the class (arXiv:1611.02163, §3.3.1), which noise passes, too.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Four scores: `tvd_classes`, `kl_classes` (nats, fake from real), `classes_covered`, `classes_any`."""
        extractor, _, fake_features = features_of(evidence, "classes")
        real_logits, fake_logits = logits_of(evidence, "classes")
        classes = real_logits.shape[1]
        real_classes, fake_classes = real_logits.argmax(dim=1), fake_logits.argmax(dim=1)  # (N,), (N,)
        real, fake = counts_of(real_classes, classes), counts_of(fake_classes, classes)  # (K,), (K,)
        genuine = _genuine(evidence, real_classes, fake_features, fake_classes)  # (N,)
        reached = covered(counts_of(fake_classes[genuine], classes), len(fake_classes) * real / real.sum())  # (K,)
        lower = replace(
            blank(evidence, "classes", share=SHARE, neighbours=NEIGHBOURS),
            layer=extractor.logits_layer,
            dimension=classes,
        )
        higher = replace(lower, direction="higher")
        tvd, kl = total_variation(fake / fake.sum(), real / real.sum()), divergence(fake, real / real.sum())
        return (
            replace(lower, name="tvd_classes", value=tvd, noise=total_variation_noise(fake, real, evidence)),
            replace(lower, name="kl_classes", value=kl, noise=None if kl is None else divergence_noise(fake, real)),
            replace(higher, name="classes_covered", value=float(reached.sum())),
            replace(higher, name="classes_any", value=float((fake > 0).sum())),
        )


def logits_of(evidence: Evidence, metric: str) -> tuple[Tensor, Tensor]:
    """Real and fake class logits (N, K). Raises DataError where the extractor is no classifier."""
    if evidence.real_logits is None or evidence.fake_logits is None:
        tag = evidence.extractor.tag if evidence.extractor else ""
        raise DataError(f"metric '{metric}': extractor '{tag}' is no classifier. Choose one with logits")
    return evidence.real_logits, evidence.fake_logits


def _genuine(evidence: Evidence, real_classes: Tensor, fake: Tensor, fake_classes: Tensor) -> Tensor:
    """Which fakes (N,) have features (N, D) within the manifold of the real images of the class that they fall in."""
    real = evidence.real_features
    assert real is not None
    kept = evidence.of_real.recall(f"classes/radii/1/{NEIGHBOURS}", lambda: {"radii": _radii(real, real_classes)})
    radii = kept["radii"].to(real.device)  # (N,)
    within = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    for number in sorted(set(real_classes.tolist())):
        vouching, candidates = real_classes == number, fake_classes == number  # (N,), (N,)
        members = real[vouching].double()  # (M, D)
        near = [(distances <= radii[vouching]).any(dim=1) for distances in _distances(fake[candidates], members)]
        within[candidates] = torch.cat(near) if near else within[candidates]
    return within


def _radii(real: Tensor, classes: Tensor) -> Tensor:
    """How far each real image (N, D) is from its third neighbour of its class, or from the last that it has: (N,)."""
    radii = torch.zeros(len(real), dtype=torch.float64, device=real.device)
    for number in sorted(set(classes.tolist())):
        members = real[classes == number].double()  # (M, D)
        itself_and_neighbours = min(NEIGHBOURS + 1, len(members))
        nearest = [rows.kthvalue(itself_and_neighbours, dim=1).values for rows in _distances(members, members)]
        radii[classes == number] = torch.cat(nearest)
    return radii


def _distances(queries: Tensor, members: Tensor) -> Iterator[Tensor]:
    """The distances of `queries` (N, D) from `members` (M, D) in float64, in blocks of rows (n, M)."""
    for block in torch.split(queries, max(1, BLOCK // max(len(members), 1))):
        if len(block):
            yield torch.cdist(block.double(), members)
