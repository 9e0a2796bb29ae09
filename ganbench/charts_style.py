"""What the plots have in common: a plot with its words, colours and marks of variants, scales, and the look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from ganbench.shortening import shortened

Spec = dict[str, Any]

COLOURS = 6
"""Variants with a colour and a mark of their own, the best ones; the page's style sheet has the colours."""

SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "triangle-right")
"""The marks of the variants that have a colour: who cannot tell colours tells these."""

MARKS = {
    "circle": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z",
    "square": "M-4 -4H4V4H-4Z",
    "triangle-up": "M0 -5L5 4H-5Z",
    "diamond": "M0 -5.5L5.5 0L0 5.5L-5.5 0Z",
    "triangle-down": "M0 5L5 -4H-5Z",
    "triangle-right": "M5 0L-4 5V-5Z",
}
"""The marks as paths, in a square from -6 to 6."""

AXIS_TITLES = {
    "kimg": "real images shown, thousands",
    "steps": "generator updates",
    "device_seconds": "training, device seconds",
    "petaflops": "training, PFLOP",
}
AXIS_NAMES = {
    "kimg": "kimg",
    "steps": "generator updates",
    "device_seconds": "device seconds",
    "petaflops": "PFLOP",
}
"""The axes in a word or two: on a button, above a column of numbers."""

INK, SOFT, FAINT, RULE, GREY = "var(--ink)", "var(--ink-soft)", "var(--ink-faint)", "var(--line)", "var(--grey)"
PAPER = "var(--paper)"
FONT = "system-ui, sans-serif"
HEIGHT = 240
LEGEND_LETTERS = 52
"""The most letters of a name in the legend of a plot by itself."""

LABEL_LETTERS, LABEL_ROOM = 26, 176
"""The most letters of the name of a row, and the room that they take."""

ISOLATED = "isolated"
"""The parameter of a drawn plot that holds the place of the only variant to be shown in full; -1 for all."""

AXIS = "axis"
"""The parameter of a drawn plot that holds the cost or budget on its horizontal axis."""


@dataclass(frozen=True)
class Plot:
    """A plot with its words: `fact` says what it shows to those who cannot see it, `rows` are its numbers as text.

    `axes` are the choices of its horizontal axis, the first of them the one that it is drawn with; none where there is
    no choice. One that is `wide` has a width of its own, however narrow the page.
    """

    title: str
    about: str
    fact: str
    specification: Spec
    axes: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    wide: bool = False


def colour_of(place: int) -> str:
    """The colour of the variant at that place."""
    return f"var(--colour-{place})" if place < COLOURS else GREY


def colour(places: pd.Series[Any], names: Mapping[int, str] | None = None) -> alt.Color:
    """Each place in its colour, with a legend only where `names` says what the places are called."""
    domain = _domain(places)
    scale = alt.Scale(domain=domain, range=[colour_of(place) for place in domain])
    return alt.Color("place:N", scale=scale, legend=_legend(domain, names))


def shape(places: pd.Series[Any], names: Mapping[int, str] | None = None) -> alt.Shape:
    """Each place with its mark."""
    domain = _domain(places)
    scale = alt.Scale(domain=domain, range=[SHAPES[place] if place < COLOURS else SHAPES[0] for place in domain])
    return alt.Shape("place:N", scale=scale, legend=_legend(domain, names))


def _domain(places: pd.Series[Any]) -> list[int]:
    return sorted(int(place) for place in places.unique())


def _legend(domain: Sequence[int], names: Mapping[int, str] | None) -> alt.Legend | None:
    if names is None:
        return None
    coloured = [place for place in domain if place < COLOURS]
    short = shortened([names[place] for place in coloured], LEGEND_LETTERS)
    told = expression(dict(zip(map(str, coloured), short, strict=True)))
    return alt.Legend(
        title=None, orient="bottom", offset=46, columns=2, labelExpr=f"{told}[datum.label]", values=coloured,
        symbolOpacity=1,
    )  # fmt: skip


