"""What the cells of a board show on the page: bars of ranks and intervals, dots of seeds, the curve in small."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ganbench.charts import COLOURS
from ganbench.standings import EVALUATED_ONLY, mean_text, named, records, trials_of
from ganbench.terms import AXES
from ganbench.views import format_number, one_line

SPARK_HEIGHT = 24
FAMILIES = ("generator", "discriminator", "loss")

Cells = dict[str, Any]
Key = tuple[str, str]
"""A variant and its recipe."""


@dataclass(frozen=True)
class Scale:
    """Where a value lies between the two ends of a strip, which are the lowest and the highest seed's, with room."""

    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """Percent of the strip, from 0 at the left end to 100 at the right; values beyond an end lie on it."""
        low, high, value = (math.log(max(x, 1e-300)) if self.logarithmic else x for x in (self.low, self.high, value))
        return round(100 * min(max((value - low) / (high - low), 0.0), 1.0), 1)

    def holds(self, value: float) -> bool:
        """Whether `value` lies between the ends."""
        return self.low <= value <= self.high


def scale_of(ranking: pd.DataFrame) -> Scale | None:
    """The scale that all strips of a ranking share; None where nothing was measured."""
    values = [value for seeds in trials_of(ranking)["values"] for value in seeds]
    if not values:
        return None
    low, high = min(values), max(values)
    if ranking["mean_rule"].iloc[0] == "geometric":
        room = max(math.sqrt(high / low) ** 0.3, 1.1)
        return Scale(low / room, high * room, logarithmic=True)
    room = 0.15 * (high - low) or 0.1 * abs(high) or 1.0
    return Scale(low - room, high + room, logarithmic=False)


def board_rows(ranking: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame) -> list[Cells]:
    """The rows of `ranking` as the template shows them. `runs` are the rows of its trials in the table of results."""
    scale, curve = scale_of(ranking), sparklines(ranking, runs, curves)
    ranked = len(trials_of(ranking))
    return [_row(row, scale, curve.get((row["variant"], row["recipe"])), ranked) for row in records(named(ranking))]


def family_of(choice: str) -> str:
    """`choice` without its parameters: `hinge + r1` of `hinge + r1(gamma=0.1)`."""
    name, before = one_line(choice), ""
    while name != before:  # from the innermost parentheses outwards
        name, before = re.sub(r"\([^()]*\)", "", name), name
    return " ".join(name.split()) or one_line(choice)


def sparklines(ranking: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame) -> dict[Key, Cells]:
    """The mean curve of the score that ranks, for each variant with one: points of a picture 100 wide, and words.

    Seeds are averaged point by point, as the score is; those that failed are left out. All lie on one scale.
    """
    score, rule = ranking["score"].iloc[0], ranking["mean_rule"].iloc[0]
    if score not in curves.columns:
        return {}
    averaged, points = _mean_curves(runs, curves, score, rule)
    if points.empty:
        return {}
    points["px"] = 100 * points["x"] / max(points["x"].max(), 1e-300)
    low, high = points["y"].min(), points["y"].max()
    points["py"] = SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * (points["y"] - low) / ((high - low) or 1.0)
    points["value"] = np.exp(points["y"]) if averaged == "geometric" else points["y"]
    groups = points.groupby(["variant", "recipe"])
    return {(str(variant), str(recipe)): _spark(part) for (variant, recipe), part in groups if len(part) > 1}


def _mean_curves(runs: pd.DataFrame, curves: pd.DataFrame, score: str, rule: str) -> tuple[str, pd.DataFrame]:
    """How seeds were averaged, and the mean points: variant, recipe, x, and y, a logarithm if that was geometric."""
    axis = next((axis for axis in AXES if runs[f"overshoot_{axis}"].notna().any()), AXES[0])
    facts = runs.loc[runs["status"] == "ok", ["suite", "key", "variant", "recipe"]].drop_duplicates(["suite", "key"])
    known = curves[["suite", "key", axis, score]].merge(facts, on=["suite", "key"])
    known = known.rename(columns={axis: "x", score: "y"})
    known = known[np.isfinite(known["x"].astype(float)) & np.isfinite(known["y"].astype(float))]
    rule = "geometric" if rule == "geometric" and bool((known["y"] > 0).all()) else "arithmetic"
    known["y"] = np.log(known["y"]) if rule == "geometric" else known["y"]
    known["point"] = known.groupby(["suite", "key"]).cumcount()
    means = known.groupby(["variant", "recipe", "point"])[["x", "y"]].mean().reset_index()
    return rule, means


def _spark(points: pd.DataFrame) -> Cells:
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(points["px"], points["py"], strict=True))
    first, last = (format_number(points["value"].iloc[end]) for end in (0, -1))
    return {"points": path, "told": f"{len(points)} points, from {first} to {last}"}


def _row(row: Cells, scale: Scale | None, curve: Cells | None, ranked: int) -> Cells:
    """A row of the board as the template shows it."""
    complete, trained = row["ok"] == row["attempted"], row["kind"] == "trial"
    return {
        **row,
        "name": str(row["label"]).removesuffix(f" ({EVALUATED_ONLY})"),
        "told": mean_text(row),
        "group": row["kind"] if not trained else "complete" if complete else "failed",
        "provisional": trained and bool(row["provisional"]),
        "swatch": row["place"] if trained and row["place"] < COLOURS else None,
        "medians": {name.removeprefix("median_"): value for name, value in row.items() if name.startswith("median_")},
        "strip": _strip(row, scale) if scale and row["values"] and trained else None,
        "curve": curve if trained else None,
        "ranks": rank_bar(row, ranked) if trained else None,
    }


def order_text(value: float) -> str:
    """What a cell is sorted by; empty where there is nothing, which comes last."""
    return f"{value:.6g}" if math.isfinite(value) else ""


def rank_bar(row: Mapping[str, Any], ranked: int) -> list[float] | None:
    """Where the bar of a rank begins and how wide it is, in percent of all ranks; None where there is no rank."""
    low, high = row["rank_low"], row["rank_high"]
    if pd.isna(low) or pd.isna(high) or ranked < 2:
        return None
    return [round(100 * (low - 1) / ranked, 1), round(max(100 * (high - low + 1) / ranked, 3), 1)]


def _strip(row: Mapping[str, Any], scale: Scale) -> Cells:
    bounded = not math.isnan(row["low"])
    floor = row["real_floor"]
    inside = not math.isnan(floor) and scale.low < floor < scale.high
    return {
        "dots": "".join(f"M{scale.place(value):g} 11h0" for value in row["values"]),
        "mean": scale.place(row["mean"]),
        "interval": [scale.place(row["low"]), scale.place(row["high"])] if bounded else None,
        "floor": scale.place(floor) if inside else None,
        "told": ", ".join(format_number(value) for value in row["values"]),
    }


def families(rows: Sequence[Cells]) -> dict[str, list[str]]:
    """The names without parameters of each part that the trained among `rows` differ in, sorted."""
    trained = [row for row in rows if row["kind"] == "trial"]
    found = {part: sorted({family_of(row[part]) for row in trained}) for part in FAMILIES}
    return {part: names for part, names in found.items() if len(names) > 1}
