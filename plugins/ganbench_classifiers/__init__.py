"""Feature extractors that ganbench ships: small classifiers of handwritten digits, and how they were trained."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_extractors() -> Iterable[Component]:
    """Offer `digits` and `mnist`."""
    for name, data, resolution in (("digits", "scikit-learn's digits", 8), ("mnist", "MNIST", 32)):
        yield Component(
            name,
            f"ganbench_classifiers.extractors:{name}",
            summary=f"64 features of a shipped classifier of {data}, seen at {resolution}×{resolution}",
            needs={"channels": (1, 3)},
            gives={"classes": 10},
        )
