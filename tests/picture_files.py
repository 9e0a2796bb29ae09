"""Pictures for tests, good and bad, as bytes and as folders."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib

import numpy as np
from PIL import Image


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    """The bytes of a file that holds `image`, a Pillow picture or an array."""
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, kind, **options)
    return file.getvalue()


def png(width, height, depth, rows):
    """An RGB PNG of any depth, which Pillow cannot write."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def put_pictures(folder, count=12, shape=(8, 8, 3), seed=0):
    """`count` pictures of noise, 00.png and on; the array that they hold, (N, H, W, 3) or (N, H, W)."""
    folder.mkdir(parents=True, exist_ok=True)
    images = noise(count, *shape, seed=seed)
    for index, image in enumerate(images):
        (folder / f"{index:02}.png").write_bytes(encoded(image))
    return images


def put_tar(path, members, mode="w"):
    """A tar archive of (name, bytes) in their order."""
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def channels_first(images):
    """(N, H, W, 3) or (N, H, W) as (N, C, H, W)."""
    return images.transpose(0, 3, 1, 2) if images.ndim == 4 else images[:, None]
