"""The `digits` data set: 8×8 pictures of handwritten digits that come with scikit-learn."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_datasets() -> Iterable[Component]:
    """Offer `digits`."""
    yield Component(
        "digits",
        "ganbench_digits.data:digits",
        summary="Handwritten digits, grey 8×8, 899 to train on and 898 held out (scikit-learn, no download)",
        paper="https://archive.ics.uci.edu/dataset/80",
        gives={
            "data": "images",
            "shape": (1, 8, 8),
            "classes": 10,
            "modes": 0,
            "extractor": "digits",
            "samples": 898,
        },
    )
