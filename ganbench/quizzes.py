"""What the quiz "Real or fake?" cuts its pictures out of: grids of real images, and of each variant's samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ganbench.albums import Picture, frames, read_picture
from ganbench.bindings import Binding, Cells
from ganbench.dossiers import Variant
from ganbench.standings import records
from ganbench.views import format_number, one_line

GRID_IMAGES, GRID_COLUMNS, GRID_GAP = 64, 8, 1
"""How `ganbench.pictures` lays out a grid: at most so many images, so many a row, so many pixels between them."""

FEWEST = 8
"""Real images that make a quiz."""

MOST_VARIANTS = 24
REAL, DETECTABILITY = "real_floor", "detectability"


@dataclass(frozen=True)
class Grid:
    """A picture that holds `count` images of `width` by `height` pixels."""

    picture: Picture
    width: int
    height: int
    count: int


def gather_quizzes(
    variants: Sequence[Variant], sections: Sequence[Cells], table: pd.DataFrame, binding: Binding
) -> list[Cells]:
    """For each section of which there are real and generated images of one size: where they are, and how many."""
    return [quiz for section in range(len(sections)) if (quiz := _quiz(section, variants, sections, table, binding))]


def _quiz(
    section: int, variants: Sequence[Variant], sections: Sequence[Cells], table: pd.DataFrame, binding: Binding
) -> Cells | None:
    own = [variant for variant in variants if variant.section == section][:MOST_VARIANTS]
    real = _real(own, table)
    if real is None:
        return None
    detectors = _detectors(table, own)
    told = [
        {
            "id": variant.id,
            "label": variant.row["label"],
            "grids": grids,
            "machine": [[one_line(name), _median(variant, name)] for name in detectors],
        }
        for variant in own
        if (grids := list(_grids(variant, real, binding)))
    ]
    place = binding.picture(real.picture) if told else None
    if place is None:
        return None
    words = {name: sections[section][name] for name in ("dataset", "budget")}
    return {
        **words,
        "section": section,
        "size": [real.width, real.height],
        "real": [place, real.count],
        "variants": told,
    }


def grid_of(picture: Picture | None, count: int) -> Grid | None:
    """How the picture is made of `count` images; None where it cannot be."""
    count = min(count, GRID_IMAGES)
    if picture is None or count < 1:
        return None
    columns, rows = min(GRID_COLUMNS, count), math.ceil(count / GRID_COLUMNS)
    width, wide = divmod(picture.width + GRID_GAP, columns)
    height, high = divmod(picture.height + GRID_GAP, rows)
    whole = not wide and not high and width > GRID_GAP and height > GRID_GAP
    return Grid(picture, width - GRID_GAP, height - GRID_GAP, count) if whole else None


def _real(variants: Sequence[Variant], table: pd.DataFrame) -> Grid | None:
    """The grid of real images that were measured as the variants were."""
    alike = {run["evaluation_protocol"] for variant in variants for run in variant.runs}
    plain = table.assign()
    plain.attrs = {}
    same = plain["evaluation_protocol"].isin(alike) & (plain["kind"] == "reference") & (plain["variant"] == REAL)
    found = records(plain[same].sort_values("finished_at").tail(1))
    grid = _last_grid(found[0]) if found else None
    return grid if grid and grid.count >= FEWEST else None


def _last_grid(run: Mapping[str, Any]) -> Grid | None:
    folder = Path(run["path"])
    last = frames(folder)[-1:]
    count = 0 if pd.isna(run["n_fake"]) else int(run["n_fake"])
    return grid_of(read_picture(last[0].path, folder), count) if last else None


def _grids(variant: Variant, real: Grid, binding: Binding) -> Iterator[list[Any]]:
    for run in variant.runs:
        grid = _last_grid(run) if run["status"] == "ok" else None
        if grid and (grid.width, grid.height) == (real.width, real.height):
            place = binding.picture(grid.picture)
            if place is not None:
                yield [place, grid.count, run["key"]]


def _detectors(table: pd.DataFrame, variants: Sequence[Variant]) -> list[str]:
    """The scores that say how well a classifier tells real from generated."""
    suites = {run["suite"] for variant in variants for run in variant.runs}
    datasets = {run["dataset"] for variant in variants for run in variant.runs}
    told = (table.attrs["measured"].get(suite, {}).get(name, {}) for suite in suites for name in datasets)
    names = (name for scores in told for name, facts in scores.items() if facts["metric"] == DETECTABILITY)
    return sorted(set(names))


def _median(variant: Variant, score: str) -> str:
    return format_number(variant.row.get(f"median_{score}", math.nan))
