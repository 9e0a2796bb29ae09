"""A benchmark: two ways to do the same work that take turns, how long each takes, and whether that meets a target."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from ganbench.accounting import Clock
from ganbench.errors import GanbenchError

Side = Callable[[], float]
"""Does the work once and gives the seconds that one unit of it took."""

Figure = Literal["speed-up", "overhead", "seconds"]
"""What a benchmark comes to: how many times as fast as the baseline, by which share slower, or no comparison at all."""


@dataclass(frozen=True)
class Sides:
    """A benchmark that is ready to be measured; without a baseline where seconds themselves are the figure."""

    ours: Side
    baseline: Side | None = None


@dataclass(frozen=True)
class Benchmark:
    """Something that ganbench should be fast at. `target` bounds the figure: speed-ups from below, others from above.

    Without a target it is there to be looked at. `open` builds what is measured, and clears it away afterwards; it
    raises GanbenchError where this machine cannot take part.
    """

    name: str
    what: str
    ours: str
    baseline: str
    unit: str
    clock: str
    figure: Figure
    target: float | None
    open: Callable[[], AbstractContextManager[Sides]]


@dataclass(frozen=True)
class Result:
    """What the rounds of a benchmark gave: seconds a unit on each side, and the figure, round by round.

    `why_not` says why there are none.
    """

    benchmark: Benchmark
    ours: tuple[float, ...] = ()
    baseline: tuple[float, ...] = ()
    why_not: str = ""

    @property
    def figures(self) -> tuple[float, ...]:
        """The figure of each round."""
        if self.benchmark.figure == "seconds":
            return self.ours
        pairs = zip(self.baseline, self.ours, strict=True)
        if self.benchmark.figure == "speed-up":
            return tuple(baseline / ours for baseline, ours in pairs)
        return tuple(ours / baseline - 1 for baseline, ours in pairs)

    @property
    def met(self) -> bool | None:
        """Whether the median figure meets the target; None where there is no target, or no figure."""
        target = self.benchmark.target
        if target is None or not self.figures:
            return None
        median = statistics.median(self.figures)
        return median >= target if self.benchmark.figure == "speed-up" else median <= target

    def row(self) -> dict[str, Any]:
        """The result as one flat record of JSON's own types."""
        mark, figures = self.benchmark, self.figures
        return {
            "name": mark.name,
            "what": mark.what,
            "baseline": mark.baseline,
            "ours": mark.ours,
            "unit": mark.unit,
            "clock": mark.clock,
            "baseline_seconds": statistics.median(self.baseline) if self.baseline else None,
            "ours_seconds": statistics.median(self.ours) if self.ours else None,
            "figure": mark.figure,
            "median": statistics.median(figures) if figures else None,
            "lowest": min(figures, default=None),
            "highest": max(figures, default=None),
            "rounds": len(figures),
            "target": mark.target,
            "met": self.met,
            "why_not": self.why_not,
        }

    def cells(self) -> dict[str, str]:
        """The result as a reader sees it, by column."""
        row, mark = self.row(), self.benchmark
        verdict = {None: "", True: "yes", False: "no"}[self.met]
        bound = "≥" if mark.figure == "speed-up" else "≤"
        spread = f"{self._shown(row['lowest'])} to {self._shown(row['highest'])}" if self.figures else ""
        return {
            "benchmark": mark.name,
            "what": mark.what,
            "baseline": _told(mark.baseline, row["baseline_seconds"]),
            "ganbench": _told(mark.ours, row["ours_seconds"]),
            "a unit": f"{mark.unit}, {mark.clock}",
            "figure": self._shown(row["median"]) if self.figures else self.why_not,
            "rounds": spread,
            "target": "" if mark.target is None else f"{bound} {self._shown(mark.target)}",
            "met": verdict,
        }

    def _shown(self, figure: float) -> str:
        if self.benchmark.figure == "seconds":
            return _seconds(figure)
        return f"{figure:.2f}×" if self.benchmark.figure == "speed-up" else f"{figure:+.1%}"


def _told(words: str, seconds: float | None) -> str:
    return f"{words}: {_seconds(seconds)}" if words and seconds is not None else words


def _seconds(seconds: float) -> str:
    for size, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds * 1e6:.3g} µs"


def measure(benchmark: Benchmark, rounds: int = 5, budget_seconds: float = 20.0) -> Result:
    """Let both sides take turns for `rounds` rounds, of which each lasts its share of `budget_seconds`.

    Each side works at least once a round, however long it takes, and once before the first: what sets itself up then is
    not measured. A round's figure is that of its means.
    """
    try:
        with benchmark.open() as sides:
            for side in _in_turn(sides, 0):
                side()
            pairs = [_round(sides, budget_seconds / rounds, number) for number in range(rounds)]
    except GanbenchError as error:
        return Result(benchmark, why_not=str(error))
    except RuntimeError as error:  # torch's own: an operation that a driver refuses, or no memory left
        return Result(benchmark, why_not=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
    baseline = tuple(baseline for _, baseline in pairs if baseline is not None)
    return Result(benchmark, tuple(ours for ours, _ in pairs), baseline)


def _round(sides: Sides, seconds: float, turn: int) -> tuple[float, float | None]:
    """The mean seconds of a unit on each side; who begins changes from turn to turn."""
    told: dict[Side, list[float]] = {side: [] for side in _in_turn(sides, turn)}
    end = time.perf_counter() + seconds
    while not told[sides.ours] or time.perf_counter() < end:
        for side in _in_turn(sides, turn):
            told[side].append(side())
        turn += 1
    return statistics.fmean(told[sides.ours]), statistics.fmean(told[sides.baseline]) if sides.baseline else None


def _in_turn(sides: Sides, turn: int) -> list[Side]:
    order = [sides.ours] if sides.baseline is None else [sides.baseline, sides.ours]
    return order if turn % 2 == 0 else order[::-1]


def timed(work: Callable[[], object], clock: Callable[[], Clock], units: float = 1) -> Side:
    """A side that does `work`, which is so many units, under a new clock each time."""

    def side() -> float:
        running = clock()
        running.resume()
        work()
        running.pause()
        return running.seconds() / units

    return side


class WallClock:
    """Time on the wall: for what waits, or for what several processes do at once."""

    def __init__(self) -> None:
        self._charged = 0.0
        self._since: float | None = None

    def resume(self) -> None:
        """Start to charge."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Stop charging."""
        self._charged, self._since = self.seconds(), None

    def seconds(self) -> float:
        """What is charged so far."""
        return self._charged + (0.0 if self._since is None else time.perf_counter() - self._since)

    def start_at(self, seconds: float) -> None:
        """Have so much charged already."""
        self._charged = seconds


def markdown(results: Sequence[Result]) -> str:
    """The results as a table for a page."""
    rows = [result.cells() for result in results]
    return "\n".join(_lines(rows)) + "\n"


def _lines(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        if number == 0:
            yield "| " + " | ".join(row) + " |"
            yield "| " + " | ".join("---" for _ in row) + " |"
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row.values()) + " |"
