"""The trials behind a ranking, a row a seed: what is resampled, and what effects are fitted to."""

from __future__ import annotations

import pandas as pd

from ganbench.standings import trials_of
from ganbench.statistics import once
from ganbench.tables import COLUMNS, REAL, TEXT, WHOLE, Column

VARIANT_KEY = ["variant", "recipe"]
"""What a variant is known by: two recipes of one variant are two."""

RUN_COLUMNS: dict[str, Column] = {
    name: COLUMNS[name] for name in (*VARIANT_KEY, "generator", "discriminator", "loss", "training")
} | {
    "dataset": Column(TEXT, "data set with the parameters that were set"),
    "protocol": Column(TEXT, "hash of all that rows must share to be ranked together"),
    "seed": Column(WHOLE, "seed of the trial"),
    "value": Column(REAL, "the score that ranks; missing where the trial failed"),
}


def seed_runs(table: pd.DataFrame, ranking: pd.DataFrame) -> pd.DataFrame:
    """One row for each variant and seed of `ranking`, a ranking of the board of `table`; columns of `RUN_COLUMNS`.

    Of trials that ran several times, the one that ended last, as on the board. Rows stand by variant, recipe and seed,
    whatever their order in the table.
    """
    ranked = trials_of(ranking)
    if ranked.empty or not ranked["score"].iloc[0]:
        return pd.DataFrame({name: pd.Series(dtype=column.dtype) for name, column in RUN_COLUMNS.items()})
    first = ranked.iloc[0]
    alike = (table["dataset"] == first["dataset"]) & (table["protocol"] == first["protocol"])
    rows = table[(table["kind"] == "trial") & alike].copy()
    rows.attrs = {}  # pandas copies them at every step
    rows = rows.merge(ranked[VARIANT_KEY].drop_duplicates(), on=VARIANT_KEY)
    rows = once(rows).sort_values([*VARIANT_KEY, "seed"], kind="stable")
    rows["value"] = rows[first["score"]]
    return pd.DataFrame(rows[list(RUN_COLUMNS)]).reset_index(drop=True)
