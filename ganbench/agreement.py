"""Whether a job that was done again came to the same: two accounts compared, to the last bit where that is due."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ganbench.terms import AXES, Record, Score

TOLERANCE = 0.05
"""How far values may be apart, relative to the former, where bits cannot be expected to be the same."""

NOISES = 4
"""So many of its own deviations a score may be off, where they are known and that is more."""

NOT_RECORDED, NONE = "not recorded", "none"

TIMES = ("device_seconds", "wall_seconds")
"""What no two runs have in common."""

PASSING = ("resumed", "driver_reason")
"""What an environment tells of how it came about, and which nothing depends on."""

HARMLESS = ("platform", "python", "cores", "pandas", "pyarrow", "safetensors", "pluggy")
"""What may differ, by name, and leave every bit as it is; so may all that git says."""

BY_STATUS = ("oom", "timeout", "error", "killed")
"""Ends of which no more than the word is compared: what was reached by then depends on the machine."""

Part = Literal["status", "spent", "scores", "curve", "weights"]
Value = float | int | str | None


@dataclass(frozen=True)
class Account:
    """What an attempt left behind. `curve` has the values of each column at all evaluation points, None for missing."""

    record: Record
    environment: Mapping[str, Any]
    curve: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """Something that was otherwise; `decides` if bits may depend on it."""

    what: str
    then: str
    now: str
    decides: bool = True


@dataclass(frozen=True)
class Compared:
    """One value then and now; `allowed` says how far they may be apart. `same` is to the last bit."""

    part: Part
    what: str
    then: Value
    now: Value
    allowed: str
    agrees: bool
    same: bool


@dataclass(frozen=True)
class Verdict:
    """What came of it. `reasons` say why equality to the last bit was not demanded; where there is none, it was."""

    compared: tuple[Compared, ...]
    changes: tuple[Change, ...]
    reasons: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether everything is as near as was demanded."""
        return all(item.agrees for item in self.compared)

    @property
    def same(self) -> bool:
        """Whether everything is the same to the last bit, demanded or not."""
        return all(item.same for item in self.compared)


def compare(
    then: Account, now: Account, weights: Mapping[str, float], tolerance: float = TOLERANCE, *, timed: bool = False
) -> Verdict:
    """Hold what a job came to now against what it came to then.

    `weights` has how far each tensor of the generator is off, relative to its norm: 0 only if every bit is the same,
    infinite where one side has no such tensor. `timed` says that device time is the budget, which no two runs can
    spend alike.
    """
    changes = tuple(changes_between(then, now))
    reasons = tuple(_reasons(then, changes, timed=timed))
    measure = _Measure(None if not reasons else tolerance, timed=timed)
    return Verdict(tuple(measure.compared(then, now, weights)), changes, reasons)


def changes_between(then: Account, now: Account) -> Iterator[Change]:
    """What is otherwise in the environments, and in the ways in which scores were measured."""
    if not then.environment:
        yield Change("environment", NOT_RECORDED, "recorded")
        return
    before, after = _facts(then), _facts(now)
    former, latter = _ways(then.record), _ways(now.record)
    for name in former:
        if name in latter:
            before |= former[name]
            after |= latter[name]
    for what in dict.fromkeys([*before, *after]):
        old, new = before.get(what, NOT_RECORDED), after.get(what, NOT_RECORDED)
        if old != new and {old, new} != {NOT_RECORDED, NONE}:
            yield Change(what, old, new, decides=what not in HARMLESS and not what.startswith("git "))


def _reasons(then: Account, changes: Sequence[Change], *, timed: bool) -> Iterator[str]:
    if timed:
        yield "device time is the budget"
    if then.environment.get("device_kind", "cpu") != "cpu":
        yield "it ran on a GPU"
    deciding = [change for change in changes if change.decides]
    unknown = [change.what for change in deciding if change.then == NOT_RECORDED]
    other = [change.what for change in deciding if change.then != NOT_RECORDED]
    if other:
        yield f"not as it was: {', '.join(other)}"
    if unknown:
        yield f"not recorded: {', '.join(unknown)}"


# --- facts

_WAY = tuple(item.name for item in fields(Score) if item.name not in ("name", "value", "noise"))


def _facts(account: Account) -> dict[str, str]:
    """All that can be told of where, by what and how a result was made, by name."""
    told: dict[str, str] = {"key": account.record.key[:12]}
    for name, value in account.environment.items():
        if name in PASSING:
            continue
        if name == "plugins":
            told |= {f"plugin {name}": written for name, written in _plugins(value)}
        elif isinstance(value, dict):
            told |= {f"git {inner}" if name == "git" else inner: _written(item) for inner, item in value.items()}
        else:
            told[name] = f"#{str(value)[:12]}" if name.endswith("sha256") else _written(value)
    return told


def _ways(record: Record) -> dict[str, dict[str, str]]:
    """By score, how it was measured: of one name there may be several ways."""
    return {score.name: {f"{score.name}, {way}": str(getattr(score, way)) for way in _WAY} for score in record.scores}


