"""How good and how diverse generated samples are: Fréchet and kernel distances, precision and recall, coverage."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_metrics() -> Iterable[Component]:
    """Offer metrics of features (through torch-fidelity), of known modes, and of a classifier's classes."""
    yield Component(
        "frechet",
        "ganbench_metrics.distances:Frechet",
        summary="Fréchet distance of features: FID where they are Inception's",
        paper="arXiv:1706.08500",
        needs={"features": True},
    )
    yield Component(
        "kernel",
        "ganbench_metrics.distances:Kernel",
        summary="Kernel distance of features (KID): cubic MMD², unbiased",
        paper="arXiv:1801.01401",
        needs={"features": True},
    )
    yield Component(
        "precision-recall",
        "ganbench_metrics.distances:PrecisionRecall",
        summary="Share of fakes among the reals, and of reals among the fakes, by nearest neighbours of features",
        paper="arXiv:1904.06991",
        needs={"features": True},
    )
    yield Component(
        "modes",
        "ganbench_metrics.coverage:ModeCoverage",
        summary="Which known modes points fall on, how evenly, and how near",
        paper="arXiv:1712.04086",
        needs={"data": "points", "modes": True},
    )
    yield Component(
        "classes",
        "ganbench_metrics.coverage:ClassCoverage",
        summary="Which classes images fall in, by a classifier, and how evenly",
        needs={"data": "images", "features": True, "classes": True},
    )
