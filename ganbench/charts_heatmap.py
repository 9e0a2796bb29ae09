"""The heat map: the mean score of each generator, discriminator and loss that were tried together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from ganbench import charts_style as style
from ganbench.charts_cells import axes_of, cells_of, left_out, with_networks
from ganbench.charts_style import Plot, Spec
from ganbench.shortening import shortened
from ganbench.standings import records

STEP, ROW = 66, 34
"""The size of a cell."""

PLACES = ("row", "column", "facet")
MAPS_IN_A_ROW = 2
LETTERS = {"row": 32, "column": 20, "facet": 26}
"""The most letters of a name."""

SHORT = 9
"""Names of columns with so many letters stand upright, longer ones at a slant."""


def heatmap_plot(ranking: pd.DataFrame) -> Plot:
    """The heat map of a ranking, by the factors of which there is more than one choice."""
    cells, score = cells_of(ranking), str(ranking["score"].iloc[0])
    factors = axes_of(with_networks(ranking))
    named = [(place, factor) for place, factor in zip(PLACES, factors, strict=True) if factor]
    rows = tuple(
        (*(str(cell[place]) for place, _ in named), cell["text"], f"{cell['ok']}/{cell['attempted']}")
        for cell in records(cells)
    )
    told = [factor for _, factor in named]
    title = " by ".join(told)
    return Plot(
        title[:1].upper() + title[1:],
        _about(ranking, cells, factors),
        f"Mean {score} by {' and '.join(told)}. {_best(cells)}",
        _chart(cells, factors),
        headings=(*told, score, "seeds ok"),
        rows=rows,
        wide=True,
    )


def _about(ranking: pd.DataFrame, cells: pd.DataFrame, factors: Sequence[str]) -> str:
    score, direction = ranking["score"].iloc[0], ranking["direction"].iloc[0]
    about = f"Mean {score} over seeds and whatever else differs, {direction} is better: the lighter, the better."
    if cells["mean"].isna().any():
        about += " Crossed out: every seed failed."
    if ((cells["ok"] < cells["attempted"]) & (cells["ok"] > 0)).any():
        about += " 2/3: so many seeds have a score, and the mean is theirs."
    if len(cells) < cells["row"].nunique() * cells["column"].nunique() * cells["facet"].nunique():
        about += " Empty: not tried."
    hidden = left_out(with_networks(ranking), cells, factors)
    return f"{about} Left out for room: {hidden}." if hidden else about


def _best(cells: pd.DataFrame) -> str:
    known = cells[cells["mean"].notna()].sort_values("share", ascending=False)
    if known.empty:
        return "Every seed failed."
    best = known.iloc[0]
    return f"The best cell is {' / '.join(best[place] for place in PLACES if best[place])}: {best['text']}."


def _chart(cells: pd.DataFrame, factors: Sequence[str]) -> Spec:
    """Boxes with their text; what failed is crossed out."""
    row, column, facet = factors
    data = style.rounded(cells.assign(failed=cells["mean"].isna()), "mean").drop(columns=["share"])
    data = data.assign(**{f"whole_{place}": data[place] for place in PLACES})
    data = data.assign(**{place: shortened(data[place].tolist(), LETTERS[place]) for place in PLACES})
    if facet:
        data["facet"] = [f"{facet} {choice}" for choice in data["facet"]]
    order = {place: list(dict.fromkeys(data[place].tolist())) for place in PLACES}
    long = bool(data["column"].str.len().max() > SHORT)
    angle, room = (-40, 130) if long else (0, STEP)
    side: Literal["bottom", "top"] = "bottom" if facet else "top"
    across = alt.Axis(
        orient=side, labelAngle=angle, labelLimit=room, labelOverlap=False, ticks=False, title=column or None
    )
    beside = alt.Axis(labelLimit=190, labelOverlap=False, ticks=False, title=row)

    def x(position: float = 0.5) -> alt.X:
        return alt.X("column:N", axis=across, sort=order["column"], bandPosition=position)

    def y(position: float = 0.5) -> alt.Y:
        return alt.Y("row:N", axis=beside, sort=order["row"], bandPosition=position)

    tooltip = [
        *(alt.Tooltip(f"whole_{place}", title=name) for place, name in zip(PLACES, factors, strict=True) if name),
        alt.Tooltip("text", title="mean"), alt.Tooltip("ok", title="seeds ok"), alt.Tooltip("attempted", title="seeds"),
    ]  # fmt: skip
    base = alt.Chart(data).encode(x=x(), y=y(), tooltip=tooltip)
    ink = alt.Color("ink:N", scale=None)
    good, bad = base.transform_filter("!datum.failed"), base.transform_filter("datum.failed")
    layers: list[Any] = []
    if not data["failed"].all():
        alone, above_seeds = good.transform_filter("!datum.seeds"), good.transform_filter("datum.seeds")
        layers += [
            good.mark_rect(stroke=style.RULE).encode(color=alt.Color("fill:N", scale=None)),
            alone.mark_text(fontSize=12).encode(text="text:N", color=ink),
            above_seeds.mark_text(fontSize=12, dy=-6).encode(text="text:N", color=ink),
            above_seeds.mark_text(fontSize=10, dy=9).encode(text="seeds:N", color=ink),
        ]
    if data["failed"].any():
        layers.append(bad.mark_rect(filled=False, stroke=style.FAINT, strokeDash=[3, 2]))
        for start in (0, 1):
            right, other = alt.X2("column:N", bandPosition=1), alt.Y2("row:N", bandPosition=1 - start)
            layers.append(bad.mark_rule(color=style.FAINT).encode(x=x(0), x2=right, y=y(start), y2=other))
    maps = alt.layer(*layers).properties(width=alt.Step(STEP), height=alt.Step(ROW))
    if not facet:
        return style.styled(maps)
    header = alt.Header(title=None, labelOrient="top")
    faceted = maps.facet(facet=alt.Facet("facet:N", header=header, sort=order["facet"]), columns=MAPS_IN_A_ROW)
    return style.styled(faceted.resolve_axis(x="independent"))
