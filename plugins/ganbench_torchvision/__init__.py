"""Data sets that torchvision reads: MNIST, Fashion-MNIST and CIFAR-10, from files on disk or downloaded on request."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1

_GREY_SHAPE = (1, "{resolution}", "{resolution}")


@hookimpl
def ganbench_datasets() -> Iterable[Component]:
    """Offer `mnist`, `fashion-mnist` and `cifar10`."""
    yield Component(
        "mnist",
        "ganbench_torchvision.data:mnist",
        summary="Handwritten digits, grey, 28×28 framed to 32×32 (torchvision; --data-root or --download)",
        paper="http://yann.lecun.com/exdb/mnist",
        gives=_gives(_GREY_SHAPE, "mnist", 5000),
    )
    yield Component(
        "fashion-mnist",
        "ganbench_torchvision.data:fashion_mnist",
        summary="Articles of clothing, grey, 28×28 framed to 32×32 (torchvision; --data-root or --download)",
        paper="arXiv:1708.07747",
        gives=_gives(_GREY_SHAPE, "inception", 5000),
    )
    yield Component(
        "cifar10",
        "ganbench_torchvision.data:cifar10",
        summary="Photographs in ten classes, colour 32×32 (torchvision; --data-root or --download)",
        paper="https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
        gives=_gives((3, 32, 32), "inception", 10000),
    )


def _gives(shape: tuple[int | str, ...], extractor: str, samples: int) -> dict[str, object]:
    return {
        "data": "images",
        "shape": shape,
        "classes": 10,
        "modes": 0,
        "extractor": extractor,
        "samples": samples,
    }
