"""Variants of a board side by side: how much better one is, how sure that is, and what it would take to be sure."""

from __future__ import annotations

import fnmatch
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ganbench.blocks import span
from ganbench.comparisons import (
    LEVEL,
    MOST_SEEDS,
    Pairs,
    compare,
    probability_better,
    seeds_to_decide,
    shared_matrix,
)
from ganbench.errors import ResultsError, suggest
from ganbench.multiplicity import holm
from ganbench.standings import PARTS, labels, rankings, records, trials_of
from ganbench.tables import REAL, TEXT, WHOLE, Column
from ganbench.views import format_number, one_line

COMPARISON_COLUMNS: dict[str, Column] = {
    "dataset": Column(TEXT, "dataset with the parameters that were set"),
    "protocol": Column(TEXT, "hash of all that both share"),
    "budget": Column(TEXT, "limits of the budget"),
    "score": Column(TEXT, "name of the score"),
    "direction": Column(TEXT, "which scores are better: lower or higher"),
    "a": Column(TEXT, "the first variant"),
    "b": Column(TEXT, "the second variant"),
    "a_finished": Column(TEXT, "seeds of the first that have a score, of those that were tried"),
    "b_finished": Column(TEXT, "seeds of the second that have a score, of those that were tried"),
    "seeds": Column(WHOLE, "seeds that both have a score for", "seeds"),
    "change": Column(TEXT, "what is estimated: the ratio of a to b, or their difference a - b"),
    "estimate": Column(REAL, "the ratio of geometric means, or the difference of means, over the shared seeds"),
    "low": Column(REAL, "lower end of its 95 % interval"),
    "high": Column(REAL, "upper end of its 95 % interval"),
    "p": Column(REAL, "how often so large a change comes about by chance, corrected for all pairs that are shown"),
    "better": Column(REAL, "how likely a is to be better than b with a new seed"),
    "better_low": Column(REAL, "lower end of its 95 % interval"),
    "better_high": Column(REAL, "upper end of its 95 % interval"),
    "verdict": Column(TEXT, "a, b or undecided: which is better, as far as these seeds tell"),
    "needed": Column(WHOLE, f"shared seeds that would decide it with a chance of 80 %; missing above {MOST_SEEDS:,}"),
}
"""A comparison's columns: one row for each pair."""

BAR_WIDTH = 21
UNDECIDED = "undecided"


