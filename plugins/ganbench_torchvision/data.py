"""MNIST, Fashion-MNIST and CIFAR-10 in memory, training and test images as torchvision splits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from ganbench.datasets import fingerprint, resize_images
from ganbench.errors import DataError
from ganbench.protocols import Data, Places
from ganbench_torchvision.files import Source, idx_damage, locate


def mnist(places: Places, resolution: Literal[16, 28, 32, 64] = 32) -> Data:
    """MNIST's handwritten digits, uint8 (N, 1, resolution, resolution): 28² as they are, 32² framed with black.

    Other resolutions are resized from 32² with antialiasing. Raises DataError if the files are missing or damaged.
    """
    return _grey(datasets.MNIST, "mnist", places, resolution)


def fashion_mnist(places: Places, resolution: Literal[16, 28, 32, 64] = 32) -> Data:
    """Fashion-MNIST's clothes (arXiv:1708.07747), uint8 (N, 1, resolution, resolution); see `mnist`."""
    return _grey(datasets.FashionMNIST, "fashion-mnist", places, resolution)


def cifar10(places: Places) -> Data:
    """CIFAR-10's photographs, uint8 (N, 3, 32, 32). Raises DataError if the files are missing or damaged."""
    root = locate(_cifar_source(), places)
    train, heldout = (datasets.CIFAR10(root, train=train) for train in (True, False))
    images = [torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in (train, heldout)]
    labels = [torch.tensor(part.targets) for part in (train, heldout)]
    return _data("CIFAR10", images, labels, tuple(train.classes))


def _grey(dataset: type[datasets.MNIST], name: str, places: Places, resolution: int) -> Data:
    root = locate(_idx_source(dataset, name), places)
    parts = [dataset(root, train=train) for train in (True, False)]
    for part in parts:
        if len(part.data) != len(part.targets):
            raise DataError(f"{name}: {part.raw_folder} holds {len(part.data)} images and {len(part.targets)} labels")
    images = [resize_images(part.data.unsqueeze(1), resolution) for part in parts]
    names = tuple(label.split(" - ")[0] for label in dataset.classes)
    return _data(dataset.__name__, images, [part.targets.long() for part in parts], names)


def _data(name: str, images: list[torch.Tensor], labels: list[torch.Tensor], class_names: tuple[str, ...]) -> Data:
    counts = f"{len(images[0])} training and {len(images[1])} test images"
    return Data(
        train=images[0],
        heldout=images[1],
        train_labels=labels[0],
        heldout_labels=labels[1],
        class_names=class_names,
        origin=f"torchvision {name}, {counts}, SHA-256 {fingerprint(*images, *labels)}",
    )


def _idx_source(dataset: type[datasets.MNIST], name: str) -> Source:
    archives = [archive for archive, _ in dataset.resources]
    return Source(
        name=name,
        folder=f"{dataset.__name__}/raw",
        files=tuple(archive.removesuffix(".gz") for archive in archives),
        urls=tuple(f"{dataset.mirrors[0]}{archive}" for archive in archives),
        damage=idx_damage,
        fetch=lambda root: dataset(root, download=True),
    )


def _cifar_source() -> Source:
    cifar: Any = datasets.CIFAR10
    sums = {**dict(cifar.train_list + cifar.test_list), cifar.meta["filename"]: cifar.meta["md5"]}

    def damage(path: Path) -> str:
        return "" if check_integrity(path, sums[path.name]) else "its MD5 sum is not that of the published file"

    return Source(
        name="cifar10",
        folder=cifar.base_folder,
        files=tuple(sums),
        urls=(cifar.url,),
        damage=damage,
        fetch=lambda root: cifar(root, download=True),
    )
