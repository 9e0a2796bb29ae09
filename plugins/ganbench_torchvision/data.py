"""Torchvision's data sets in memory, training and held-out images as their authors split them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.mnist import read_image_file, read_label_file

from ganbench.datasets import fingerprint, resize_images, stacked
from ganbench.errors import DataError
from ganbench.prepared import prepared
from ganbench.protocols import Data, Places
from ganbench_torchvision.files import Source, idx_damage, load, published_as

STACKED_TRAIN, STACKED_HELDOUT = 128_000, 26_000
STL10_SIDE = 96
STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

Split = tuple[Tensor, Tensor]
"""Images and labels of one split."""


def mnist(places: Places, resolution: Literal[16, 28, 32, 64] = 32) -> Data:
    """MNIST's handwritten digits, uint8 (N, 1, resolution, resolution): 28² as they are, 32² framed with black.

    Another `resolution` is resized from 32² with antialiasing. Raises DataError if the files are missing or damaged.
    """
    return _grey(datasets.MNIST, "mnist", places, resolution)


def fashion_mnist(places: Places, resolution: Literal[16, 28, 32, 64] = 32) -> Data:
    """Fashion-MNIST's clothes (arXiv:1708.07747), uint8 (N, 1, resolution, resolution); `resolution` as for `mnist`."""
    return _grey(datasets.FashionMNIST, "fashion-mnist", places, resolution)


def kmnist(places: Places, resolution: Literal[16, 28, 32, 64] = 32) -> Data:
    """Kuzushiji-MNIST's cursive Japanese characters (arXiv:1812.01718); `resolution` as for `mnist`."""
    return _grey(datasets.KMNIST, "kmnist", places, resolution)


def stacked_mnist(places: Places, resolution: Literal[16, 28, 32, 64] = 32) -> Data:
    """Three of MNIST's digits as the channels of one image, uint8 (N, 3, resolution, resolution), in 1,000 classes.

    128,000 triples of training digits to train on, as in PacGAN's released code (arXiv:1712.04086), and 26,000 of test
    digits, as many as it draws from a generator; the class is 100 a + 10 b + c; `resolution` as for `mnist`.
    """
    digits = mnist(places, resolution)
    counts = {"resolution": resolution, "train": STACKED_TRAIN, "heldout": STACKED_HELDOUT}
    return prepared(
        "stacked-mnist", digits.origin, counts, lambda: stacked(digits, "stacked-mnist", STACKED_TRAIN, STACKED_HELDOUT)
    )


def cifar10(places: Places) -> Data:
    """CIFAR-10's photographs, uint8 (N, 3, 32, 32). Raises DataError if the files are missing or damaged."""
    return _cifar(datasets.CIFAR10, "cifar10", places)


def cifar100(places: Places) -> Data:
    """CIFAR-100's photographs, uint8 (N, 3, 32, 32), in its 100 fine classes; see `cifar10`."""
    return _cifar(datasets.CIFAR100, "cifar100", places)


def svhn(places: Places) -> Data:
    """Street View House Numbers cropped to one digit each, uint8 (N, 3, 32, 32), without the `extra` images.

    The class of a digit is its value. Raises DataError if the files are missing or damaged.
    """
    known = {split: datasets.SVHN.split_list[split] for split in ("train", "test")}
    names = [name for _, name, _ in known.values()]
    source = Source(
        name="svhn",
        folder="",
        files=tuple(names),
        urls=tuple(url for url, _, _ in known.values()),
        damage=published_as({name: md5 for _, name, md5 in known.values()}),
        fetch=lambda root: [datasets.SVHN(root, split=split, download=True) for split in known],
    )
    classes = tuple(str(digit) for digit in range(10))

    def read(folder: Path) -> Data:
        return _data(folder, "SVHN", [_svhn_split(folder / name) for name in names], classes)

    return load(source, places, read)


