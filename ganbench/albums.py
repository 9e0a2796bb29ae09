"""The pictures in an attempt's folder, read as files that nobody vouches for: a page is made to be passed on."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")

MAX_PICTURE_BYTES = 2 * 2**20
MOST_PIXELS = 2**26
"""What a browser is asked to unpack of one picture."""

MOST_FRAMES = 100
"""Pictures of one film: of more, as many are shown, evenly spaced."""

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A PNG file's content and its size in pixels."""

    content: bytes
    width: int
    height: int

    @cached_property
    def name(self) -> str:
        """What tells it from other pictures: a hash of its content."""
        return hashlib.sha256(self.content).hexdigest()[:32]


@dataclass(frozen=True)
class Frame:
    """A picture file of an attempt, and the update after which it was drawn; None if its name does not say."""

    path: Path
    step: int | None


def frames(attempt: Path) -> list[Frame]:
    """The attempt's `samples-*.png`, the oldest first."""
    found = [Frame(path, _step(path.name)) for path in attempt.glob("samples-*.png")]
    ordered = sorted(found, key=lambda frame: [int(digits) for digits in re.findall(r"\d+", frame.path.name)])
    return thinned(ordered, MOST_FRAMES)


def thinned(items: list[Item], most: int) -> list[Item]:
    """At most `most` of `items`, evenly spaced, the first and the last among them."""
    count = len(items)
    return items if count <= most else [items[round(i * (count - 1) / (most - 1))] for i in range(most)]


def read_picture(path: Path, attempt: Path) -> Picture | None:
    """The picture, if it is a PNG file of the results and of a size that a browser can show."""
    content = read_whole(path, attempt, MAX_PICTURE_BYTES)
    if not content.startswith(PNG) or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return Picture(content, width, height) if 0 < width * height <= MOST_PIXELS else None


def read_whole(path: Path, attempt: Path, most: int) -> bytes:
    """What is in the file, if it is one of the attempt's; nothing if it is large, or a link to what lies elsewhere.

    Results may come from anyone: no link of theirs puts a file of this machine into a page.
    """
    try:
        return path.read_bytes() if is_inside(path, attempt) and path.stat().st_size <= most else b""
    except OSError:
        return b""


def is_inside(path: Path, attempt: Path) -> bool:
    """Whether there is a file that lies among the results of the attempt, wherever links lead."""
    try:
        return path.resolve(strict=True).is_relative_to(attempt.parents[1].resolve()) and path.is_file()
    except (OSError, RuntimeError):
        return False


def _step(name: str) -> int | None:
    match = re.fullmatch(r"samples-(\d{1,15})\.png", name)
    return int(match[1]) if match else None
