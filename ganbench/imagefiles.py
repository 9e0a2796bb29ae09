"""Images and points in files, as arrays: folders of pictures, NumPy's .npz and .npy, and WebDataset's tar archives."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganbench.archives import read_tar
from ganbench.arrays import read_arrays, read_points_of
from ganbench.decoding import EXTENSIONS, Advice, Crop, Encoded, Form, Images, decode, require_enough, shown
from ganbench.errors import DataError

__all__ = ["Images", "combined", "existing", "picture_names", "read_folder", "read_images", "read_points"]

ARRAYS = (".npz", ".npy")
ARCHIVES = (".tar", ".tar.gz", ".tgz")


def read_images(
    path: Path,
    resolution: int | None = None,
    channels: int | None = None,
    crop: Crop = "exact",
    key: str = "",
    advice: Advice | None = None,
) -> Images:
    """All images of a folder, an .npz or .npy, or a tar archive.

    `resolution` and `channels` are the first image's where they are None; see `ganbench.decoding.Form`. `key` names an
    .npz's array. Raises one DataError, which names the file and says what to do: as `advice` has it.
    """
    form, path = Form(resolution, channels, crop, advice or Advice()), existing(path)
    if path.is_dir():
        return read_folder(path, form)
    if path.name.lower().endswith(ARRAYS):
        return read_arrays(path, form, key)
    if path.name.lower().endswith(ARCHIVES):
        return read_tar(path, form)
    known = ", ".join((*ARRAYS, *ARCHIVES))
    raise DataError(f"{shown(path)}: neither a folder nor a file that ends in one of {known}")


def read_points(path: Path) -> Tensor:
    """Points (N, D) float32 of an .npy, or of an .npz with one array or one called `points`. Raises DataError."""
    path = existing(path)
    if path.is_dir() or not path.name.lower().endswith(ARRAYS):
        came = "a folder" if path.is_dir() else "neither of these"
        raise DataError(f"{shown(path)}: {came}; points come as an {' or '.join(ARRAYS)}")
    return read_points_of(path)


def read_folder(path: Path, form: Form) -> Images:
    """The pictures in a folder and the folders below it, by their paths' bytes; the first folder is an image's class.

    There are labels only if every picture lies in a folder of its own class below `path`.
    """
    names = picture_names(path)
    digests = [""] * len(names)

    def encoded(index: int) -> Encoded:
        def read() -> bytes:
            content = (path / names[index]).read_bytes()
            digests[index] = hashlib.sha256(content).hexdigest()
            return content

        return Encoded(shown(path / names[index]), read)

    images = decode(map(encoded, range(len(names))), len(names), form)
    labels, class_names = _labels_of(names)
    return Images(torch.from_numpy(images), labels, class_names, names, combined(names, digests))


def picture_names(path: Path) -> tuple[str, ...]:
    """The pictures below a folder, told by their extensions, as relative paths in the order of their bytes.

    Names that begin with a dot are passed over. Raises DataError for fewer than MINIMUM.
    """
    passed_over: Counter[str] = Counter()
    names = []
    for file in _files_below(path, ()):
        if file.suffix.lower() in EXTENSIONS:
            names.append(file.relative_to(path).as_posix())
        else:
            passed_over[file.suffix.lower() or "no extension"] += 1
    require_enough(shown(path), len(names), passed_over)
    return tuple(sorted(names, key=os.fsencode))


def combined(names: Sequence[str], digests: Iterable[str]) -> str:
    """The SHA-256 of several files: of the lines `digest  name` that sha256sum prints of them."""
    lines = (
        f"{digest}  {name}\n".encode(errors="surrogateescape") for name, digest in zip(names, digests, strict=True)
    )
    total = hashlib.sha256()
    for line in lines:
        total.update(line)
    return total.hexdigest()


def existing(path: Path) -> Path:
    """The path, `~` expanded, if something is there. Raises DataError that names the nearest there is."""
    try:
        path = path.expanduser()
        if path.is_file() or path.is_dir():
            return path
        if path.exists():
            raise DataError(f"{shown(path)}: neither a folder nor a file, but a pipe or a device")
        problem = "a link that leads nowhere" if path.is_symlink() else f"no such file or folder.{_nearest(path)}"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except RuntimeError:
        problem = "there is no such user, or it has no home"
    raise DataError(f"{shown(path)}: {problem}")


def _nearest(path: Path) -> str:
    """The end of a message: what is there instead of `path`."""
    above = next(parent for parent in path.parents if parent.is_dir())
    known = {inside.name: inside for inside in above.iterdir()}
    near = difflib.get_close_matches(path.relative_to(above).parts[0], known, n=1)
    return f" Did you mean '{shown(known[near[0]])}'?" if near else f" The nearest folder is '{shown(above)}'"


def _files_below(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Every file below `folder`; `above` are the folders that led here."""
    try:
        here = (folder.stat().st_dev, folder.stat().st_ino)
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{shown(folder)}: cannot be read ({error.strerror})") from error
    if here in above:
        raise DataError(f"{shown(folder)}: a link to a folder that it lies in. Remove the link")
    for path in inside:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files_below(path, (*above, here))
        elif path.is_file() or not path.exists():  # a link that leads nowhere is to be named; a pipe is passed over
            yield path


def _labels_of(names: Sequence[str]) -> tuple[Tensor | None, tuple[str, ...]]:
    folders = [name.split("/")[0] if "/" in name else "" for name in names]
    if "" in folders:
        return None, ()
    class_names = tuple(sorted(set(folders), key=os.fsencode))
    index = {name: label for label, name in enumerate(class_names)}
    return torch.tensor([index[folder] for folder in folders]), class_names
