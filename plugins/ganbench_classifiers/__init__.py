"""Extractors that are classifiers: shipped ones of handwritten digits, and one trained on any labelled images."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_extractors() -> Iterable[Component]:
    """Offer `digits`, `mnist`, `stacked-digits`, `stacked-mnist` and `classifier`."""
    for name, data, resolution in (("digits", "scikit-learn's digits", 8), ("mnist", "MNIST", 32)):
        seen = f"a shipped classifier of {data}, seen at {resolution}×{resolution}"
        yield Component(
            name,
            f"ganbench_classifiers.extractors:{name}",
            summary=f"64 features of {seen}",
            needs={"channels": (1, 3)},
            gives={"classes": 10, "vocabulary": "handwritten digits"},
        )
        yield Component(
            f"stacked-{name}",
            f"ganbench_classifiers.extractors:stacked_{name}",
            summary=f"192 features of three channels, each by {seen}",
            paper="arXiv:1611.02163",
            needs={"channels": (3,)},
            gives={"classes": 1000, "vocabulary": "three handwritten digits"},
        )
    yield Component(
        "classifier",
        "ganbench_classifiers.trained:classifier",
        summary="64 features of a classifier that is trained once on the data set's own labels, and named by its hash",
        needs={"channels": (1, 3), "labels": True},
    )
