"""torch-fidelity's other extractors, CLIP, DINOv2 and VGG16, with published weights that are checked before loading."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1

_OFFERS = (
    ("clip-vit-b-32", "clip", "512 features of CLIP's image encoder ViT-B/32", "arXiv:2103.00020"),
    ("dinov2-vit-b-14", "dinov2", "768 features of DINOv2's ViT-B/14, its class token", "arXiv:2304.07193"),
    ("vgg16", "vgg16", "4096 features of VGG16, its second hidden layer", "arXiv:1409.1556"),
)


@hookimpl
def ganbench_extractors() -> Iterable[Component]:
    """Offer `clip-vit-b-32`, `dinov2-vit-b-14` and `vgg16`."""
    for name, function, summary, paper in _OFFERS:
        yield Component(
            name,
            f"ganbench_fidelity.extractors:{function}",
            summary=f"{summary} (--weights FILE or --download)",
            paper=paper,
            needs={"channels": (1, 3)},
            gives={"classes": 0},
        )