def stl10(places: Places, resolution: Literal[32, 48, 64, 96] = 64) -> Data:
    """STL-10's labelled photographs, uint8 (N, 3, resolution, resolution): 5,000 to train on, 8,000 held out.

    A `resolution` below 96 is resized with antialiasing. The 100,000 unlabelled images are not used. Raises DataError
    if the files are missing or damaged.
    """
    known: dict[str, str] = dict(datasets.STL10.train_list[:2] + datasets.STL10.test_list)
    source = Source(
        name="stl10",
        folder=datasets.STL10.base_folder,
        files=tuple(known),
        urls=(datasets.STL10.url,),
        damage=published_as(known),
        fetch=lambda root: datasets.STL10(root, split="test", download=True),
    )

    def read(folder: Path) -> Data:
        splits = [_stl10_split(folder, part, resolution) for part in ("train", "test")]
        return _data(folder, "STL10", splits, STL10_CLASSES)

    return load(source, places, read, {"resolution": resolution})


def _grey(dataset: type[datasets.MNIST], name: str, places: Places, resolution: int) -> Data:
    archives = [archive for archive, _ in dataset.resources]
    source = Source(
        name=name,
        folder=f"{dataset.__name__}/raw",
        files=tuple(archive.removesuffix(".gz") for archive in archives),
        urls=tuple(f"{dataset.mirrors[0]}{archive}" for archive in archives),
        damage=idx_damage,
        fetch=lambda root: dataset(root, download=True),
    )

    def read(folder: Path) -> Data:
        splits = []
        for part in ("train", "t10k"):
            images = read_image_file(str(folder / f"{part}-images-idx3-ubyte")).unsqueeze(1)
            labels = read_label_file(str(folder / f"{part}-labels-idx1-ubyte"))
            splits.append((resize_images(images, resolution), labels))
        return _data(folder, dataset.__name__, splits, tuple(label.split(" - ")[0] for label in dataset.classes))

    return load(source, places, read, {"resolution": resolution})


def _cifar(dataset: Any, name: str, places: Places) -> Data:
    sums = {**dict(dataset.train_list + dataset.test_list), dataset.meta["filename"]: dataset.meta["md5"]}
    source = Source(
        name=name,
        folder=dataset.base_folder,
        files=tuple(sums),
        urls=(dataset.url,),
        damage=published_as(sums),
        fetch=lambda root: dataset(root, download=True),
    )

    def read(folder: Path) -> Data:
        parts = [dataset(folder.parent, train=train) for train in (True, False)]
        splits = [(torch.from_numpy(part.data).permute(0, 3, 1, 2), torch.tensor(part.targets)) for part in parts]
        return _data(folder, dataset.__name__, splits, tuple(parts[0].classes))

    return load(source, places, read)


def _svhn_split(path: Path) -> Split:
    from scipy.io import loadmat

    content = loadmat(path)
    images = torch.from_numpy(content["X"]).permute(3, 2, 0, 1)  # (N, 3, 32, 32) of (32, 32, 3, N)
    return images, torch.from_numpy(content["y"].astype(np.int64)).flatten() % 10  # 0 is written 10


def _stl10_split(folder: Path, part: str, resolution: int) -> Split:
    """Columns come before rows in the file."""
    content = torch.from_numpy(np.fromfile(folder / f"{part}_X.bin", dtype=np.uint8))
    images = content.view(-1, 3, STL10_SIDE, STL10_SIDE).transpose(2, 3)  # (N, 3, H, W) of (N, 3, W, H)
    labels = torch.from_numpy(np.fromfile(folder / f"{part}_y.bin", dtype=np.uint8)).long() - 1
    return resize_images(images, resolution), labels


def _data(folder: Path, name: str, splits: Sequence[Split], class_names: tuple[str, ...]) -> Data:
    """The training split and the held-out one, with a fingerprint of both in `origin`."""
    for part, (images, labels) in zip(("training", "held-out"), splits, strict=True):
        if len(images) != len(labels):
            raise DataError(f"{folder}: the {part} files hold {len(images)} images and {len(labels)} labels")
    (train, train_labels), (heldout, heldout_labels) = splits
    counts = f"{len(train):,} training and {len(heldout):,} held-out images"
    printed = fingerprint(train, heldout, train_labels, heldout_labels)
    origin = f"torchvision {name}, {counts}, SHA-256 {printed}"
    return Data(train, heldout, train_labels, heldout_labels, class_names, origin=origin)
