"""Pictures as pixels: what converts without loss is converted, what would lose something is refused by name."""

from __future__ import annotations

import io
import math
import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.filesize import decimal
from torch import Tensor

from ganbench.errors import DataError

Crop = Literal["exact", "centre", "stretch"]
Pixels = npt.NDArray[np.uint8]
Item = TypeVar("Item")

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

MINIMUM = 10
"""The fewest images that are taken for a collection: fewer measure nothing."""

THREADS = min(8, os.cpu_count() or 1)
"""Pillow lets go of the interpreter while it decodes, so that threads are enough."""

BATCH = 256
"""Pictures handed to the threads at a time: bounds the bytes that wait to be decoded."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

_OPAQUE = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB"}
"""The modes of Pillow that are read, each with the mode that holds all of it where nothing is transparent."""

_opening = threading.Lock()


@dataclass(frozen=True)
class Images:
    """Images uint8 (N, C, H, W), in the order of their `names`: paths inside the folder or archive, or row numbers.

    `labels` (N,) int64 are the numbers of classes, or None; `class_names` names them where folders do. `sha256` is of
    the files' content and names, not of where they lie.
    """

    images: Tensor
    labels: Tensor | None
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Advice:
    """What to do about pictures that are no squares, of another size or in colour: as a data set's parameters."""

    square: str = "State a resolution, and crop=centre or stretch"
    size: str = "State crop=centre or crop=stretch to resize"
    grey: str = "State channels=3, or convert it first"


@dataclass(frozen=True)
class Form:
    """What pictures are brought to: (channels, resolution, resolution), 1 or 3 channels.

    None stands for what the first picture has. `exact` accepts no other size; `centre` cuts the largest square out of
    the middle, `stretch` takes the whole picture, and both then resize, bilinear with antialiasing. `advice` ends the
    messages about pictures of another form.
    """

    resolution: int | None = None
    channels: int | None = None
    crop: Crop = "exact"
    advice: Advice = Advice()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W), once nothing is left open."""
        assert self.resolution is not None
        assert self.channels is not None
        return (self.channels, self.resolution, self.resolution)

    def filled(self, name: str, image: Image.Image) -> Form:
        """The form, with the size and the channels of the picture `name` where it states none."""
        if self.resolution is None and image.width != image.height:
            size = f"{image.width}×{image.height}"
            raise DataError(f"{name}: {size} pixels, expected a square. {self.advice.square}")
        return replace(self, resolution=self.resolution or image.width, channels=self.channels or len(image.getbands()))


@dataclass(frozen=True)
class Encoded:
    """A picture in a file: its name for messages, and what reads its bytes."""

    name: str
    read: Callable[[], bytes]


def decode(pictures: Iterable[Encoded], count: int, form: Form) -> Pixels:
    """All `count` pictures in their order, uint8 (N, C, H, W). They are asked for in batches, and decoded by threads.

    Raises DataError that names the first picture that cannot be read or does not have the form.
    """
    rest = iter(pictures)
    first = next(rest)
    form = form.filled(first.name, picture(first))
    return convert(chain([first], rest), lambda item: pixels(item.name, picture(item), form), count, form, first.name)


def convert(items: Iterable[Item], to_pixels: Callable[[Item], Pixels], count: int, form: Form, place: str) -> Pixels:
    """What `to_pixels` makes of each of `count` items, (N, C, H, W), by several threads, in the items' order.

    Raises DataError that names `place` for more pixels than the machine's memory holds.
    """
    _require_memory(place, count, form)
    found = np.empty((count, *form.shape), dtype=np.uint8)

    def put(numbered: tuple[int, Item]) -> None:
        found[numbered[0]] = to_pixels(numbered[1])

    waiting = enumerate(items)
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(waiting, BATCH)):
            list(pool.map(put, batch))  # raises what the first item at fault raised
    return found


def picture(encoded: Encoded) -> Image.Image:
    """The picture as a viewer shows it, in mode L or RGB: opaque, 8 bits a channel, EXIF's orientation applied.

    Colour profiles are ignored. Raises DataError that names the picture, where it is broken or would lose something.
    """
    try:
        with _opened(encoded.read()) as image:
            _refuse(encoded.name, image)
            upright: Image.Image = ImageOps.exif_transpose(image)
            upright = upright.convert("RGBA") if upright.mode in ("P", "PA") else upright
            _refuse_transparent(encoded.name, upright)
            return upright.convert(_OPAQUE[upright.mode])
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"more than the {Image.MAX_IMAGE_PIXELS:,} pixels that Pillow takes for honest"
        raise DataError(f"{encoded.name}: {limit}. Make it smaller, or delete it") from error
    except Exception as error:
        raise DataError(f"{encoded.name}: {_cause(error)}. Replace it, or delete it") from error


def pixels(name: str, image: Image.Image, form: Form) -> Pixels:
    """A picture of mode L or RGB in its form, (C, H, W). Raises DataError where it does not have that form."""
    return in_channels(name, np.asarray(_fitted(name, image, form)), form)


def in_channels(name: str, array: Pixels, form: Form) -> Pixels:
    """Grey (..., H, W) or coloured (..., H, W, 3) pixels as (..., C, H, W): grey is repeated, equal channels are grey.

    Raises DataError for colours where one channel is wanted.
    """
    coloured = array.ndim > 2 and array.shape[-1] == 3
    if coloured and form.channels == 1:
        if (array != array[..., :1]).any():
            raise DataError(f"{name}: in colour, expected grey. {form.advice.grey}")
        array, coloured = array[..., 0], False
    if not coloured:
        return np.stack([array] * form.shape[0], axis=-3)
    return np.moveaxis(array, -1, -3)


def require_enough(place: str, count: int, passed_over: Counter[str]) -> None:
    """Nothing, if there are MINIMUM images or more. Raises DataError that counts what was found instead."""
    if count >= MINIMUM:
        return
    others = ", ".join(f"{number:,} {suffix}" for suffix, number in passed_over.most_common(5))
    found = f"{count} image{'' if count == 1 else 's'}" if count else "no images"
    hint = f". Other files there: {others}" if others else ""
    raise DataError(f"{place}: {found}, expected at least {MINIMUM} that end in {', '.join(EXTENSIONS)}{hint}")


def shown(path: Path | str) -> str:
    """A path that can be printed, whatever bytes it has."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _opened(content: bytes) -> Image.Image:
    """The picture, its header read. Pillow's warning of a decompression bomb is an error here."""
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content), formats=_FORMATS)


