"""A board for its reader: tables for a terminal or for Markdown, and one offline HTML page."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ganbench.blocks import span
from ganbench.disk import write_atomically
from ganbench.errors import ResultsError
from ganbench.standings import (
    conditional_note,
    has_metric_noise,
    labels,
    lead_sentence,
    mean_text,
    named,
    protocol_line,
    rankings,
    records,
    secondary_scores,
    trials_of,
)
from ganbench.statistics import CONFIDENCE, board
from ganbench.tables import load_both, load_curves
from ganbench.views import escape_markdown, format_number, one_line, render_table

if TYPE_CHECKING:
    from ganbench.bindings import Binding

VARIANT = "variant"
NOTHING = "No trials are recorded here yet."
RANK, INTERVAL, METRIC_NOISE, OK, SPEED = "rank", f"{CONFIDENCE:.0%} interval", "metric noise", "ok", "images/s"
VARIANT_WIDTH = 24
WIDE_VARIANT = 34
"""Letters of a name beyond which bars and scores come first: the name is folded. In 120 columns it leaves the bars."""

COLUMN_GAP = 3
BAR_WIDTH = 11
COPIED = (
    "dataset", "protocol", "kind", "rank", "variant", "generator", "discriminator", "loss", "recipe", "score", "mean",
    "low", "high", "ok", "attempted",
)  # fmt: skip
"""Columns of a board that its page gives as CSV, in full precision; the medians of the other scores follow."""

SECONDARY = 3
"""Scores shown beside the one that ranks, where the console has room for them."""


def print_board(console: Console, ranked: pd.DataFrame) -> None:
    """Show the board on `console`, the leading group of each ranking in bold."""
    for ranking in rankings(ranked):
        console.print(_fitting(ranking, console))
    if ranked.empty:
        console.print(NOTHING)


def render_text(ranked: pd.DataFrame, width: int = 120) -> str:
    """The board as plain text of at most `width` columns."""
    text = io.StringIO()
    print_board(Console(file=text, width=width, color_system=None, emoji=False), ranked)
    return text.getvalue()


def render_markdown(ranked: pd.DataFrame) -> str:
    """The board as Markdown tables, one ranking after the other."""
    parts = [_markdown_ranking(ranking) for ranking in rankings(ranked)]
    return "\n".join(parts) if parts else f"{NOTHING}\n"


@dataclass(frozen=True)
class Layout:
    """What a ranking shows beside its ranks, means and intervals: secondary scores, bars, and which columns not."""

    secondary: int
    bars: bool = False
    without: tuple[str, ...] = ()


LAYOUTS = (
    *(Layout(secondary, bars=True) for secondary in range(SECONDARY, -1, -1)),
    Layout(0),
    Layout(0, without=(SPEED,)),
    Layout(0, without=(SPEED, METRIC_NOISE)),
)
"""From the widest to the narrowest."""


def _fitting(ranking: pd.DataFrame, console: Console) -> Group:
    """The ranking with as much as leaves the variants' names readable and no number cut off."""
    headings, rows = _cells(ranking, SECONDARY)
    whole = [headings, *rows]
    others = range(SECONDARY)[: len(secondary_scores(ranking))]
    first = len(headings) - len(others) - (headings[-1] == SPEED)  # the place of the first of the other scores
    bars = ["", *_bars(ranking)]
    for layout in LAYOUTS:
        hidden = {headings.index(name) for name in layout.without if name in headings}
        hidden |= {first + other for other in others if other >= layout.secondary}
        laid_out = [[cell for place, cell in enumerate(cells) if place not in hidden] for cells in whole]
        if layout.bars and INTERVAL in headings:
            at = headings.index(INTERVAL) + 1  # nothing before it is ever hidden
            laid_out = [[*cells[:at], bar, *cells[at:]] for cells, bar in zip(laid_out, bars, strict=True)]
        widths = [max(map(len, column)) for column in zip(*laid_out, strict=True)]
        variant = laid_out[0].index(VARIANT)
        widths[variant] = min(max(widths[variant], VARIANT_WIDTH), WIDE_VARIANT)
        if sum(widths) + COLUMN_GAP * len(widths) <= console.width:
            break
    return _rich_ranking(ranking, laid_out[0], laid_out[1:])


