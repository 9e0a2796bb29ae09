"""What stands above each column of a board on the page, and what a reader is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ganbench.standings import has_metric_noise, trials_of
from ganbench.statistics import CONFIDENCE


@dataclass(frozen=True)
class Heading:
    """A column: the key that a saved view sorts by, the words above it, and the explanation behind its mark.

    A `note` stands below the words; `falling` says that sorting begins with the largest.
    """

    key: str
    title: str
    about: str
    kind: str = "number"
    note: str = ""
    falling: bool = False


def headings(ranking: pd.DataFrame, scores: Sequence[Mapping[str, Any]], others: Sequence[str]) -> list[Heading]:
    """The columns of `ranking` from left to right, `others` the scores beside the one that ranks.

    `scores` are the facts of its scores, with their meanings.
    """
    score, trained = ranking["score"].iloc[0] or "score", not trials_of(ranking).empty
    meant = {facts["name"]: facts for facts in scores}
    level = f"{CONFIDENCE:.0%}".replace("%", "\N{NO-BREAK SPACE}%")
    rule = ranking["mean_rule"].iloc[0]
    told = f"{_meaning(meant.get(score))} The {rule} mean over the seeds that have a score." if trained else ""
    variant = Heading("variant", "Variant", VARIANT, "variant")
    direction = str(ranking["direction"].iloc[0])
    ranked = [_scored("score", score, told or _meaning(meant.get(score)), direction)]
    noise = [Heading("noise", "Metric noise", NOISE, "number noise")] if has_metric_noise(ranking) else []
    beside = [
        _scored(name, name, f"{_meaning(facts)} {MEDIAN}", str(facts["direction"]) if facts else "")
        for name, facts in zip(others, map(meant.get, others), strict=True)
    ]
    if not trained:
        return [variant, *ranked, *noise, *beside]
    return [
        Heading("rank", "Rank", RANK, "number rank"),
        variant,
        *ranked,
        Heading("interval", level, INTERVAL.format(level=level, scale=SCALES[rule]), "number interval"),
        *noise,
        Heading("seeds", "Seeds", STRIP.format(level=level), "strip"),
        Heading("curve", "Curve", CURVE, "curve"),
        Heading("ok", "Seeds ok", SEEDS_OK, "number ok", falling=True),
        Heading("speed", "images/s", SPEED, "number speed", falling=True),
        *beside,
    ]


def _scored(key: str, title: str, about: str, direction: str) -> Heading:
    kind = "number score" if key == "score" else "number other"
    return Heading(key, title, about, kind, f"{direction} is better" if direction else "", direction == "higher")


RANK = (
    "The best and the worst rank that these seeds leave open; a single number where they leave one. The bar shows the "
    "same among all that are ranked."
)
VARIANT = "What was trained: generator, discriminator and loss, as far as the variants of this board differ in them."
MEDIAN = "The median over the seeds that have a score."
INTERVAL = "The {level} interval of the mean, Student's t{scale}: what other seeds of training would change."
STRIP = (
    "A dot is a seed's score when its budget was spent. The tick is their mean, the bar the mean's {level} interval, "
    "the dashed line what real data scores. Sorting goes by the mean."
)
CURVE = "The mean score at each evaluation while training, all variants of this board on one scale."
NOISE = "The score's own deviation: how far it would move with other samples of the same generator, whatever the seed."
SEEDS_OK = (
    "Seeds that ended with a score, of those that were tried. A mean of fewer than five seeds is provisional. A seed "
    "that failed is not left out: its variant ranks after all that finished every seed."
)
SPEED = "Real images shown per second of training after warm-up, the median over the seeds that have a score."
SCALES = {"geometric": " on a logarithmic scale", "arithmetic": ""}


def _meaning(facts: Mapping[str, Any] | None) -> str:
    if facts is None:
        return ""
    better = f"{str(facts['direction']).capitalize()} is better."
    return f"{facts['meaning']} {better}".strip()
