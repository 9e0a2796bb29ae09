"""Data sets from scikit-learn's 8×8 pictures of handwritten digits: `digits`, and three of them in one image."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1

_PAPER = "https://archive.ics.uci.edu/dataset/80"
_ORIGIN = {"licence": "CC BY 4.0", "source": "comes with scikit-learn: nothing to obtain"}


@hookimpl
def ganbench_datasets() -> Iterable[Component]:
    """Offer `digits` and `stacked-digits`."""
    yield Component(
        "digits",
        "ganbench_digits.data:digits",
        summary="Handwritten digits, grey 8×8, 899 to train on and 898 held out (scikit-learn, no download)",
        paper=_PAPER,
        gives={
            "data": "images",
            "shape": (1, 8, 8),
            "classes": 10,
            "vocabulary": "handwritten digits",
            "modes": 0,
            "splits": (899, 898),
            "extractor": "digits",
            "samples": 898,
            **_ORIGIN,
        },
    )
    yield Component(
        "stacked-digits",
        "ganbench_digits.data:stacked_digits",
        summary="Three digits as the channels of one image: 1,000 classes, 8×8 (scikit-learn, no download)",
        paper=_PAPER,
        gives={
            "data": "images",
            "shape": (3, 8, 8),
            "classes": 1000,
            "vocabulary": "three handwritten digits",
            "modes": 0,
            "splits": (60_000, 26_000),
            "extractor": "stacked-digits",
            "samples": 26_000,
            **_ORIGIN,
        },
    )
