"""Results as they were at a smaller budget, on any axis: read off the recorded curves, between their points only."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ganbench.errors import ResultsError, printable
from ganbench.tables import noise_column, score_rules
from ganbench.terms import AXES

_UNITS: dict[str, tuple[str, float]] = {
    "kimg": ("kimg", 1.0),
    "mimg": ("kimg", 1000.0),
    "step": ("steps", 1.0),
    "steps": ("steps", 1.0),
    "s": ("device_seconds", 1.0),
    "min": ("device_seconds", 60.0),
    "h": ("device_seconds", 3600.0),
    "pf": ("petaflops", 1.0),
    "tf": ("petaflops", 1e-3),
    "gf": ("petaflops", 1e-6),
}
_WRITTEN = {"kimg": "kimg", "steps": "steps", "device_seconds": "device s", "petaflops": "PFLOP"}
NAMED = 4
"""The most variants that are named as left out."""

_EXAMPLES = "100kimg, 5000steps, 30s or 2PF"


@dataclass(frozen=True)
class Cut:
    """A budget, on one axis, at which results are looked at: more than 0."""

    axis: str
    value: float

    def __str__(self) -> str:
        return f"{self.value:g} {_WRITTEN[self.axis]}"


def parse_cut(text: str) -> Cut:
    """`100kimg`, `5000steps`, `30s` (of the device) or `2PF` as a cut; also min, h, TF and GF.

    Raises ResultsError for anything else.
    """
    parsed = re.fullmatch(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|\.[0-9]+)\s*([a-z]+)\s*", text.lower())
    if not parsed:
        raise ResultsError(f"'{text}' is no budget; expected a number with its unit, such as {_EXAMPLES}")
    number, unit = float(parsed[1]), parsed[2]
    if unit not in _UNITS:
        raise ResultsError(f"'{text}': no unit '{unit}'. Known: {', '.join(sorted(_UNITS))}; such as {_EXAMPLES}")
    axis, factor = _UNITS[unit]
    if not 0 < number * factor < math.inf:
        raise ResultsError(f"'{text}': a budget is above 0 and finite")
    return Cut(axis, number * factor)


@dataclass(frozen=True)
class Reach:
    """How many of the trials were read off between two points of their curves, and how many could not be read.

    `variants` are those that were left out, each with its data set.
    """

    trials: int
    between: int
    left_out: int
    variants: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = [f"{self.between} of {self.trials} trials are read off between two recorded points"]
        if self.left_out:
            are = "is" if self.left_out == 1 else "are"
            more = f" and {len(self.variants) - NAMED} more" if len(self.variants) > NAMED else ""
            names = f": {', '.join(self.variants[:NAMED])}{more}" if self.variants else ""
            told.append(f"{self.left_out} {are} left out and not ranked, for not every seed is recorded there{names}")
        return "; ".join(told)


def cut(table: pd.DataFrame, curves: pd.DataFrame, at: Cut) -> tuple[pd.DataFrame, Reach]:
    """The table as if every trial's budget had been `at`, and how much of that was read off between points.

    Takes what `load_results` and `load_curves` gave of the same results; gives a table that `board` takes. A score
    between two recorded points lies on the straight line over the logarithm of the budget, a score that is averaged
    geometrically by its own logarithm. Nothing is told before a trial's first point and after its last one, and a
    variant of which one seed is not recorded there is left out with all its seeds: those that are would be no fair
    choice. A trial that had failed by then is a failure, one that failed later is not. What else must be equal to be
    compared stays so, and where the cut is in device time, device and driver too. Scores have no noise of their own
    between points. References and what was evaluated stay as they are.
    """
    plain = table.assign(path=table["path"])
    plain.attrs = {}  # pandas copies them at every step
    trials = plain["kind"] == "trial"
    failed = trials & (plain["status"] != "ok") & ~(plain[at.axis].astype(float) > at.value)
    renamed = _renamed(plain, at)
    around = _around(renamed[trials & ~failed], curves, at)
    lost = around.rows[~around.inside].index
    alike = renamed.groupby(["protocol", "variant", "recipe"]).ngroup()
    left_out = trials & alike.isin(alike[lost])
    read, between = _read(around, score_rules(table), at)
    kept = pd.concat([renamed[~trials], renamed[failed & ~left_out], read[~left_out[read.index]]]).sort_index()
    kept.attrs = table.attrs
    names = plain.loc[left_out, "dataset"] + " " + plain.loc[left_out, "variant"]
    told = tuple(printable(" ".join(name.split())) for name in dict.fromkeys(names))
    return kept, Reach(int(trials.sum()), int(between[~left_out[read.index]].sum()), int(left_out.sum()), told)


class _Around(NamedTuple):
    """For each of the rows the last point of its curve at or before the cut, and the first at or after it."""

    rows: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame
    inside: np.ndarray[Any, np.dtype[np.bool_]]


def _around(rows: pd.DataFrame, curves: pd.DataFrame, at: Cut) -> _Around:
    by = ["suite", "key"]
    known = curves[curves[at.axis].notna()]
    wanted = pd.MultiIndex.from_frame(rows[by])
    ordered = known.sort_values(at.axis, kind="stable")
    before = ordered[ordered[at.axis] <= at.value].drop_duplicates(by, keep="last").set_index(by).reindex(wanted)
    after = ordered[ordered[at.axis] >= at.value].drop_duplicates(by, keep="first").set_index(by).reindex(wanted)
    return _Around(rows, before, after, (before[at.axis].notna() & after[at.axis].notna()).to_numpy())


def _read(around: _Around, scores: Mapping[str, Any], at: Cut) -> tuple[pd.DataFrame, pd.Series[bool]]:
    """The rows that were recorded around the cut, with what they were there, and which lie between two points."""
    found, before, after = (part[around.inside] for part in (around.rows, around.before, around.after))
    low, high = (end[at.axis].to_numpy(dtype=float) for end in (before, after))
    exact = low == high
    with np.errstate(divide="ignore", invalid="ignore"):
        linear = np.where(exact, 0.0, (at.value - low) / (high - low))
        curved = np.where(exact, 0.0, np.log(at.value / low) / np.log(high / low))
    share = np.where(np.isfinite(curved), curved, linear)  # a point at 0 has no logarithm
    changed: dict[str, Any] = {"status": "ok", "message": "", "failed_step": pd.NA}
    for axis in AXES:
        changed[axis] = _between(before[axis], after[axis], linear, geometric=False)
        changed[f"overshoot_{axis}"] = np.nan
    changed["steps"] = pd.array(np.round(changed["steps"]), dtype="Int64")
    for name, rule in scores.items():
        geometric = rule["mean"] == "geometric"
        changed[name] = _between(before[name], after[name], share, geometric=geometric) if name in before else np.nan
        if noise_column(name) in found:
            changed[noise_column(name)] = np.nan
    return found.assign(**changed).astype(found.dtypes), pd.Series(~exact, index=found.index)


def _between(before: pd.Series[Any], after: pd.Series[Any], share: Any, *, geometric: bool) -> Any:
    """The values `share` of the way from one to the other; what was recorded there where the share is 0."""
    low, high = before.to_numpy(dtype=float), after.to_numpy(dtype=float)
    straight = np.where(share == 0, low, low + share * (high - low))
    if not geometric:
        return straight
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        curved = low * (high / low) ** share
    return np.where((share != 0) & (low > 0) & (high > 0), curved, straight)


def _renamed(table: pd.DataFrame, at: Cut) -> pd.DataFrame:
    """The trials under the budget that they were cut at: of another protocol, and of one for each device where device
    time is the budget.
    """
    trials = (table["kind"] == "trial").to_numpy()
    told = table.loc[trials, ["protocol", "budget", "conditions", "device", "driver"]].astype(object)
    if at.axis == "device_seconds":
        where = "device " + told["device"] + " · driver " + told["driver"]
        known = told["conditions"].str.contains("device ", regex=False)
        joined = (told["conditions"] + " · " + where).str.removeprefix(" · ")
        told["conditions"] = told["conditions"].where(known, joined)
    made = {
        key: hashlib.sha256("\n".join((*key, str(at))).encode()).hexdigest()[:8]
        for key in set(zip(told["protocol"], told["conditions"], strict=True))
    }
    hashes = [made[key] for key in zip(told["protocol"], told["conditions"], strict=True)]
    renamed = table.copy()
    renamed.loc[trials, "protocol"] = hashes
    renamed.loc[trials, "budget"] = (f"{at} (cut from " + told["budget"] + ")").to_list()
    renamed.loc[trials, "conditions"] = told["conditions"].to_list()
    return renamed
