"""Images in tar archives as WebDataset writes them: read in memory, nothing is ever unpacked."""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from ganbench.decoding import EXTENSIONS, Encoded, Form, Images, decode, require_enough, shown
from ganbench.errors import DataError

LABEL = ".cls"


@dataclass
class _Sample:
    """The members of one key: the first picture, and the label's."""

    image: tarfile.TarInfo | None = None
    label: tarfile.TarInfo | None = None


def read_tar(path: Path, form: Form) -> Images:
    """The images of a tar archive, packed or not, in its order.

    Members belong together if their names are alike up to the first dot of the last part, WebDataset's key. A key's
    first picture counts; `.cls` holds its class, a whole number from 0. There are labels only if each picture has one.
    Raises DataError.
    """
    with _opened(path) as archive:
        samples = _samples(path, archive)
        images = decode(_pictures(path, archive, samples), len(samples), form)
        labels = _labels(path, archive, samples)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Images(torch.from_numpy(images), labels, (), tuple(samples), sha256)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:*") as archive:
            yield archive
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
        cause = getattr(error, "strerror", None) or str(error).partition("\n")[0].rstrip(":")
        raise DataError(f"{shown(path)}: not a whole tar archive ({cause}). Make it again, or copy it again") from error


def _samples(path: Path, archive: tarfile.TarFile) -> dict[str, _Sample]:
    """The samples that have a picture, by key, in the order of the archive."""
    samples: dict[str, _Sample] = {}
    passed_over: Counter[str] = Counter()
    for member in _members(path, archive):
        name = PurePosixPath(member.name)
        suffix = name.suffix.lower()
        sample = samples.setdefault(str(name.with_name(name.name.split(".")[0])), _Sample())
        if suffix in EXTENSIONS:
            sample.image = sample.image or member
        elif suffix == LABEL:
            sample.label = member
        else:
            passed_over[suffix or "no extension"] += 1
    found = {key: sample for key, sample in samples.items() if sample.image is not None}
    require_enough(shown(path), len(found), passed_over)
    return found


def _members(path: Path, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The archive's files. Raises DataError for one that points outside, and if the mark of the end is missing."""
    for member in archive:
        parts = PurePosixPath(member.name).parts
        if member.name.startswith("/") or ".." in parts:
            raise DataError(
                f"{shown(path)}: its member '{shown(member.name)}' points outside it. Make the archive again"
            )
        if member.isfile() and parts and not parts[-1].startswith("."):
            yield member
    # tarfile takes a damaged header for the end; the real end is a block of zeros.
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"no end where one is expected, {archive.offset:,} bytes in")


def _pictures(path: Path, archive: tarfile.TarFile, samples: dict[str, _Sample]) -> Iterator[Encoded]:
    """The pictures with their bytes: read here and in order, since a packed archive can only go forward."""
    for sample in samples.values():
        assert sample.image is not None
        content = _content(archive, sample.image)
        yield Encoded(f"{shown(path)}: {shown(sample.image.name)}", partial(bytes, content))


def _labels(path: Path, archive: tarfile.TarFile, samples: dict[str, _Sample]) -> Tensor | None:
    """The classes (N,); None where pictures have none."""
    members = [sample.label for sample in samples.values() if sample.label is not None]
    if not members:
        return None
    if len(members) < len(samples):
        lacking = next(key for key, sample in samples.items() if sample.label is None)
        raise DataError(f"{shown(path)}: '{shown(lacking)}' has no {LABEL}, {len(members)} others have one")
    labels = []
    for member in members:
        content = _content(archive, member).strip()
        if not content.isdigit() or len(content) > 9:
            raise DataError(f"{shown(path)}: {shown(member.name)}: expected a whole number from 0")
        labels.append(int(content))
    return torch.tensor(labels)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    content = file.read()
    if len(content) != member.size:
        raise tarfile.ReadError(f"'{member.name}' is cut off")
    return content
