"""Tables as `load_results` gives them, from numbers alone: what the statistics are tested on, without a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from ganbench.tables import COLUMNS, REAL, TEXT, TIME

FCD = {"fcd": {"direction": "lower", "mean": "geometric"}}
SHARE = {"share": {"direction": "higher", "mean": "arithmetic"}}


def run_row(
    value: float | None, generator="g", discriminator="d", loss="l", seed=0, dataset="digits", score="fcd", **others
) -> dict:
    """A trial with that score; None is one that failed."""
    return {
        "suite": "s", "kind": "trial", "attempt": 1, "status": "diverged" if value is None else "ok",
        "dataset": dataset, "generator": generator, "discriminator": discriminator, "loss": loss, "seed": seed,
        "variant": f"{generator} / {discriminator} / {loss}", "recipe": "00", "protocol": "p",
        "evaluation_protocol": f"e-{dataset}", "budget": "1 kimg",
        score: math.nan if value is None else value, **others,
    }  # fmt: skip


def reference_row(name: str, value: float, dataset="digits", score="fcd") -> dict:
    row = run_row(value, "", "", "", None, dataset, score)
    return {**row, "kind": "reference", "variant": name, "recipe": "", "protocol": row["evaluation_protocol"]}


def tabulated(rows: Iterable[dict], rules: Mapping[str, Mapping[str, str]] = FCD) -> pd.DataFrame:
    """The table of `rows`, each of which may leave columns out."""
    listed = [{**row, "key": f"{number:064x}"} for number, row in enumerate(rows)]
    frame = pd.DataFrame(listed, columns=[*COLUMNS, *rules])
    dtypes = {name: column.dtype for name, column in COLUMNS.items()} | dict.fromkeys(rules, REAL)
    for name, dtype in dtypes.items():
        column = frame[name].astype(object)
        if dtype == TEXT:
            frame[name] = column.where(column.notna(), "").astype(TEXT)
        elif dtype == TIME:
            frame[name] = pd.to_datetime(column, utc=True)
        else:
            frame[name] = column.astype(REAL).astype(dtype)
    measured = {dataset: {name: {} for name in rules} for dataset in set(frame["dataset"])}
    frame.attrs = {"results": "s", "scores": dict(rules), "measured": {"s": measured}}
    return frame