def compare_variants(ranked: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Every pair of a variant that `first` names and one that `second` names, as far as a board ranks them together.

    A name is a variant's, its label's on the board, a part's, a recipe's hash, or a glob of these. All pairs are
    corrected for each other. Raises ResultsError where a name fits none, and where none is ranked with any other.
    """
    boards = [ranking for ranking in rankings(ranked) if not trials_of(ranking).empty]
    found = [(ranking, _named(ranking, first), _named(ranking, second)) for ranking in boards]
    for name, sides in ((first, [side for _, side, _ in found]), (second, [side for _, _, side in found])):
        if not any(sides):
            raise ResultsError(f"no variant '{name}' in these results.{suggest(name, _known(boards))}")
    rows = [row for ranking, left, right in found for row in _compared(ranking, _crossed(left, right))]
    if not rows:
        raise ResultsError(_never_together(first, second, found))
    return _judged(rows)


def _known(boards: Sequence[pd.DataFrame]) -> set[str]:
    return {name for ranking in boards for name in labels(trials_of(ranking).reset_index(drop=True))}


def _named(ranking: pd.DataFrame, name: str) -> list[int]:
    """The places of the variants that `name` names: by a name of theirs or, where it is none, as a glob."""
    rows = records(ranking.assign(label=labels(ranking)))
    names = {
        place: {str(row[part]) for part in ("variant", "label", "recipe", *PARTS)}
        for place, row in enumerate(rows)
        if row["kind"] == "trial"
    }
    exact = [place for place, known in names.items() if name in known]
    return exact or [place for place, known in names.items() if any(fnmatch.fnmatchcase(one, name) for one in known)]


def _crossed(left: Sequence[int], right: Sequence[int]) -> list[tuple[int, int]]:
    """Each pair once, in the order of the names, without a variant beside itself."""
    pairs = ((a, b) for a in left for b in right if a != b)
    return list({frozenset(pair): pair for pair in reversed(list(pairs))}.values())[::-1]


def _never_together(first: str, second: str, found: Sequence[tuple[pd.DataFrame, list[int], list[int]]]) -> str:
    if any(left and left == right for _, left, right in found):
        return f"'{first}' and '{second}' are one variant; name two"
    where = [
        f"'{name}' on {one_line(ranking['dataset'].iloc[0])} (protocol {ranking['protocol'].iloc[0]})"
        for ranking, left, right in found
        for name, side in ((first, left), (second, right))
        if side
    ]
    return f"'{first}' and '{second}' are never ranked together, so nothing can be said of them: {', '.join(where)}"


@dataclass(frozen=True)
class _Compared:
    """A pair of rows of a ranking, with what their seeds came to."""

    ranking: Mapping[str, Any]
    a: Mapping[str, Any]
    b: Mapping[str, Any]
    pairs: Pairs
    at: int


def _compared(ranking: pd.DataFrame, crossed: Sequence[tuple[int, int]]) -> list[_Compared]:
    """The pairs, judged by variances that learn from the whole ranking."""
    if not crossed:
        return []
    rows = records(ranking.assign(label=labels(ranking)))
    trained = [place for place, row in enumerate(rows) if row["kind"] == "trial"]
    scores = [dict(zip(rows[place]["seeds"], rows[place]["values"], strict=True)) for place in trained]
    values = shared_matrix(scores, rows[0]["mean_rule"])
    first, second = (np.array([trained.index(pair[side]) for pair in crossed]) for side in (0, 1))
    pairs = compare(values, (first, second))
    return [_Compared(rows[0], rows[a], rows[b], pairs, at) for at, (a, b) in enumerate(crossed)]


def _judged(found: Sequence[_Compared]) -> pd.DataFrame:
    p = holm(np.array([one.pairs.p[one.at] for one in found]))
    tested = max(int(np.isfinite(p).sum()), 1)
    rows = [_row(one, float(value), tested) for one, value in zip(found, p, strict=True)]
    kinds = {name: column.dtype for name, column in COMPARISON_COLUMNS.items()}
    return pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS)).astype(kinds)


def _row(one: _Compared, p: float, tested: int) -> dict[str, Any]:
    pairs, at, told = one.pairs, one.at, one.ranking
    mean, spread, freedom = (float(values[at]) for values in (pairs.mean, pairs.spread, pairs.freedom))
    seeds, lower = int(pairs.seeds[at]), told["direction"] == "lower"
    low, high = (float(end[at]) for end in pairs.intervals())
    geometric = told["mean_rule"] == "geometric"
    better = probability_better(mean if lower else -mean, spread, seeds, freedom)
    ahead = "a" if (mean < 0) == lower else "b"
    needed = seeds_to_decide(mean, spread, freedom - (seeds - 1), LEVEL / tested)
    with np.errstate(over="ignore"):
        estimate, low, high = (float(np.exp(end)) if geometric else end for end in (mean, low, high))
    return {
        **{name: told[name] for name in ("dataset", "protocol", "budget", "score", "direction")},
        **{name: one_line(row["label"]) for name, row in (("a", one.a), ("b", one.b))},
        **{f"{name}_finished": f"{row['ok']}/{row['attempted']}" for name, row in (("a", one.a), ("b", one.b))},
        "seeds": seeds,
        "change": "ratio" if geometric else "difference",
        "estimate": estimate, "low": low, "high": high,
        "p": p,
        "better": better[0], "better_low": better[1], "better_high": better[2],
        "verdict": ahead if p < LEVEL else UNDECIDED,
        "needed": needed,
    }  # fmt: skip


def print_comparisons(console: Console, compared: pd.DataFrame) -> None:
    """Show the pairs on `console`: a table for each ranking, and below it what it says in sentences."""
    for _, group in compared.groupby(["dataset", "protocol", "score"], sort=False):
        first = group.iloc[0]
        title = f"{one_line(first['dataset'])} · {first['budget']} · {one_line(first['score'])}, "
        console.print(Text(f"{title}{first['direction']} is better · protocol {first['protocol']}", style="bold"))
        rows = records(group)
        console.print(_table(rows))
        for row in rows:
            console.print(Text(verdict_sentence(row)))
        console.print()
    if len(compared) > 1:
        console.print(f"p is corrected for the {len(compared)} pairs that are shown (Holm), intervals are not.")


def render_comparisons(compared: pd.DataFrame, width: int = 120) -> str:
    """The pairs as plain text of at most `width` columns."""
    text = io.StringIO()
    print_comparisons(Console(file=text, width=width, color_system=None, emoji=False), compared)
    return text.getvalue()


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from rich import box

    ends = _ends(rows)
    middle = 1 if rows[0]["change"] == "ratio" else 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("a", "b"):
        table.add_column(heading, overflow="fold", min_width=12)
    table.add_column("seeds", justify="right")
    table.add_column("a / b" if middle else "a − b", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    table.add_column(f"around {middle}", no_wrap=True)
    table.add_column("a better", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    for row in rows:
        cells = (row["a"], row["b"], str(row["seeds"]), format_number(row["estimate"]), _interval(row))
        table.add_row(
            *map(Text, cells), Text(_bar(row, ends)), _chance(row), _p(row["p"]),
            style="" if row["verdict"] == UNDECIDED else "bold",
        )  # fmt: skip
    return table


def _interval(row: Mapping[str, Any]) -> str:
    return "–" if math.isnan(row["low"]) else f"{format_number(row['low'])} – {format_number(row['high'])}"


def _chance(row: Mapping[str, Any]) -> str:
    if math.isnan(row["better"]):
        return "–"
    low, high = (f"{100 * row[name]:.0f}" for name in ("better_low", "better_high"))
    return f"{row['better']:.0%} ({low}–{high})"


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _scaled(row: Mapping[str, Any], name: str) -> float:
    """A value of the row as it lies on the bar: a ratio by its logarithm."""
    value = float(row[name])
    if row["change"] != "ratio":
        return value
    return math.log(value) if value > 0 else -math.inf


def _ends(rows: Sequence[Mapping[str, Any]]) -> float:
    """How far the bars reach to either side: to the farthest end that any interval has, where it has one."""
    known = [abs(_scaled(row, name)) for row in rows for name in ("low", "high", "estimate")]
    return max((value for value in known if math.isfinite(value)), default=0.0) or 1.0


def _bar(row: Mapping[str, Any], reach: float) -> str:
    """`   ──●──  │       `: the interval beside no change at all."""
    low, value, high = (0.5 + _scaled(row, name) / reach / 2 for name in ("low", "estimate", "high"))
    return span(low, value, high, BAR_WIDTH, mark=0.5)


def verdict_sentence(row: Mapping[str, Any]) -> str:
    """What one pair comes to, and how many more seeds would decide it if it is not decided."""
    a, b = row["a"], row["b"]
    failed = [f"{name} {row[f'{side}_finished']}" for side, name in (("a", a), ("b", b)) if _failed(row, side)]
    beside = f" Seeds that finished: {', '.join(failed)}." if failed else ""
    if row["verdict"] != UNDECIDED:
        better, worse = (a, b) if row["verdict"] == "a" else (b, a)
        return f"{better} is better than {worse}: decided by {row['seeds']} shared seeds.{beside}"
    if row["seeds"] < 2:
        return f"{a} and {b}: undecided, for they share {row['seeds']} seed{'s' * (row['seeds'] != 1)}.{beside}"
    if math.isnan(row["p"]):
        return f"{a} and {b}: undecided, for no seed differs from another.{beside}"
    if pd.isna(row["needed"]):
        return f"{a} and {b}: undecided; {MOST_SEEDS:,} seeds would hardly tell such a difference.{beside}"
    more = max(int(row["needed"]) - int(row["seeds"]), 1)
    seeds = f"{more} more seed{'s' * (more != 1)} of each"
    return f"{a} and {b}: undecided; about {seeds} would decide a difference as large as this one (power 80 %).{beside}"


def _failed(row: Mapping[str, Any], side: str) -> bool:
    ok, attempted = str(row[f"{side}_finished"]).split("/")
    return ok != attempted
