"""Small files in the formats of torchvision's data sets; torchvision is told that their MD5 sums are the right ones."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

GREY_COUNTS = {"train": 6, "t10k": 4}


def md5(path):
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def idx_bytes(values):
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_grey(root, folder="MNIST"):
    """Six training images and four test images of 28², labelled 0, 1, 2, …"""
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for seed, (part, count) in enumerate(GREY_COUNTS.items()):
        images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28))
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count) % 10))
    return raw


def write_cifar(root, monkeypatch, classes=10):
    """Batches of two images each: the red of batch b is 10 b, the green one more; batch 6 is the test batch."""
    dataset, key, labels = {
        10: (datasets.CIFAR10, "label_names", "labels"),
        100: (datasets.CIFAR100, "fine_label_names", "fine_labels"),
    }[classes]
    folder = root / dataset.base_folder
    folder.mkdir(parents=True)

    def put(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, md5(folder / name)]

    def batch(index):
        pixels = np.full((2, 3, 32, 32), 10 * index, dtype=np.uint8)
        pixels[:, 1], pixels[:, 2, 0, 31] = 10 * index + 1, 200 + index
        pixels[1, 0, 31, 31] = 255
        return {"data": pixels.reshape(2, 3072), labels: [index, 9]}

    names = [name for name, _ in dataset.train_list]
    train = [put(name, batch(index)) for index, name in enumerate(names, start=1)]
    test = [put(dataset.test_list[0][0], batch(6))]
    name, checksum = put(dataset.meta["filename"], {key: [f"class {index}" for index in range(classes)]})
    monkeypatch.setattr(dataset, "train_list", train)
    monkeypatch.setattr(dataset, "test_list", test)
    monkeypatch.setattr(dataset, "meta", {"filename": name, "key": key, "md5": checksum})
    return folder


def write_svhn(root, monkeypatch):
    """Five training images, three test images: image n has n in its red, its row in its green, its column in blue."""
    root.mkdir(parents=True, exist_ok=True)
    known = {}
    for part, count in (("train", 5), ("test", 3)):
        rows, columns, numbers = np.meshgrid(np.arange(32), np.arange(32), np.arange(count), indexing="ij")
        shift = 100 if part == "test" else 0
        images = np.stack([numbers + shift, rows, columns], axis=2).astype(np.uint8)  # (32, 32, 3, N)
        path = root / f"{part}_32x32.mat"
        savemat(path, {"X": images, "y": 10 - np.arange(count, dtype=np.uint8)[:, None]})
        known[part] = [f"http://svhn.invalid/{path.name}", path.name, md5(path)]
    monkeypatch.setattr(datasets.SVHN, "split_list", known)
    return root


def write_stl10(root, monkeypatch):
    """Four training images, three test images: image n has n in its red, its row in its green, its column in blue."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for part, count in (("train", 4), ("test", 3)):
        numbers, rows, columns = np.meshgrid(np.arange(count), np.arange(96), np.arange(96), indexing="ij")
        shift = 100 if part == "test" else 0
        images = np.stack([numbers + shift, rows, columns], axis=1).astype(np.uint8)  # (N, 3, H, W)
        (folder / f"{part}_X.bin").write_bytes(images.transpose(0, 1, 3, 2).tobytes())
        (folder / f"{part}_y.bin").write_bytes(bytes(1 + index for index in range(count)))
    sums = {path.name: md5(path) for path in folder.iterdir()}
    monkeypatch.setattr(datasets.STL10, "train_list", [[f"train_{x}.bin", sums[f"train_{x}.bin"]] for x in "Xy"])
    monkeypatch.setattr(datasets.STL10, "test_list", [[f"test_{x}.bin", sums[f"test_{x}.bin"]] for x in "Xy"])
    return folder


def write_celeba(root, monkeypatch, count=9):
    """Faces of 178×218: white around the square in the middle, which is grey 20 n in image n. Three of each part."""
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for index in range(count):
        pixels = np.full((218, 178), 255, dtype=np.uint8)
        pixels[20:198] = 20 * index
        Image.fromarray(pixels).convert("RGB").save(folder / "img_align_celeba" / f"{index:06}.jpg", quality=100)
    lines = [f"{index:06}.jpg {index % 3}\n" for index in range(count)]
    partition = folder / "list_eval_partition.txt"
    partition.write_text("".join(lines))
    known = [("drive-zip", "not checked", "img_align_celeba.zip"), ("drive-txt", md5(partition), partition.name)]
    monkeypatch.setattr(datasets.CelebA, "file_list", known)
    return folder
