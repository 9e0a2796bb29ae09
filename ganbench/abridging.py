"""What the page leaves out of boards of very many rows, so that it can be sent and opened, and how it says so."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import pandas as pd

from ganbench.cells import Cells
from ganbench.standings import secondary_scores, trials_of

ROWS = 2_000
"""The most ranked rows of all boards of a page together."""

FEWEST = 24
"""Ranked rows that a board has room for, however many boards there are."""

MANY_ROWS, FEW_SCORES = 1_000, 3
"""A board of more rows than that is crowded, and shows only so many scores beside the one that ranks."""

LISTED = 500
"""The most failures that a board lists."""


def most_rows(boards: int) -> int:
    """How many ranked rows each of so many boards may show."""
    return max(ROWS // max(boards, 1), FEWEST)


def kept_rows(ranking: pd.DataFrame, most: int) -> list[bool]:
    """Which rows of `ranking` are shown: of its variants the best `most`, and all that is not ranked."""
    trained = (ranking["kind"] == "trial").to_numpy(dtype=bool)
    kept: list[bool] = (~trained | (trained.cumsum() <= most)).tolist()
    return kept


def is_crowded(rows: Sequence[Cells]) -> bool:
    """Whether a board has so many rows that each of them must be short."""
    return len(rows) > MANY_ROWS


def kept_scores(ranking: pd.DataFrame, *, crowded: bool) -> list[str]:
    """The scores that stand beside the one that ranks."""
    return secondary_scores(ranking)[: FEW_SCORES if crowded else None]


def cuts_of(cuts: Cells, kept: Sequence[bool]) -> Cells:
    """By axis, what the rows that are kept show at each stop of the slider."""
    return {axis: stops and [rows and list(compress(rows, kept)) for rows in stops] for axis, stops in cuts.items()}


def left_out(ranking: pd.DataFrame, kept: Sequence[bool], scores: Sequence[str]) -> list[str]:
    """What is not shown of `ranking`, a sentence for each kind: variants, and scores beside those of `scores`."""
    trials, gone = len(trials_of(ranking)), len(kept) - sum(kept)
    more = len(secondary_scores(ranking)) - len(scores)
    rows = f"The best {trials - gone:,} of {trials:,} variants stand here; 'ganbench leaderboard' prints all of them."
    told = "1 more score is" if more == 1 else f"{more} more scores are"
    columns = f"{told} not shown beside so many variants; 'ganbench table' prints all of them."
    return [*([rows] if gone else []), *([columns] if more else [])]
