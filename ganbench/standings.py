"""The words of a board: short names for its variants, and what a ranking says in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from ganbench.statistics import ENOUGH_SEEDS
from ganbench.views import format_number, one_line

PARTS = ("generator", "discriminator", "loss")
REFERENCE_NAMES = {"real_floor": "real data", "perfect": "perfect sampler", "noise": "noise"}
EVALUATED_ONLY = "evaluated only"


def rankings(board: pd.DataFrame) -> list[pd.DataFrame]:
    """The board's rankings, one dataset and protocol each, in the board's order."""
    return [rows.reset_index(drop=True) for _, rows in board.groupby(["dataset", "protocol"], sort=False)]


def trials_of(ranking: pd.DataFrame) -> pd.DataFrame:
    """The ranked rows of `ranking`, without its references and what was only evaluated."""
    return ranking[ranking["kind"] == "trial"]


def times_compare(table: pd.DataFrame, ranking: pd.DataFrame) -> bool:
    """Whether all trials of `ranking` ran on one device and took steps in one way, so that their times compare."""
    runs = table[(table["kind"] == "trial") & (table["protocol"] == ranking["protocol"].iloc[0])]
    return len(runs[["device", "driver"]].drop_duplicates()) <= 1


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of `frame` as dictionaries, by column."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def labels(ranking: pd.DataFrame) -> list[str]:
    """A short name for each row: what tells it from the others, and the recipe's hash where nothing else does."""
    trials = trials_of(ranking)
    parts = [name for name in PARTS if trials[name].nunique() > 1] or ["loss"]
    shared = ranking.duplicated(["kind", "variant"], keep=False)
    return [_label(row, parts, ambiguous) for row, ambiguous in zip(records(ranking), shared, strict=True)]


def named(ranking: pd.DataFrame) -> pd.DataFrame:
    """`ranking` with three more columns: `label`, `place` (0 for the best variant, -1 for the unranked) and `leads`."""
    trial = (ranking["kind"] == "trial").astype("int64")
    place = (trial.cumsum() * trial - 1).astype("int64")
    return ranking.assign(label=labels(ranking), place=place, leads=ranking.index.isin(leading_group(ranking)))


def _label(row: dict[str, Any], parts: list[str], ambiguous: bool) -> str:
    if row["kind"] == "reference":
        return REFERENCE_NAMES.get(str(row["variant"]), str(row["variant"]))
    if row["kind"] == "evaluated":
        own = f" [{row['recipe']}]" if ambiguous else ""
        return f"{one_line(row['variant'])}{own} ({EVALUATED_ONLY})"
    alike = row["generator"] == row["discriminator"] and "discriminator" in parts
    told = [part for part in parts if not (alike and part == "generator")]  # both players of one kind: said once
    name = one_line(" / ".join(row[part] for part in told))
    return f"{name} [{row['recipe']}]" if ambiguous else name


def shared_parts(ranking: pd.DataFrame) -> dict[str, str]:
    """The parts that every variant of `ranking` has in common, so that no row needs to repeat them."""
    trials = trials_of(ranking)
    common = (name for name in PARTS if trials[name].nunique() == 1)
    return {name: one_line(trials[name].iloc[0]) for name in common}


def protocol_line(ranking: pd.DataFrame) -> str:
    """What all rows share: the budget and its conditions, the parts that do not vary, the protocol's hash."""
    parts = [f"{name} {choice}" for name, choice in shared_parts(ranking).items()]
    seeds = f"seeds {seed_count(ranking)}{_few(ranking)}"
    trained = [] if trials_of(ranking).empty else [ranking["budget"].iloc[0], seeds]
    conditions = one_line(ranking["conditions"].iloc[0])
    told = [*trained, conditions, *parts, f"protocol {ranking['protocol'].iloc[0]}"]
    return " · ".join(part for part in told if part)


def _few(ranking: pd.DataFrame) -> str:
    """What is said beside the number of seeds where it is small."""
    provisional = trials_of(ranking)["provisional"].astype(bool)
    if not provisional.any():
        return ""
    return " (provisional)" if provisional.all() else f" (fewer than {ENOUGH_SEEDS}: provisional)"


def seed_count(ranking: pd.DataFrame) -> str:
    """`3`, or `1–3` where some variants were tried with fewer seeds; nothing where nothing was trained."""
    attempted = trials_of(ranking)["attempted"]
    if attempted.empty:
        return ""
    low, high = attempted.min(), attempted.max()
    return f"{low}" if low == high else f"{low}–{high}"


def secondary_scores(ranking: pd.DataFrame) -> list[str]:
    """The scores of `ranking` other than the one that ranks."""
    medians = [name for name in ranking.columns if name.startswith("median_") and ranking[name].notna().any()]
    return [score for name in medians if (score := name.removeprefix("median_")) != ranking["score"].iloc[0]]


