"""How a page is bound: all of it in one file, or its pictures, scripts and details as files of a folder."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ganbench.albums import Picture
from ganbench.disk import temporary_for

Reference = int | str
"""Where a page finds something: its place in a list of the page, or the thing or its address itself."""

Cells = dict[str, Any]
"""Values of JSON, by name."""

PICTURE_BYTES = 16 * 2**20
TEXT_BYTES = 1_800_000
MOST_TRIALS = 1_000
"""What one file holds: a browser on a phone is to open it."""

BOARD_BYTES = 3_000_000
ROW_BYTES = 1_400
LEAST_TEXT_BYTES = 200_000
"""Boards of very many rows leave less room for the text of details: so much for both, a row's part of it, the least."""

MOST_TRIALS_IN_FILES = 100_000


class Binding(Protocol):
    """What takes up the parts of a page that are large or many, and says where the page finds them."""

    most_trials: int

    def picture(self, picture: Picture) -> Reference | None:
        """Where the picture is found; None where there is no room for it."""

    def shown(self, picture: Picture) -> tuple[Reference, str]:
        """Where a picture is found that stands on the page itself, and the address that it has there."""

    def text(self, text: str) -> Reference:
        """Where the text is found."""

    def fits(self, entry: object) -> bool:
        """Whether there is room for what JSON writes of `entry`; if so, it is counted as taken."""

    def details(self, trials: Mapping[str, Cells], variants: Mapping[str, Cells]) -> Cells:
        """What the page itself is to hold of the details."""

    def script(self, name: str, source: str) -> str:
        """The address of a script; empty where it stands in the page."""


class OneFile:
    """Everything in the page. Each picture and each text is there once."""

    most_trials = MOST_TRIALS

    def __init__(self, picture_bytes: int = PICTURE_BYTES, text_bytes: int = TEXT_BYTES) -> None:
        self._picture_room, self._text_room = picture_bytes, text_bytes
        self._pictures: dict[str, int] = {}
        self._addresses: list[str | None] = []
        self._texts: dict[str, int] = {}

    def picture(self, picture: Picture) -> int | None:
        """The picture's place among the page's pictures; None where there is no room for it."""
        place = self._pictures.get(picture.name)
        if place is None and len(picture.content) <= self._picture_room:
            place = self._add(picture, data_address(picture))
        return place

    def shown(self, picture: Picture) -> tuple[int, str]:
        """The picture's place, and its data. There is room for it: what stands on the page comes first."""
        place = self._pictures.get(picture.name)
        return self._add(picture, None) if place is None else place, data_address(picture)

    def text(self, text: str) -> int:
        """The text's place among the page's texts."""
        if text not in self._texts:
            self._text_room -= len(json.dumps(text))
        return self._texts.setdefault(text, len(self._texts))

    def fits(self, entry: object) -> bool:
        """Whether there is room for what JSON writes of `entry`; if so, it is counted as taken."""
        size = len(json.dumps(entry))
        if size > self._text_room:
            return False
        self._text_room -= size
        return True

    def details(self, trials: Mapping[str, Cells], variants: Mapping[str, Cells]) -> Cells:
        """All of them, with the pictures and the texts that they refer to."""
        return {"trials": trials, "variants": variants, "pictures": self._addresses, "texts": list(self._texts)}

    def script(self, name: str, source: str) -> str:
        """Nothing: it stands in the page."""
        return ""

    def _add(self, picture: Picture, address: str | None) -> int:
        self._picture_room -= len(picture.content)
        self._addresses.append(address)
        return self._pictures.setdefault(picture.name, len(self._pictures))


def text_room(rows: int) -> int:
    """How many bytes the text of details may take beside boards of so many rows."""
    return max(min(TEXT_BYTES, BOARD_BYTES - rows * ROW_BYTES), LEAST_TEXT_BYTES)


class Files:
    """Pictures, scripts and details as files below `folder`, named by what is in them or by a trial's key."""

    most_trials = MOST_TRIALS_IN_FILES

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.written: set[str] = set()

    def picture(self, picture: Picture) -> str:
        """The picture's address."""
        return self._file(f"pictures/{picture.name}.png", picture.content)

    def shown(self, picture: Picture) -> tuple[str, str]:
        """The picture's address, twice."""
        address = self.picture(picture)
        return address, address

    def text(self, text: str) -> str:
        """The text itself."""
        return text

    def fits(self, entry: object) -> bool:
        """A folder has room."""
        return True

    def details(self, trials: Mapping[str, Cells], variants: Mapping[str, Cells]) -> Cells:
        """Nothing but where they are found: each is a script of its own, which the page loads when it is asked for."""
        for kind, entries in (("trial", trials), ("variant", variants)):
            for name, entry in entries.items():
                told = json.dumps({"kind": kind, "id": name, "entry": entry}, allow_nan=False)
                self._file(f"details/{kind}-{name}.js", f"ganbench.details.take({told});\n".encode())
        return {"trials": {}, "variants": {}, "pictures": [], "texts": [], "files": "details"}

    def script(self, name: str, source: str) -> str:
        """The script's address."""
        content = source.encode()
        mark = hashlib.sha256(content).hexdigest()[:12]  # a browser that kept an older one loads this one
        return self._file(f"assets/{name.removesuffix('.js')}.{mark}.js", content)

    def _file(self, name: str, content: bytes) -> str:
        path = self._folder / name
        if name not in self.written:
            path.parent.mkdir(exist_ok=True)
            temporary = temporary_for(path)
            try:
                temporary.write_bytes(content)  # not synced: of many thousand files that takes minutes
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            self.written.add(name)
        return name


def data_address(picture: Picture) -> str:
    """The picture as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(picture.content).decode()}"
