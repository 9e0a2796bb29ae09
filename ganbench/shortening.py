"""Short names for what is drawn side by side: without shared settings, cut in the middle, no two alike."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

GAP = "…"
PART = " / "
"""What stands between the parts of a variant's name."""

_KIND = re.compile(r'([\w.:-]+)(?:\(([^()\[\]"]*)\))?')

Settings = Mapping[tuple[int, str], frozenset[str]]


def shortened(names: Sequence[str], most: int) -> list[str]:
    """A name of at most `most` letters for each of `names`, in their order, and no two of them alike.

    What is longer loses the settings that every part of its kind has in these names: `mlp(depth=2, width=16)` becomes
    `mlp(…)` or `mlp(…, norm=layer)`. What still is too long is cut in the middle, or at its beginning where most begin
    alike. Where that leaves several alike, they begin shortly before they differ; what even that does not tell apart
    stays whole.
    """
    different = list(dict.fromkeys(names))
    shared = _shared(different)
    told = {name: name if len(name) <= most else _without(name, shared) for name in different}
    heads = Counter(text[: most // 3] for text in told.values())
    usual = {head for head, number in heads.items() if number > max(1, len(different) / 2)}
    short = {name: _cut(text, most, usual) for name, text in told.items()}
    for alike in _alike(short):
        start = _same_letters([told[name] for name in alike])
        short |= {name: _from(told[name], start, most) for name in alike}
    while alike_still := _alike(short):
        short |= {name: name for group in alike_still for name in group}
    return [short[name] for name in names]


def _kinds(name: str) -> Iterable[tuple[tuple[int, str], frozenset[str]]]:
    """Each kind in `name`, by the part that it stands in, with its settings."""
    for place, part in enumerate(name.split(PART)):
        for found in _KIND.finditer(part):
            yield (place, found[1]), frozenset(found[2].split(", ") if found[2] else ())


def _shared(names: Iterable[str]) -> Settings:
    """The settings that each kind has wherever it stands in that part of a name."""
    found: dict[tuple[int, str], frozenset[str]] = {}
    for name in names:
        for kind, settings in _kinds(name):
            found[kind] = found.get(kind, settings) & settings
    return found


def _without(name: str, shared: Settings) -> str:
    """`name` with a gap for the settings that are shared."""
    parts = enumerate(name.split(PART))
    return PART.join(_KIND.sub(partial(_kept, shared, place), part) for place, part in parts)


def _kept(shared: Settings, place: int, found: re.Match[str]) -> str:
    hidden = shared[place, found[1]]
    if not hidden:
        return found[0]
    kept = [setting for setting in found[2].split(", ") if setting not in hidden]
    return f"{found[1]}({', '.join([GAP, *kept])})"


def _cut(text: str, most: int, usual: Collection[str]) -> str:
    """More of the end than of the beginning stays, for there the loss stands; of a usual beginning nothing."""
    if len(text) <= most:
        return text
    head = "" if text[: most // 3] in usual else text[: most // 3]
    return _once(f"{head}{GAP}{text[len(head) + 1 - most :]}")


def _alike(short: Mapping[str, str]) -> list[list[str]]:
    """The names of which several are short for the same."""
    by: dict[str, list[str]] = defaultdict(list)
    for name, text in short.items():
        by[text].append(name)
    return [names for names in by.values() if len(names) > 1]


def _same_letters(texts: Sequence[str]) -> int:
    """With how many letters all of them begin alike."""
    return next(
        (i for i, letters in enumerate(zip(*texts, strict=False)) if len(set(letters)) > 1), min(map(len, texts))
    )


def _from(text: str, start: int, most: int) -> str:
    """What stands around `start`, where the names begin to differ."""
    begin = max(0, min(start - most // 3, len(text) - most + 1))
    seen = f"{GAP}{text[begin:]}" if begin else text
    return _once(seen if len(seen) <= most else f"{seen[: most - 1]}{GAP}")


def _once(text: str) -> str:
    """`text` with one gap where two meet."""
    return text.replace(GAP * 2, GAP)