def expression(value: Any) -> str:
    """`value` as Vega's expressions write it."""
    import json

    return json.dumps(value)


def lit(hovered: str | None = None) -> Any:
    """A condition: the variant is the isolated one, or none is; and the one that the selection `hovered` holds, or all
    where it is empty.
    """
    tests: list[Any] = [f"{ISOLATED} < 0 || datum.place === {ISOLATED}"]
    tests += [] if hovered is None else [alt.ParameterPredicate(param=hovered, empty=True)]
    both: Any = alt.LogicalAndPredicate
    return alt.when(both(**{"and": tests}))


def parameters(axis: str | None = None) -> list[Any]:
    """The parameters that a page may change: the isolated variant and, where it has a choice, the axis."""
    isolated = alt.param(name=ISOLATED, value=-1)
    return [isolated] if axis is None else [isolated, alt.param(name=AXIS, value=axis)]


def amounts() -> alt.Axis:
    """A horizontal axis of amounts that may be tiny: 1.5e-5, not 0.000015."""
    tiny = "datum.value != 0 && abs(datum.value) < 0.001"
    return alt.Axis(labelExpr=f"{tiny} ? format(datum.value, '.2~e') : datum.label", labelOverlap=True)


def axis_title() -> alt.Chart:
    """The title of a horizontal axis that can be chosen."""
    text = alt.ExprRef(f"{expression(AXIS_TITLES)}[{AXIS}]")
    below = {"x": alt.ExprRef("width / 2"), "y": alt.ExprRef("height + 34")}
    mark: dict[str, Any] = {"text": text, "color": SOFT, "font": FONT, "fontSize": 12, "tooltip": None, **below}
    chart: alt.Chart = alt.Chart(pd.DataFrame({"one": [1]})).mark_text(**mark)
    return chart


def row_names(names: Sequence[str]) -> alt.Y:
    """The field `short`, a row for each of these names in their order, from the top."""
    axis = alt.Axis(labelLimit=LABEL_ROOM, labelOverlap=False, ticks=False)
    return alt.Y("short:N", sort=list(names), title=None, axis=axis)


def number(name: str, title: str | None = None) -> alt.Tooltip:
    """A number in a tooltip, with three digits."""
    return alt.Tooltip(name, title=title or name, format=".3~r")


def all_of(data: pd.DataFrame, *names: str) -> list[float]:
    """Every number in these columns."""
    return [float(value) for value in data[list(names)].to_numpy(dtype=float).ravel()]


def rounded(data: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The data with six digits in these columns: more cannot be seen, and the page would be twice as large."""
    return data.assign(
        **{name: data[name].astype("float64").map(lambda value: float(f"{value:.6g}")) for name in names}
    )


def drawn(*layers: Any, height: Any = HEIGHT, width: Any = "container") -> Spec:
    """The layers as one plot with the page's look; as wide as its place in the page, unless it is told how wide."""
    return styled(alt.layer(*layers).properties(width=width, height=height))


def styled(chart: Any) -> Spec:
    """The chart's specification, with the page's look."""
    axis: Mapping[str, Any] = {
        "labelColor": SOFT, "titleColor": SOFT, "gridColor": RULE, "domainColor": FAINT, "tickColor": FAINT,
        "labelFont": FONT, "titleFont": FONT, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 12,
        "gridOpacity": 0.6, "labelOverlap": True, "labelFlush": False, "tickCount": 5, "domain": False,
    }  # fmt: skip
    words = {"labelColor": SOFT, "titleColor": SOFT, "labelFont": FONT, "titleFont": FONT}
    configured = chart.configure(
        background="transparent",
        aria=False,
        axis=axis,
        view={"stroke": None},
        font=FONT,
        legend={**words, "labelLimit": 340, "symbolStrokeWidth": 2, "symbolSize": 80},
        header={**words, "titleFontWeight": "normal", "labelFontSize": 12, "labelLimit": 260},
    )
    specification: Spec = configured.to_dict(validate=False)  # which takes most of the time: the tests validate
    return specification