def _plugins(listed: Any) -> Iterator[tuple[str, str]]:
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            told = (item.get("owner"), item.get("version"), f"#{str(item.get('sha256', ''))[:12]}")
            yield str(item.get("plugin")), " ".join(str(part) for part in told if part)


def _written(value: Any) -> str:
    if isinstance(value, dict) and "commit" in value:
        return f"{str(value['commit'])[:12]}{', changed' if value.get('dirty') else ''}"
    return NONE if value is None else str(value)


# --- values


class _Measure:
    """By what values are compared: to the last bit without a tolerance."""

    def __init__(self, tolerance: float | None, *, timed: bool) -> None:
        self._tolerance, self._timed = tolerance, timed

    def compared(self, then: Account, now: Account, weights: Mapping[str, float]) -> Iterator[Compared]:
        """Everything that both ends have in common, in the order in which people ask for it."""
        ended = (then.record.status, now.record.status)
        alike = ended[0] == ended[1]
        yield Compared("status", "status", *ended, "the same", alike, alike)
        if not alike or ended[0] in BY_STATUS:
            return
        yield from self._steps(then, now)
        yield from self._scores(then.record, now.record)
        yield from self._curves(then, now)
        yield from self._weights(weights)

    def _steps(self, then: Account, now: Account) -> Iterator[Compared]:
        if then.record.kind != "trial":
            return
        if then.record.status == "diverged":
            yield self._value("status", "failed_step", then.record.failed_step, now.record.failed_step)
        for axis in AXES:
            if axis not in TIMES:
                before, after = getattr(then.record.spent, axis), getattr(now.record.spent, axis)
                yield self._value("spent", axis, before, after, demanded=not self._timed)

    def _scores(self, then: Record, now: Record) -> Iterator[Compared]:
        before, after = ({score.name: score for score in record.scores} for record in (then, now))
        for name in dict.fromkeys([*before, *after]):
            if name not in before or name not in after:
                old, new = ("measured" if name in side else "not measured" for side in (before, after))
                yield Compared("scores", name, old, new, "the same", agrees=False, same=False)
                continue
            former, latter = before[name], after[name]
            yield self._value("scores", name, former.value, latter.value, noise=former.noise or 0.0)
            if self._tolerance is None and not _same(former.noise, latter.noise):
                yield self._value("scores", f"noise:{name}", former.noise, latter.noise)

    def _curves(self, then: Account, now: Account) -> Iterator[Compared]:
        noises = {score.name: score.noise or 0.0 for score in then.record.scores}
        columns = [name for name in dict.fromkeys([*then.curve, *now.curve]) if name not in TIMES]
        for name in columns:
            before, after = then.curve.get(name, ()), now.curve.get(name, ())
            total = len(before)
            demanded = not self._timed and "/" not in name  # what training leaves behind wanders off by rounding
            if len(before) != len(after):
                old, new = (f"{len(side)} points" for side in (before, after))
                agrees = not demanded and self._tolerance is not None
                yield Compared("curve", name, old, new, self._allowed(None, 0.0, demanded), agrees, same=False)
                continue
            points = [
                self._value(
                    "curve", f"{name}, point {number} of {total}", *pair, noise=noises.get(name, 0.0), demanded=demanded
                )
                for number, pair in enumerate(zip(before, after, strict=True), start=1)
            ]
            if points:
                yield min(points, key=lambda point: (point.agrees, point.same))  # the first that is furthest off

    def _weights(self, weights: Mapping[str, float]) -> Iterator[Compared]:
        for name, distance in weights.items():
            now = "the same" if distance == 0 else f"{distance:.3g} of its norm off" if distance < math.inf else "other"
            same = distance == 0
            allowed = self._allowed(None, 0.0, demanded=False)
            yield Compared("weights", name, "", now, allowed, same or self._tolerance is not None, same)

    def _value(
        self, part: Part, what: str, then: Value, now: Value, *, noise: float = 0.0, demanded: bool = True
    ) -> Compared:
        same = _same(then, now)
        near = same or (self._tolerance is not None and (not demanded or self._near(then, now, noise)))
        return Compared(part, what, then, now, self._allowed(then, noise, demanded), near, same)

    def _near(self, then: Value, now: Value, noise: float) -> bool:
        if not isinstance(then, int | float) or not isinstance(now, int | float):
            return False
        return abs(now - then) <= self._margin(then, noise)

    def _margin(self, then: float, noise: float) -> float:
        return max((self._tolerance or 0.0) * abs(then), NOISES * noise)

    def _allowed(self, then: Value, noise: float, demanded: bool) -> str:
        if self._tolerance is None:
            return "the same"
        if not demanded:
            return "anything"
        return f"± {self._margin(then, noise):.3g}" if isinstance(then, int | float) else "the same"


def _same(then: Value, now: Value) -> bool:
    if isinstance(then, float) and isinstance(now, float) and math.isnan(then):
        return math.isnan(now)
    return then == now
