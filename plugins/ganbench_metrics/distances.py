"""Distances between the features of real and of generated images, through torch-fidelity's own functions.

torch-fidelity is imported when a distance is first taken. Its functions get features in float64 instead of images, so
that its loader (which advances torch's global generator) and its cache (which knows weights by name only) stay out.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

from ganbench.errors import ChoiceError
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.protocol import blank, canonical, ending, features_of

LARGEST_SUBSET = 1000
NEIGHBOUR_BATCH = 1000
"""Rows of a distance matrix held at once: 400 MB against 50,000 samples."""


class Frechet:
    """Fréchet distance between Gaussians fitted to the features (arXiv:1706.08500, eq. 6).

    `fid_inception_…` for the canonical Inception's features, `fcd_…` (classifier) for any other. The mean over seeds is
    geometric, for the distance is positive; rounding alone can make it 0 or a little less, where both sets are the
    same. None with fewer than two samples.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: the distance."""
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

        extractor, real, fake = features_of(evidence, "frechet")
        value = None
        if min(len(real), len(fake)) >= 2:
            statistics = fid_features_to_statistics(fake), fid_features_to_statistics(real)
            value = fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]
        formula = "fid" if canonical(extractor) else "fcd"
        score = blank(evidence, "frechet", **_implementation())
        return (replace(score, name=f"{formula}_{ending(extractor, len(fake))}", value=value, mean="geometric"),)


class Kernel:
    """Kernel distance: unbiased MMD² of features under (xᵀy/d + 1)³, averaged over subsets (arXiv:1801.01401, §4).

    A subset holds at most 1,000 samples. With no more than that, the one subset that there is holds them all. Values a
    little below 0 are right for equal distributions. None with fewer than two samples.
    """

    def __init__(self, subsets: int = 100) -> None:
        if subsets < 1:
            raise ChoiceError(f"metric 'kernel': subsets is {subsets}, expected at least 1")
        self._subsets = subsets

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score: the mean over subsets."""
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

        extractor, real, fake = features_of(evidence, "kernel")
        size = min(LARGEST_SUBSET, len(real), len(fake))
        sampling = {
            "kid_subsets": self._subsets if size < max(len(real), len(fake)) else 1,
            "kid_subset_size": size,
            "rng_seed": evidence.rng_seed,
        }
        value = None
        if size >= 2:
            value = kid_features_to_metric(fake, real, verbose=False, **sampling)[KEY_METRIC_KID_MEAN]
        score = blank(evidence, "kernel", **sampling, **_implementation())
        return (replace(score, name=f"kid_{ending(extractor, len(fake))}", value=value),)


class PrecisionRecall:
    """Share of fakes within the reals' manifold, and of reals within the fakes' (arXiv:1904.06991, eq. 1 and 2).

    A manifold is the union of balls around the samples, each up to the sample's `neighbours`-th nearest neighbour. Both
    are None where there are not that many neighbours.
    """

    def __init__(self, neighbours: int = 3) -> None:
        if neighbours < 1:
            raise ChoiceError(f"metric 'precision-recall': neighbours is {neighbours}, expected at least 1")
        self._neighbours = neighbours

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Two scores: precision, then recall."""
        from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

        extractor, real, fake = features_of(evidence, "precision-recall")
        values = {}
        if min(len(real), len(fake)) > self._neighbours:
            values = prc_features_to_metric(  # its first argument is what was generated
                fake,
                real,
                prc_neighborhood=self._neighbours,
                prc_batch_size=NEIGHBOUR_BATCH,
                save_cpu_ram=True,
                verbose=False,
            )
        score = replace(
            blank(evidence, "precision-recall", neighbours=self._neighbours, **_implementation()), direction="higher"
        )
        suffix = ending(extractor, len(fake))
        return (
            replace(score, name=f"precision_{suffix}", value=values.get(KEY_METRIC_PRECISION)),
            replace(score, name=f"recall_{suffix}", value=values.get(KEY_METRIC_RECALL)),
        )


def _implementation() -> dict[str, str]:
    return {"torch-fidelity": version("torch-fidelity")}
