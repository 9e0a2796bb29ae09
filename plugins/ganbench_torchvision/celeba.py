"""CelebA's aligned faces, cropped to a square and resized."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torchvision import datasets
from torchvision.datasets.utils import download_file_from_google_drive, extract_archive

from ganbench.datasets import fingerprint
from ganbench.decoding import Encoded, Form, decode
from ganbench.errors import DataError
from ganbench.protocols import Data, Places
from ganbench_torchvision.files import Source, load, published_as

PICTURES, PARTITION = "img_align_celeba", "list_eval_partition.txt"
TRAINING = "0"
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"


def celeba(places: Places, resolution: Literal[32, 64, 128] = 64) -> Data:
    """Aligned faces (arXiv:1411.7766), uint8 (N, 3, resolution, resolution), without labels.

    The 178×178 in the middle of the 178×218 pixels are resized to `resolution`, bilinear with antialiasing. The
    authors' training images are trained on; their validation and test images are held out. Raises DataError if files
    are missing or damaged.
    """
    sums = {name: md5 for _, md5, name in datasets.CelebA.file_list if name == PARTITION}
    source = Source(
        name="celeba",
        folder=datasets.CelebA.base_folder,
        files=(PARTITION, PICTURES),
        urls=(f"{PARTITION} and {PICTURES}.zip of {PAGE}",),
        damage=published_as(sums),
        fetch=_fetch,
    )

    def read(folder: Path) -> Data:
        splits = [_read(folder, names, resolution) for names in _partition(folder)]
        origin = f"torchvision CelebA, {len(splits[0]):,} training and {len(splits[1]):,} held-out images"
        return Data(splits[0], splits[1], origin=f"{origin}, SHA-256 {fingerprint(*splits)}")

    return load(source, places, read, {"resolution": resolution}, _files)


def _files(folder: Path) -> list[str]:
    """The partition and every picture that it lists."""
    training, heldout = _partition(folder)
    return [PARTITION, *training, *heldout]


def _partition(folder: Path) -> tuple[list[str], list[str]]:
    """The pictures to train on and those held out. A line is a name and 0, 1 or 2: training, validation or test."""
    path = folder / PARTITION
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"celeba: {path}: cannot be read ({error})") from error
    if not rows or not all(len(row) == 2 and row[0] == Path(row[0]).name and row[1] in "012" for row in rows):
        raise DataError(f"celeba: {path}: expected lines of a file's name and 0, 1 or 2. Replace the file")
    training = [f"{PICTURES}/{name}" for name, part in rows if part == TRAINING]
    return training, [f"{PICTURES}/{name}" for name, part in rows if part != TRAINING]


def _read(folder: Path, names: list[str], resolution: int) -> torch.Tensor:
    pictures = (Encoded(f"celeba: {folder / name}", (folder / name).read_bytes) for name in names)
    return torch.from_numpy(decode(pictures, len(names), Form(resolution, 3, "centre")))


def _fetch(root: Path) -> None:
    """The two of CelebA's files that are used. Google's drive refuses now and then when many ask."""
    folder = root / datasets.CelebA.base_folder
    for file_id, md5, name in datasets.CelebA.file_list:
        if name in (PARTITION, f"{PICTURES}.zip"):
            download_file_from_google_drive(file_id, folder, name, md5)
    extract_archive(folder / f"{PICTURES}.zip")
