"""The canonical Inception of FID, as torch-fidelity has it; its weights are checked before they are loaded."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_extractors() -> Iterable[Component]:
    """Offer `inception-v3-compat`."""
    yield Component(
        "inception-v3-compat",
        "ganbench_inception.extractors:inception",
        summary="2048 features and 1008 logits of the Inception that FID is defined by (--weights FILE or --download)",
        paper="arXiv:1706.08500",
        needs={"channels": (1, 3)},
        gives={"classes": 0, "logits": True},
    )
