"""The plots of a ranking as Vega-Lite specifications, and the JavaScript that draws them without a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ganbench.charts_cells import varying
from ganbench.charts_cost import TIME, Quality, Times, cost_plot, times_of, with_spread
from ganbench.charts_curves import curve_plot, mean_of, points_of, trials_shown
from ganbench.charts_heatmap import heatmap_plot
from ganbench.charts_style import COLOURS, MARKS, SHAPES, Plot
from ganbench.shortening import shortened
from ganbench.standings import named, secondary_scores, trials_of
from ganbench.terms import AXES

SHOWN = 24
"""How many variants of a ranking are drawn, the best ones: more lines than that show nothing."""

BUTTON_LETTERS = 38
"""The most letters of a name on a button."""

ACCURACY = "discriminator/accuracy"


def javascript() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, safe inside a `<script>` element."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@dataclass(frozen=True)
class Shown:
    """What is drawn of a ranking: its best variants with their `place`, `label` and costs, and their curves' points.

    `limits` are the axes that the budget limits.
    """

    ranking: pd.DataFrame
    rows: pd.DataFrame
    points: pd.DataFrame
    limits: tuple[str, ...]
    times: Times

    @property
    def score(self) -> str:
        """The score that ranks; empty where nothing was measured."""
        return str(self.ranking["score"].iloc[0])

    @property
    def rule(self) -> str:
        """How seeds are averaged."""
        return str(self.ranking["mean_rule"].iloc[0])

    @property
    def floor(self) -> float | None:
        """The score of real data, where it is known."""
        value = self.ranking["real_floor"].iloc[0]
        return None if math.isnan(value) else float(value)

    @property
    def names(self) -> dict[int, str]:
        """What each place is called."""
        return dict(zip(self.rows["place"].tolist(), self.rows["label"].tolist(), strict=True))


def shown_of(ranking: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame) -> Shown:
    """What is drawn of `ranking`; `runs` are the rows of its trials in the table of results."""
    told = named(ranking)
    rows = with_spread(trials_of(told).head(SHOWN), runs, str(ranking["score"].iloc[0]))
    limits = tuple(axis for axis in AXES if runs[f"overshoot_{axis}"].notna().any())
    return Shown(ranking, rows, trials_shown(rows, runs, curves), limits, times_of(told, runs))


def plots(ranking: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame) -> list[Plot]:
    """Quality against cost, then the curves that were recorded, of the best variants of `ranking`, then the heat map.

    `runs` are the rows of its trials in the table of results. None without trials.
    """
    shown = shown_of(ranking, runs, curves)
    if shown.rows.empty:
        return []
    signals = dict.fromkeys((shown.score, *secondary_scores(ranking)[:1], ACCURACY))
    factors = varying(trials_of(ranking))
    found = [
        cost_of(shown),
        *(curves_of(shown, name) for name in signals),
        heatmap_plot(ranking) if len(factors) > 1 else None,
    ]
    return [plot for plot in found if plot is not None]


def cost_of(shown: Shown, axis: str | None = None, names: Mapping[int, str] | None = None) -> Plot | None:
    """Quality against cost, over `axis` or what the budget does not limit; None where nothing was measured.

    With `names`, what each place is called, the plot has a legend of its own.
    """
    measured = shown.rows[shown.rows["mean"].notna()]
    if measured.empty:
        return None
    direction = str(shown.ranking["direction"].iloc[0])
    quality = Quality(shown.score, shown.rule, direction, shown.floor)
    return cost_plot(measured, _axes(measured, axis or _cost_axis(shown, measured)), quality, shown.times, names)


def _cost_axis(shown: Shown, measured: pd.DataFrame) -> str:
    """What the budget does not limit: device seconds or, where they do not compare, what tells variants apart."""
    if TIME in shown.limits:
        return "kimg"
    telling = [axis for axis in ("petaflops", "steps", "kimg") if measured[axis].nunique() > 1]
    return telling[0] if shown.times.apart and telling else TIME


def curves_of(shown: Shown, name: str, axis: str | None = None, names: Mapping[int, str] | None = None) -> Plot | None:
    """The curves of one score or signal, over `axis` or the budget's first limit; None where none was recorded."""
    ranks = name == shown.score
    mean = mean_of(shown.points, name, shown.rule if ranks else "arithmetic")
    found = points_of(shown.points, name, mean)
    if found.empty:
        return None
    axes = _axes(found, axis or shown.limits[0])
    plot = curve_plot(found, axes, name, mean, shown.floor if ranks else None, names)
    beside = " The board shows medians of it." if name in secondary_scores(shown.ranking) else ""
    return replace(plot, about=f"{plot.about}{beside}")


def _axes(data: pd.DataFrame, first: str) -> tuple[str, ...]:
    """The axes that there are numbers for, `first` before all others."""
    known = [axis for axis in AXES if data[axis].notna().any()]
    return tuple(sorted(known, key=lambda axis: axis != first)) or (first,)


def legend(ranking: pd.DataFrame) -> list[dict[str, Any]]:
    """What the page says of each variant that is drawn: its `place`, its `label` whole and `short`, its `colour` as a
    class, its `mark` as the path of a drawing from -6 to 6.
    """
    rows = trials_of(named(ranking)).head(SHOWN)
    short = dict(zip(rows["place"], shortened(rows["label"].tolist(), BUTTON_LETTERS), strict=True))
    return [
        {
            "place": place,
            "label": label,
            "short": short[place],
            "colour": f"colour-{place}" if place < COLOURS else "grey",
            "mark": MARKS[SHAPES[place if place < COLOURS else 0]],
        }
        for place, label in zip(rows["place"].tolist(), rows["label"].tolist(), strict=True)
    ]
