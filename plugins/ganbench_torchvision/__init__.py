"""Data sets in torchvision's files, from MNIST to CelebA: read from disk as they are, or downloaded on request."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1

_ROOT = "--data-root DIR with DIR/"
_INCEPTION = "inception-v3-compat"
_CIFAR_PAPER = "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf"


@hookimpl
def ganbench_datasets() -> Iterable[Component]:
    """Offer three sets like MNIST, MNIST stacked, and five of colour photographs."""
    yield _grey(
        "mnist",
        "Handwritten digits",
        "http://yann.lecun.com/exdb/mnist",
        "mnist",
        "CC BY-SA 3.0",
        "MNIST",
        12,
        vocabulary="handwritten digits",
    )
    yield Component(
        "stacked-mnist",
        "ganbench_torchvision.data:stacked_mnist",
        summary="Three of MNIST's digits as the channels of one image: 1,000 classes",
        paper="arXiv:1712.04086",
        gives={
            "data": "images",
            "shape": (3, "{resolution}", "{resolution}"),
            "classes": 1000,
            "vocabulary": "three handwritten digits",
            "modes": 0,
            "splits": (128_000, 26_000),
            "extractor": "stacked-mnist",
            "samples": 26_000,
            "licence": "CC BY-SA 3.0",
            "source": f"{_ROOT}MNIST/raw, or --download (12 MB)",
        },
    )
    yield _grey("fashion-mnist", "Articles of clothing", "arXiv:1708.07747", _INCEPTION, "MIT", "FashionMNIST", 31)
    yield _grey("kmnist", "Cursive Japanese characters", "arXiv:1812.01718", _INCEPTION, "CC BY-SA 4.0", "KMNIST", 21)
    for classes in (10, 100):
        folder = {10: "cifar-10-batches-py", 100: "cifar-100-python"}[classes]
        yield _colour(
            f"cifar{classes}",
            f"Photographs in {classes} classes, 32×32",
            _CIFAR_PAPER,
            shape=(3, 32, 32),
            classes=classes,
            splits=(50_000, 10_000),
            licence="none stated",
            source=f"{_ROOT}{folder}, or --download (170 MB)",
        )
    yield _colour(
        "svhn",
        "House numbers, cropped to one digit, 32×32; without the extra images",
        "http://ufldl.stanford.edu/housenumbers/nips2011_housenumbers.pdf",
        shape=(3, 32, 32),
        classes=10,
        splits=(73_257, 26_032),
        licence="non-commercial use only",
        source=f"{_ROOT}train_32x32.mat and test_32x32.mat, or --download (250 MB)",
    )
    yield _colour(
        "stl10",
        "Photographs in 10 classes, 96×96; the labelled ones only",
        "https://proceedings.mlr.press/v15/coates11a/coates11a.pdf",
        shape=(3, "{resolution}", "{resolution}"),
        classes=10,
        splits=(5_000, 8_000),
        samples=5_000,
        licence="none stated",
        source=f"{_ROOT}stl10_binary, or --download (2.6 GB)",
    )
    yield _colour(
        "celeba",
        "Faces of celebrities, the square in the middle; validation and test images are held out",
        "arXiv:1411.7766",
        shape=(3, "{resolution}", "{resolution}"),
        classes=0,
        splits=(162_770, 39_829),
        licence="non-commercial research only",
        source=f"{_ROOT}celeba, or --download (1.4 GB, needs gdown)",
        module="celeba",
    )


def _grey(
    name: str, what: str, paper: str, extractor: str, licence: str, folder: str, megabytes: int, vocabulary: str = ""
) -> Component:
    """A set in MNIST's format; `vocabulary` says what its classes are, where an extractor knows them."""
    return Component(
        name,
        f"ganbench_torchvision.data:{name.replace('-', '_')}",
        summary=f"{what}, grey, 28×28 framed to 32×32 (torchvision; --data-root or --download)",
        paper=paper,
        gives={
            "data": "images",
            "shape": (1, "{resolution}", "{resolution}"),
            "classes": 10,
            "vocabulary": vocabulary or name,
            "modes": 0,
            "splits": (60_000, 10_000),
            "splits_vary": True,  # the files say how many they hold, and the record says which files they were
            "extractor": extractor,
            "samples": 5000,
            "licence": licence,
            "source": f"{_ROOT}{folder}/raw, or --download ({megabytes} MB)",
        },
    )


def _colour(name: str, what: str, paper: str, module: str = "data", **gives: object) -> Component:
    return Component(
        name,
        f"ganbench_torchvision.{module}:{name}",
        summary=f"{what} (torchvision; --data-root or --download)",
        paper=paper,
        gives={"data": "images", "modes": 0, "extractor": _INCEPTION, "samples": 10_000, **gives},
    )
