"""What the statistics do where the truth is known: `python docs/generate.py statistics` writes it into the page.

Seeds are drawn from log-normal distributions, and what the boards say of them is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ganbench.comparisons import compare, order, probability_better
from ganbench.statistics import summarise

SEEDS = (3, 5, 10)
VARIANTS = (2, 5, 13, 25)
DEVIATIONS = (0.05, 0.3, 1.5)
"""Standard deviations of a score's logarithm: from a few percent to more than fourfold."""

Spreads = Callable[[np.random.Generator, int], NDArray[np.float64]]

SPREADS: dict[str, Spreads] = {
    "all alike": lambda _, variants: np.ones(variants),
    "some threefold": lambda draws, variants: np.exp(draws.normal(0, 0.5, variants)),
    "one tenfold": lambda _, variants: np.where(np.arange(variants) == 0, 10.0, 1.0),
}
"""How the variants' deviations differ."""


def coverage(rounds: int, seeds: int, deviation: float) -> float:
    """How often the 95 % interval of a geometric mean holds the true one."""
    draws = np.random.default_rng([1, seeds])
    inside = 0
    for _ in range(rounds):
        told = summarise(np.exp(draws.normal(1.0, deviation, seeds)), "geometric")
        inside += told.low <= np.e <= told.high
    return inside / rounds


def ratio_coverage(rounds: int, seeds: int, variants: int) -> float:
    """How often the 95 % interval of a ratio holds the true one, of variants whose deviations differ threefold."""
    draws = np.random.default_rng([2, seeds, variants])
    inside = count = 0
    for _ in range(rounds):
        values = _null(draws, variants, seeds, SPREADS["some threefold"])
        low, high = compare(values).intervals()
        inside += int(((low <= 0) & (high >= 0)).sum())
        count += len(low)
    return inside / count


def chance_coverage(rounds: int, seeds: int) -> float:
    """How often the interval of the probability to be better holds the true one, of two variants a deviation apart."""
    draws = np.random.default_rng([3, seeds])
    inside = 0
    for _ in range(rounds):
        pairs = compare(np.stack([draws.normal(-1, 1, seeds), draws.normal(0, 1, seeds)]))
        _, low, high = probability_better(*(float(value[0]) for value in (pairs.mean, pairs.spread)), seeds, seeds - 1)
        inside += low <= ndtr(1 / np.sqrt(2)) <= high
    return inside / rounds


def false_verdicts(rounds: int, seeds: int, variants: int, spreads: Spreads) -> float:
    """How often a ranking of variants that do not differ tells any two of them apart."""
    draws = np.random.default_rng([4, seeds, variants])
    return sum(bool(order(_null(draws, variants, seeds, spreads), "lower").any()) for _ in range(rounds)) / rounds


def found(rounds: int, seeds: int, variants: int) -> float:
    """The share of pairs that a ranking tells apart, of variants that stand two deviations behind one another."""
    draws = np.random.default_rng([5, seeds, variants])
    steps = 2.0 * np.arange(variants)[:, None]
    pairs = rounds * variants * (variants - 1) / 2
    every = (order(_null(draws, variants, seeds, SPREADS["all alike"]) + steps, "lower") for _ in range(rounds))
    return sum(int(better.sum()) for better in every) / pairs


def _null(draws: np.random.Generator, variants: int, seeds: int, spreads: Spreads) -> NDArray[np.float64]:
    """Logarithms of scores (variants, seeds) whose true means are equal, with a part that a seed does to all alike."""
    shared = draws.normal(0, 0.5, seeds)
    return shared + draws.normal(size=(variants, seeds)) * spreads(draws, variants)[:, None]


def tables(rounds: int = 2_000) -> str:
    """All of it as Markdown; intervals are tried ten times as often as rankings."""
    many = 10 * rounds
    first = _table(
        ["95 % interval of", *(f"{seeds} seeds" for seeds in SEEDS)],
        [
            *([f"a mean, deviation {d:g}", *(coverage(many, n, d) for n in SEEDS)] for d in DEVIATIONS),
            *([f"a ratio, {v} variants", *(ratio_coverage(rounds, n, v) for n in SEEDS)] for v in VARIANTS),
            ["the probability to be better", *(chance_coverage(many, n) for n in SEEDS)],
        ],
    )
    second = _table(
        ["Deviations", "Variants", *(f"{seeds} seeds" for seeds in SEEDS)],
        [
            [name, variants, *(false_verdicts(rounds, n, variants, spreads) for n in SEEDS)]
            for name, spreads in SPREADS.items()
            for variants in VARIANTS
        ],
    )
    third = _table(
        ["Variants", *(f"{seeds} seeds" for seeds in SEEDS)],
        [[variants, *(found(rounds // 4, n, variants) for n in SEEDS)] for variants in VARIANTS],
    )
    parts = (
        f"How often an interval holds the truth ({many:,} experiments, {rounds:,} rankings for ratios):",
        first,
        f"How often a ranking in which nothing differs tells any two variants apart ({rounds:,} rankings):",
        second,
        (
            "The share of pairs told apart of variants that stand two deviations behind one another "
            f"({rounds // 4:,} rankings):"
        ),
        third,
    )
    return "\n\n".join(parts)


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    rule = ["---", *(["---:"] * (len(headings) - 1))]
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *cells))