def _bars(ranking: pd.DataFrame) -> list[str]:
    """A bar for each row's interval, all on one scale: logarithmic for what is averaged geometrically."""
    ends = ranking[["low", "mean", "high"]].to_numpy(dtype=float)
    with np.errstate(divide="ignore"):
        ends = np.log(ends) if ranking["mean_rule"].iloc[0] == "geometric" else ends
    trained = (ranking["kind"] == "trial").to_numpy()
    known = ends[trained][np.isfinite(ends[trained])]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    shares = (ends - low) / (high - low) if high > low else np.where(np.isnan(ends), ends, 0.5)
    return [
        span(start, value, end, BAR_WIDTH) if trial else ""
        for (start, value, end), trial in zip(shares.tolist(), trained, strict=True)
    ]


def _rich_ranking(ranking: pd.DataFrame, headings: list[str], rows: list[list[str]]) -> Group:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        left = heading in (VARIANT, "")
        table.add_column(
            Text(heading),
            justify="left" if left else "right",
            overflow="fold",
            no_wrap=heading != VARIANT,
            min_width=VARIANT_WIDTH if heading == VARIANT else None,
        )
    for row, cells in zip(records(named(ranking)), rows, strict=True):
        style = "dim" if row["kind"] == "reference" else "bold" if row["leads"] else ""
        table.add_row(*(Text(cell) for cell in cells), style=style)
    title = Text(f"{one_line(ranking['dataset'].iloc[0])} · {protocol_line(ranking)}", style="bold")
    below = [Text(note)] if (note := conditional_note(ranking)) else []
    return Group(title, Text(lead_sentence(ranking)), Text(""), table, *below, Text(""))


def _markdown_ranking(ranking: pd.DataFrame) -> str:
    headings, rows = _cells(ranking, SECONDARY)
    lines = [f"| {' | '.join(escape_markdown(cell) for cell in row)} |" for row in (headings, *rows)]
    rule = "|".join(" --- " if heading == VARIANT else " ---: " for heading in headings)
    title = f"### {escape_markdown(one_line(ranking['dataset'].iloc[0]))}"
    about = f"{escape_markdown(lead_sentence(ranking))} {escape_markdown(protocol_line(ranking))}."
    below = ["", note] if (note := conditional_note(ranking)) else []
    return "\n".join([title, "", about, "", lines[0], f"|{rule}|", *lines[1:], *below, ""])


def _cells(ranking: pd.DataFrame, secondary: int) -> tuple[list[str], list[list[str]]]:
    """The headings, and the cells of each row as text."""
    score = ranking["score"].iloc[0] or "score"
    others = secondary_scores(ranking)[:secondary]
    absent = set() if has_metric_noise(ranking) else {METRIC_NOISE}
    absent |= {RANK, INTERVAL, OK, SPEED} if trials_of(ranking).empty else set()
    headings = [RANK, VARIANT, one_line(score), INTERVAL, METRIC_NOISE, OK, *map(one_line, others), SPEED]
    kept = [number for number, heading in enumerate(headings) if heading not in absent]
    rows = [_row_cells(row, label, others) for row, label in zip(records(ranking), labels(ranking), strict=True)]
    return [headings[i] for i in kept], [[cells[i] for i in kept] for cells in rows]