def _cause(error: Exception) -> str:
    """What is wrong with a file that a decoder failed on."""
    if isinstance(error, UnidentifiedImageError):
        return f"none of {', '.join(_FORMATS)}, or cut off at its beginning"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    return f"not a whole picture ({str(error) or type(error).__name__})"


def _refuse(name: str, image: Image.Image) -> None:
    """Raise DataError for what has more in it than 8 bits a channel of grey or RGB."""
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise DataError(f"{name}: several pictures in one file, expected one. Save each to a file of its own")
    if _is_deep(image):
        raise DataError(f"{name}: more than 8 bits a channel. Convert it, as by: magick IN -depth 8 OUT")
    if image.mode not in _OPAQUE:
        raise DataError(
            f"{name}: of mode {image.mode}, expected grey or RGB. Convert it: magick IN -colorspace sRGB OUT"
        )


def _is_deep(image: Image.Image) -> bool:
    """Whether pixels have more than 8 bits a channel, some of which Pillow would drop without a word."""
    arguments = [tile[3] for tile in image.tile]  # type: ignore[attr-defined]  # ImageFile has it, as `open` gives
    above_255 = image.format == "PPM" and any(item[1] > 255 for item in arguments if isinstance(item, tuple))
    return image.mode.startswith(("I", "F")) or ";16" in str(arguments) or above_255


def _refuse_transparent(name: str, image: Image.Image) -> None:
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise DataError(
            f"{name}: transparent in places. Put it on a background: magick IN -background white -flatten OUT"
        )


def _require_memory(place: str, count: int, form: Form) -> None:
    needed, memory = count * math.prod(form.shape), psutil.virtual_memory().total
    if needed > memory:
        images = f"{count:,} images at resolution {form.resolution:,} need {decimal(needed)}"
        raise DataError(f"{place}: {images}, this machine has {decimal(memory)} of memory. State a smaller resolution")


def _fitted(name: str, image: Image.Image, form: Form) -> Image.Image:
    """The picture at the form's resolution."""
    size = (form.shape[2], form.shape[1])
    if form.crop == "exact" and image.size != size:
        found, expected = (f"{width}×{height}" for width, height in (image.size, size))
        raise DataError(f"{name}: {found} pixels, expected {expected}. {form.advice.size}")
    if form.crop == "centre":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    return image.resize(size, Image.Resampling.BILINEAR)
