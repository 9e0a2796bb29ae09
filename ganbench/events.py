"""What a running trial tells about itself, as one JSON object a line: written by its process, read by anybody."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganbench.disk import on_disk
from ganbench.store import EVENTS, Attempt
from ganbench.terms import Budget, Score, Spent

REPORT_SECONDS = 0.5
BLOCK_BYTES = 4096


class EventLog:
    """The events of one attempt, written as they happen. `spent` is what was last reported.

    Every report carries the newest scores, so that its reader needs no other.
    """

    def __init__(self, attempt: Attempt, budget: Budget | None = None) -> None:
        self.spent = Spent()
        self._scores: dict[str, float | None] = {}
        self._path = attempt.path / EVENTS
        self._budget = budget
        self._next_report = 0.0

    def write(self, event: str, **details: Any) -> None:
        """Append one event with the time."""
        line = json.dumps({"event": event, "time": time.time(), **details}, allow_nan=False)
        with on_disk(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def progress(self, spent: Spent) -> None:
        """Tell how far training is, at most every half second."""
        self.spent = spent
        now = time.monotonic()
        if now >= self._next_report and self._budget is not None:
            self._next_report = now + REPORT_SECONDS
            self._report("progress")

    def alive(self, doing: str) -> None:
        """Show a sign of life, at most every half second, from what takes long and has no progress to tell."""
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            self.write("alive", doing=doing)

    def evaluated(self, spent: Spent, scores: tuple[Score, ...]) -> None:
        """Tell the scores at an evaluation point."""
        self.spent = spent
        self._scores = {score.name: score.value for score in scores}
        self._report("evaluated")

    def _report(self, event: str) -> None:
        share = 1.0 if self._budget is None else min(self._budget.progress(self.spent), 1.0)
        self.write(event, share=share, spent=asdict(self.spent), scores=self._scores)


def last_event(attempt: Attempt, *names: str) -> dict[str, Any]:
    """The newest whole event of one of `names`, or {} if there is none yet; a half-written last line is passed over."""
    for line in _lines_backwards(attempt.path / EVENTS):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") in names:
            return event
    return {}


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """The file's lines, the last first, read in blocks: the newest events of a long trial are found at once."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        position, rest = file.seek(0, os.SEEK_END), b""
        while position:
            size = min(BLOCK_BYTES, position)
            position = file.seek(position - size)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest
