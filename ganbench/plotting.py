"""Plots as files: one of a board's plots as PNG or SVG, in the page's colours, light or dark."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from ganbench.charts import Shown, cost_of, curves_of, shown_of
from ganbench.charts_heatmap import heatmap_plot
from ganbench.charts_modes import Shares, modes_plot
from ganbench.charts_style import COLOURS, FONT, Plot, Spec
from ganbench.disk import write_atomically
from ganbench.errors import ResultsError, suggest
from ganbench.portrait_files import PORTRAIT, Classes, read_portrait
from ganbench.standings import rankings, records, secondary_scores, trials_of
from ganbench.statistics import board
from ganbench.tables import load_curves, load_results
from ganbench.terms import AXES
from ganbench.views import one_line

Kind = Literal["curves", "pareto", "heatmap", "modes"]
Theme = Literal["light", "dark"]

WIDTH, HEIGHT = 680, 380
SCALE = 2.0
"""Pixels of a PNG for each unit of the plot."""

FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', 'Noto Sans', sans-serif"
"""What stands in for the page's own font, which a file does not have."""

LINE = 100
"""Letters in a line below the title."""

SUFFIXES = (".png", ".svg")
COLOUR = re.compile(r"var\((--[a-z0-9-]+)\)")


@dataclass(frozen=True)
class Wanted:
    """Which plot of which board: `dataset` is a data set or the beginning of a board's protocol; without it, the first
    board that has something to draw. `score` and `axis` may be left to the board.
    """

    kind: Kind
    dataset: str | None = None
    score: str | None = None
    axis: str | None = None
    theme: Theme = "light"


@dataclass(frozen=True)
class Drawn:
    """A plot with its board's data set and budget, and how `--dataset` would name the boards that might have been."""

    plot: Plot
    dataset: str
    budget: str
    others: tuple[str, ...]


class NothingToDrawError(ResultsError):
    """A board has not what a plot is made of."""


def write_plot(results: Path, wanted: Wanted, file: Path) -> Drawn:
    """Draw what is wanted of `results` into `file`, PNG or SVG by its suffix. Gives what was drawn.

    Raises ResultsError where there is no such board or nothing to draw, or `file` cannot be written.
    """
    check_suffix(file)
    drawn = plot_of(results, wanted)
    picture = render(for_file(drawn.plot, drawn.dataset, wanted.theme), file.suffix.lower())
    try:
        write_atomically(file, picture)
    except OSError as error:
        raise ResultsError(f"{file}: cannot be written ({error.strerror})") from error
    return drawn


def check_suffix(file: Path) -> None:
    """Nothing, if a plot can be written as `file`. Raises ResultsError."""
    if file.suffix.lower() not in SUFFIXES:
        raise ResultsError(f"{file}: no picture format '{file.suffix}'.{suggest(file.suffix, SUFFIXES)}")


def plot_of(results: Path, wanted: Wanted) -> Drawn:
    """The plot of the first board that fits and has something to draw.

    Raises ResultsError where none fits or has; it says what the first lacks.
    """
    table = load_results(results)
    curves = load_curves(results)
    signal = wanted.score if wanted.kind == "curves" and _is_signal(wanted.score, table, curves) else None
    boards = chosen(rankings(board(table, None if signal else wanted.score)), wanted.dataset, results)
    lacking = []
    for number, ranking in enumerate(boards):
        runs = table[(table["protocol"] == ranking["protocol"].iloc[0]) & (table["kind"] == "trial")]
        try:
            plot = _plot_of_board(ranking, runs, curves, wanted, signal)
        except NothingToDrawError as error:
            lacking.append(error)
            continue
        others = tuple(_choice(other, boards) for other in (*boards[:number], *boards[number + 1 :]))
        return Drawn(plot, str(ranking["dataset"].iloc[0]), str(ranking["budget"].iloc[0]), others)
    raise NothingToDrawError(f"{results}: {lacking[0]}")


def _plot_of_board(
    ranking: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame, wanted: Wanted, signal: str | None
) -> Plot:
    """The plot of one board with its trials, `runs`. Raises NothingToDrawError."""
    if runs.empty:
        name = one_line(ranking["dataset"].iloc[0])
        raise NothingToDrawError(f"nothing was trained on {name}, so there is nothing to draw")
    shown = shown_of(ranking, runs, curves)
    plot = _drawn(shown, runs, wanted, signal)
    if plot is None:
        raise NothingToDrawError(_nothing(shown, wanted, signal))
    return plot


def _is_signal(name: str | None, table: pd.DataFrame, curves: pd.DataFrame) -> bool:
    """Whether a curve has it, and it is no score that could rank."""
    return name is not None and name not in table.attrs["scores"] and name in signals_of(curves)


def signals_of(curves: pd.DataFrame) -> list[str]:
    """What was recorded while training beside scores: `discriminator/accuracy` and its like."""
    return [str(name) for name in curves.columns if "/" in str(name)]


def chosen(boards: Sequence[pd.DataFrame], dataset: str | None, results: Path) -> Sequence[pd.DataFrame]:
    """The board that `dataset` names, or all without it. Raises ResultsError with the choices."""
    if not boards:
        raise ResultsError(f"{results}: no trials are recorded here yet")
    if dataset is None:
        return boards
    fitting = [ranking for ranking in boards if _is_named(ranking, dataset)]
    names = {one_line(ranking["dataset"].iloc[0]) for ranking in boards}
    if not fitting:
        raise ResultsError(f"--dataset: no data set '{dataset}' in these results.{suggest(dataset, names)}")
    if len(fitting) > 1:
        choices = ", ".join(_choice(ranking, fitting) for ranking in fitting)
        raise ResultsError(f"{results}: {len(fitting)} boards, and a plot is of one. Pass --dataset, one of: {choices}")
    return fitting


def _is_named(ranking: pd.DataFrame, dataset: str) -> bool:
    name, protocol = str(ranking["dataset"].iloc[0]), str(ranking["protocol"].iloc[0])
    return dataset in (name, one_line(name)) or (bool(dataset) and protocol.startswith(dataset))


def _choice(ranking: pd.DataFrame, fitting: Sequence[pd.DataFrame]) -> str:
    """How to name a board: by its data set or, where another has the same, its protocol."""
    name = str(ranking["dataset"].iloc[0])
    if sum(other["dataset"].iloc[0] == name for other in fitting) == 1:
        return one_line(name)
    budget = ranking["budget"].iloc[0] or "evaluated only"
    return f"{ranking['protocol'].iloc[0]} ({one_line(name)}, {budget})"


def _drawn(shown: Shown, runs: pd.DataFrame, wanted: Wanted, signal: str | None) -> Plot | None:
    if wanted.kind == "heatmap":
        return heatmap_plot(shown.ranking)
    if wanted.kind == "modes":
        return _modes(shown, runs)
    if wanted.axis is not None and not runs[wanted.axis].notna().any():
        known = [axis for axis in AXES if runs[axis].notna().any()]
        name = one_line(shown.ranking["dataset"].iloc[0])
        raise NothingToDrawError(
            f"no trial on {name} tells its {wanted.axis}, which --axis asks for.{suggest(wanted.axis, known)}"
        )
    if wanted.kind == "pareto":
        plot = cost_of(shown, wanted.axis, shown.names)
    else:
        plot = curves_of(shown, signal or shown.score, wanted.axis, shown.names)
    grey = " Grey: the other variants." if len(shown.rows) > COLOURS else ""
    return replace(plot, about=f"{plot.about}{grey}") if plot else None


def _nothing(shown: Shown, wanted: Wanted, signal: str | None) -> str:
    dataset = one_line(shown.ranking["dataset"].iloc[0])
    if wanted.kind == "modes":
        known = [
            name for name in (shown.score, *secondary_scores(shown.ranking)) if "modes" in name or "classes" in name
        ]
        scores = ", ".join(known)
        hint = f". These scores count them: {scores}" if scores else ""
        why = "the data have none, or the results were recorded before ganbench counted them"
        return f"no trial on {dataset} has the shares of classes in a {PORTRAIT}: {why}{hint}"
    if wanted.kind == "pareto":
        return f"no trial on {dataset} has a {shown.score or 'score'}, so there is no quality to draw"
    return f"no curve of {signal or shown.score or 'a score'} is recorded on {dataset}"


def _modes(shown: Shown, runs: pd.DataFrame) -> Plot | None:
    """The shares of the best variants that have any; None without."""
    names: Classes | None = None
    found = []
    for row in records(trials_of(shown.rows)):
        own = runs[(runs["variant"] == row["variant"]) & (runs["recipe"] == row["recipe"]) & (runs["status"] == "ok")]
        portraits = [read_portrait(Path(path)) for path in own["path"]]
        classes = [portrait.classes for portrait in portraits if portrait and portrait.classes]
        names = names or (classes[0] if classes else None)
        same = [each.samples for each in classes if names and each.names == names.names]
        if same:
            seeds = np.array(same)  # (seeds, classes)
            mean, low, high = (spread(axis=0).tolist() for spread in (seeds.mean, seeds.min, seeds.max))
            found.append(Shares(row["place"], row["label"], mean, low, high))
    return modes_plot([one_line(name) for name in names.names], names.data, found) if names else None


def for_file(plot: Plot, dataset: str, theme: Theme) -> Spec:
    """The plot's specification with its words as title, colours instead of the page's variables, and a size."""
    paper = _palette(theme)["--paper"]
    specification: Spec = _resolved(plot.specification, _palette(theme))
    ink, soft = _palette(theme)["--ink"], _palette(theme)["--ink-soft"]
    if specification.get("width") == "container":
        specification |= {"width": WIDTH, "height": HEIGHT}
    title = {
        "text": f"{one_line(dataset)}: {plot.title}", "color": ink, "font": FONTS, "fontSize": 15,
        "subtitle": textwrap.wrap(plot.about, LINE), "subtitleColor": soft, "subtitleFont": FONTS,
        "subtitleFontSize": 11, "subtitlePadding": 6, "anchor": "start", "frame": "group", "limit": WIDTH, "offset": 14,
    }  # fmt: skip
    return {**specification, "title": title, "padding": 16, "background": paper}


def _resolved(part: Any, palette: Mapping[str, str]) -> Any:
    """A part of a specification with the colours and fonts that a file needs; what the plot's data say stays."""
    if isinstance(part, dict):
        return {key: value if key == "datasets" else _resolved(value, palette) for key, value in part.items()}
    if isinstance(part, list):
        return [_resolved(value, palette) for value in part]
    if part == FONT:
        return FONTS
    variable = COLOUR.fullmatch(part) if isinstance(part, str) else None
    return palette[variable[1]] if variable else part


def _palette(theme: Theme) -> dict[str, str]:
    """The page's colours, from its style sheet: the first block is light, the second dark."""
    style = (files("ganbench") / "templates" / "leaderboard.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return dict(re.findall(r"(--[a-z0-9-]+): (#[0-9a-f]{6})", blocks[get_args(Theme).index(theme)]))


def render(specification: Spec, suffix: str) -> bytes:
    """The picture that a specification describes; nothing is fetched for it."""
    import vl_convert

    if suffix == ".svg":
        svg: str = vl_convert.vegalite_to_svg(specification, allowed_base_urls=[])
        return svg.encode()
    png: bytes = vl_convert.vegalite_to_png(specification, scale=SCALE, allowed_base_urls=[])
    return png