def score_text(mean: float, low: float, high: float) -> str:
    """`3.11 [2.68, 3.60]`, or the mean alone where there is no interval."""
    interval = "" if math.isnan(low) else f" [{format_number(low)}, {format_number(high)}]"
    return f"{format_number(mean)}{interval}"


def conditional_note(ranking: pd.DataFrame) -> str:
    """What a mean in parentheses is, where `ranking` has one; else nothing."""
    trials = trials_of(ranking)
    if not ((trials["ok"] < trials["attempted"]) & (trials["ok"] > 0)).any():
        return ""
    return "In parentheses: the mean of the seeds that finished, where others failed."


def mean_text(row: Mapping[str, Any]) -> str:
    """The mean of a row of a board; in parentheses where it is that of some of its seeds only."""
    told = format_number(row["mean"])
    return f"({told})" if row["kind"] == "trial" and 0 < row["ok"] < row["attempted"] else told


def lead_sentence(ranking: pd.DataFrame) -> str:
    """What the ranking says, and no more than it says, in a sentence or two."""
    names, trials = labels(ranking), trials_of(ranking)
    if trials.empty:
        return _evaluated_sentence(ranking)
    score, direction = one_line(ranking["score"].iloc[0]), ranking["direction"].iloc[0]
    complete = _complete(trials)
    after = f"After {ranking['budget'].iloc[0]}"
    if complete.empty:
        return f"{after}, no variant has a score for every one of its seeds, so none leads."
    leader = complete.index[0]
    best = _score_of(ranking.loc[leader])
    if _no_better_than_noise(complete):
        noise = f"that of noise {format_number(ranking['noise'].iloc[0])} ({direction} is better)"
        return f"{after}, no variant is better than noise: the best {score} is {best}, {noise}."
    equals = int((complete["mean"] == complete["mean"].iloc[0]).sum())
    if equals > 1:
        return f"{after}, {equals} variants share the best {score}: {best} ({direction} is better)."
    said = f"{after}, {names[leader]} has the best {score}: {best} ({direction} is better)."
    if len(trials) == 1:
        return said
    if complete["low"].isna().any():
        return f"{said} Some variants ran one seed only, and one seed cannot tell them apart."
    tied = [names[i] for i in leading_group(ranking) if i != leader]
    if not tied:
        return f"{said} It is separated from every other variant."
    return f"{said} These seeds do not separate it from {_enumerated(tied)}."


def verdict(ranking: pd.DataFrame) -> str:
    """The ranking in a few words: who leads, or that nobody does; nothing where nothing was trained."""
    names, trials = labels(ranking), trials_of(ranking)
    if trials.empty:
        return ""
    complete = _complete(trials)
    if complete.empty:
        return "no variant finished every seed"
    leader, leading = complete.index[0], len(leading_group(ranking))
    best = f"{names[leader]}, {_score_of(ranking.loc[leader])}"
    if _no_better_than_noise(complete):
        return f"none is better than noise; best mean: {best}"
    if len(trials) == 1:
        return best
    if complete["low"].isna().any():
        return f"one seed tells no variants apart; best: {best}"
    return f"best: {best}" if leading == 1 else f"no clear winner, {leading} of {len(trials)} tie; best mean: {best}"


def _score_of(row: pd.Series[Any]) -> str:
    """The score of a row with its interval."""
    return score_text(*(float(row[name]) for name in ("mean", "low", "high")))


def _no_better_than_noise(complete: pd.DataFrame) -> bool:
    """Whether the best mean is no better than the score of noise, where that is known."""
    best, noise, direction = (complete[name].iloc[0] for name in ("mean", "noise", "direction"))
    return bool(best >= noise if direction == "lower" else best <= noise)


def _evaluated_sentence(ranking: pd.DataFrame) -> str:
    """What there is to say where nothing was trained: no budget and no seeds, so nothing to rank by."""
    said = "Nothing was trained here: these were evaluated only, so they are not ranked."
    known = ranking[(ranking["kind"] == "evaluated") & ranking["mean"].notna()]
    if known.empty:
        return said
    best, score, direction = known.iloc[0], one_line(ranking["score"].iloc[0]), ranking["direction"].iloc[0]
    noise = "" if math.isnan(best["metric_noise"]) else f" ± {format_number(best['metric_noise'])}"
    value = f"{format_number(best['mean'])}{noise} ({direction} is better)"
    return f"{said} The best {score} is that of {one_line(best['variant'])}: {value}."


def has_metric_noise(ranking: pd.DataFrame) -> bool:
    """Whether the score that ranks has a deviation of its own."""
    return bool(ranking["metric_noise"].notna().any())


def leading_group(ranking: pd.DataFrame) -> list[Any]:
    """The index of the variants that no other is known to beat, the best first; empty if every one failed."""
    complete = _complete(trials_of(ranking))
    return list(complete.index[complete["rank_low"] == 1])


def _complete(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[(trials["ok"] == trials["attempted"]) & (trials["ok"] > 0)]


def _enumerated(names: list[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