def _copies(ranking: pd.DataFrame) -> dict[str, list[list[str]]]:
    """The ranking to be taken elsewhere, by format: lines before its rows, a line for each row, lines after them."""
    headings, rows = _cells(ranking, SECONDARY)
    known = [name for name in COPIED if not ranking[name].isna().all()]
    whole = ranking[[*known, *(f"median_{name}" for name in secondary_scores(ranking))]]
    sides = "".join("l" if heading == VARIANT else "r" for heading in headings)
    latex = pd.DataFrame(rows, columns=headings, dtype="string").to_latex(index=False, column_format=sides, escape=True)
    texts = {"csv": str(render_table(_in_lines(whole), "csv")), "latex": latex, "markdown": _markdown_ranking(ranking)}
    heads = {"csv": 1, "latex": 4, "markdown": 6}
    return {name: _parted(text.splitlines(), heads[name], len(rows)) for name, text in texts.items()}


def _in_lines(ranking: pd.DataFrame) -> pd.DataFrame:
    """`ranking` with no text that takes more than a line."""
    texts = [name for name in ranking.columns if ranking[name].dtype == "string"]
    return ranking.assign(**{name: ranking[name].map(one_line) for name in texts})


def _parted(lines: list[str], head: int, rows: int) -> list[list[str]]:
    return [lines[:head], lines[head : head + rows], lines[head + rows :]]


def _row_cells(row: Mapping[str, Any], label: str, others: Sequence[str]) -> list[str]:
    interval = "" if math.isnan(row["low"]) else f"{format_number(row['low'])} – {format_number(row['high'])}"
    seeds, speed = f"{row['ok']}/{row['attempted']}", format_number(row["images_per_second"])
    if row["kind"] != "trial":
        interval = seeds = speed = ""
    noise = "" if math.isnan(row["metric_noise"]) else f"± {format_number(row['metric_noise'])}"
    medians = (format_number(row[f"median_{name}"]) for name in others)
    return [row["rank"], label, mean_text(row), interval, noise, seeds, *medians, speed]


def render_html(
    table: pd.DataFrame,
    curves: pd.DataFrame,
    ranked: pd.DataFrame,
    title: str,
    meanings: Mapping[str, str] | None = None,
    binding: Binding | None = None,
) -> str:
    """One HTML page that needs no network: boards, plots, samples, and how all of it was measured.

    `table`, `curves` and `ranked`, a board, are of the same results. `meanings` says what a metric, by name, tells,
    `binding` where the page keeps what is large: in itself by default.
    """
    from ganbench.page import render_page  # brings a plotting library, which text does without

    return render_page(table, curves, ranked, title, meanings or {}, _copies, binding)


def write_page(
    page: Path,
    table: pd.DataFrame,
    ranked: pd.DataFrame,
    meanings: Mapping[str, str] | None = None,
    curves: pd.DataFrame | None = None,
) -> None:
    """Write the HTML page of `table`, which `load_results` gave, and of its board, `ranked`.

    `curves` are those of the same results: by default all that are recorded.
    """
    known = load_curves(table.attrs["results"]) if curves is None else curves
    html = render_html(table, known, ranked, title_of(table, page), meanings)
    _write(page, html)


def title_of(table: pd.DataFrame, page: Path) -> str:
    """What a page of `table` is called: its suites or, where there are none, as the file is."""
    return ", ".join(dict.fromkeys(table["suite"])) or page.stem


def table_csv(table: pd.DataFrame) -> str:
    """The table as CSV that may be shared: it names no folder of this machine."""
    return str(render_table(table.drop(columns="path"), "csv"))


def write_reports(results: Path, meanings: Mapping[str, str] | None = None) -> tuple[Path, pd.DataFrame]:
    """Write `leaderboard.html`, `leaderboard.md` and `table.csv` into `results`; gives the page and the board."""
    table, curves = load_both(results)
    ranked = board(table)
    page = results / "leaderboard.html"
    write_page(page, table, ranked, meanings, curves)
    _write(results / "leaderboard.md", render_markdown(ranked))
    _write(results / "table.csv", table_csv(table))
    return page, ranked


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written ({error.strerror})") from error
