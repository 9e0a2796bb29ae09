"""What each part of a GAN does to the score, averaged over what it was combined with, and which parts interact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from ganbench.factorial import TINY, CellMeans, Fit, Interaction, Reals, Wholes, cell_means, fit_levels, interact
from ganbench.multiplicity import holm
from ganbench.parts import JOINT, Factors, factors_of
from ganbench.seedruns import VARIANT_KEY, seed_runs
from ganbench.statistics import CONFIDENCE
from ganbench.tables import REAL, TEXT, WHOLE, Column
from ganbench.views import one_line

Scale = Literal["ratio", "difference"]

LEVEL = 1 - CONFIDENCE
MOST_LEVELS = 300
"""Levels of all factors together beyond which nothing is fitted."""
MOST_PAIRS = 400
"""Cells of two factors beyond which their interaction is not tested."""
TOLD = 5
"""Names that a note gives before it counts the rest."""

_EFFECT = "times the average of all levels where `scale` is ratio, else the difference from it"

LEVEL_COLUMNS: dict[str, Column] = {
    "factor": Column(TEXT, "generator, discriminator, loss, penalty (all that is added to the loss) or training"),
    "level": Column(TEXT, "the part, as the board writes it"),
    "effect": Column(REAL, _EFFECT),
    "low": Column(REAL, "lower end of its 95 % interval; missing where no seeds are left to tell"),
    "high": Column(REAL, "upper end of its 95 % interval"),
    "p": Column(REAL, "p-value of no effect, by Holm's correction for all rows"),
    "variants": Column(WHOLE, "variants that take part", "variants"),
    "ok": Column(WHOLE, "trials with this part that have a score", "trials"),
    "attempted": Column(WHOLE, "trials with this part", "trials"),
}
TEST_COLUMNS: dict[str, Column] = {
    "factor": LEVEL_COLUMNS["factor"],
    "other": Column(TEXT, "another factor"),
    "p": Column(REAL, "p-value of no interaction, by Holm's correction for all rows; missing where not tested"),
}
INTERACTION_COLUMNS: dict[str, Column] = {
    "factor": LEVEL_COLUMNS["factor"],
    "level": LEVEL_COLUMNS["level"],
    "other": Column(TEXT, "another factor"),
    "other_level": Column(TEXT, "its level"),
    "effect": Column(REAL, "beyond what the parts add up to: a ratio or a difference, as `scale` says"),
    "low": LEVEL_COLUMNS["low"],
    "high": LEVEL_COLUMNS["high"],
    "variants": Column(WHOLE, "variants with both parts", "variants"),
}


@dataclass(frozen=True)
class Effects:
    """What the parts of the variants of one ranking do; the tables are empty where `reason` says why.

    `levels`, `tests` and `interactions` have the columns of `LEVEL_COLUMNS`, `TEST_COLUMNS` and `INTERACTION_COLUMNS`;
    the best level of each factor comes first, and `interactions` holds the cells of those pairs of factors whose
    corrected p-value is 0.05 or less. `freedom` is the degrees of freedom of the seeds' variance; `paired` says whether
    the seed was a block. `notes` are sentences that a reader of the numbers must know.
    """

    score: str
    direction: str
    scale: Scale
    levels: pd.DataFrame
    tests: pd.DataFrame
    interactions: pd.DataFrame
    freedom: int
    paired: bool
    notes: tuple[str, ...]
    reason: str = ""


def effects(table: pd.DataFrame, ranking: pd.DataFrame) -> Effects:
    """The effects of the parts on the score that ranks `ranking`, which is one ranking of a board of `table`."""
    runs, first = seed_runs(table, ranking), ranking.iloc[0]
    scale: Scale = "ratio" if first["mean_rule"] == "geometric" else "difference"
    about = (str(first["score"]), str(first["direction"]), scale)
    variants = runs.drop_duplicates(VARIANT_KEY).reset_index(drop=True)
    runs = runs.assign(cell=runs.groupby(VARIANT_KEY, sort=False).ngroup())
    finished = runs.groupby("cell")["value"].count().to_numpy() > 0
    if not finished.any():
        return _nothing(*about, "No trial has a score.")
    factors = factors_of(variants, finished)
    if reason := _why_nothing(factors):
        return _nothing(*about, reason)
    model = _model(runs, factors, scale)
    levels, (tests, cells) = _levels(model, runs), _interactions(model)
    return Effects(
        *about,
        _shown(levels, first["direction"] == "lower"),
        tests,
        cells,
        model.means.freedom,
        model.means.blocked,
        tuple(_notes(model, levels, tests, runs, variants["variant"][finished & ~factors.used])),
    )


@dataclass(frozen=True)
class _Model:
    """Cells that take part, what was fitted to them, and how it reads: effects come in `unit`s of the fitted scale."""

    factors: Factors
    levels: tuple[tuple[str, ...], ...]
    codes: Wholes
    means: CellMeans
    fit: Fit
    scale: Scale
    unit: float

    @property
    def names(self) -> list[str]:
        return list(self.factors.columns)

    def read(self, combinations: Reals) -> tuple[Reals, Reals, Reals, Reals]:
        """Linear combinations of cell means, (m, C), with the ends of their intervals and their p-values: (m,) each."""
        values, means = combinations @ self.means.means, self.means
        errors = np.sqrt(means.variances(combinations) * means.variance)
        margin = stats.t.ppf(1 - LEVEL / 2, means.freedom) * errors if means.freedom > 0 else errors
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            p = 2 * stats.t.sf(np.abs(values) / errors, means.freedom) if means.freedom > 0 else errors
            p = np.where(np.isfinite(values) & (errors == 0) & (np.abs(values) < TINY), 1.0, p)
            ends = (values * self.unit, (values - margin) * self.unit, (values + margin) * self.unit)
            value, low, high = map(np.exp, ends) if self.scale == "ratio" else ends
        return value, low, high, p


def _model(runs: pd.DataFrame, factors: Factors, scale: Scale) -> _Model:
    taking_part = factors.used[runs["cell"]]
    good = runs[taking_part & runs["value"].notna()]
    values = np.log(good["value"].to_numpy()) if scale == "ratio" else good["value"].to_numpy()
    unit = float(np.abs(values).max()) or 1.0
    scaled = values / unit
    seeds = runs[taking_part].groupby("cell")["seed"].agg(frozenset)
    paired = seeds.nunique() == 1 and good["seed"].nunique() > 1
    cells, blocks = (np.unique(good[name].to_numpy(np.int64), return_inverse=True)[1] for name in ("cell", "seed"))
    coded = [pd.factorize(column[factors.used], sort=True) for column in factors.columns.values()]
    codes = np.stack([code for code, _ in coded], axis=1)
    levels = tuple(tuple(map(str, names)) for _, names in coded)
    means = cell_means(scaled - scaled.mean(), cells, blocks if paired else None)
    return _Model(factors, levels, codes, means, fit_levels(codes, [len(names) for names in levels]), scale, unit)


def _levels(model: _Model, runs: pd.DataFrame) -> pd.DataFrame:
    """Every level that takes part, its effect missing where it cannot be estimated."""
    rows: list[dict[str, Any]] = []
    for number, (factor, names) in enumerate(zip(model.names, model.levels, strict=True)):
        own = model.factors.columns[factor][runs["cell"]]
        counts = runs["value"].groupby(own).agg(["count", "size"])
        variants = np.bincount(model.codes[:, number])
        for name, count in zip(names, variants, strict=True):
            ok, attempted = counts.loc[name]
            rows.append({"factor": factor, "level": name, "variants": count, "ok": ok, "attempted": attempted})
    value, low, high, p = model.read(model.fit.effects)
    return _typed(pd.DataFrame(rows).assign(effect=value, low=low, high=high, p=holm(p)), LEVEL_COLUMNS)


def _shown(levels: pd.DataFrame, lower: bool) -> pd.DataFrame:
    """The levels that could be estimated, factor by factor, the best first."""
    known = levels.dropna(subset="effect")
    factor = pd.factorize(known["factor"])[0]
    return known.iloc[np.lexsort((known["effect"] if lower else -known["effect"], factor))].reset_index(drop=True)


def _interactions(model: _Model) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The test of each pair of factors, and the cells of those that interact by more than noise."""
    pairs = list(combinations(range(len(model.names)), 2))
    found = [_interaction(model, *pair) for pair in pairs]
    corrected = holm(np.array([interaction.p if interaction else np.nan for interaction in found], dtype=np.float64))
    tests = [
        {"factor": model.names[one], "other": model.names[other], "p": p}
        for (one, other), p in zip(pairs, corrected, strict=True)
    ]
    cells = [
        row
        for pair, interaction, p in zip(pairs, found, corrected, strict=True)
        if interaction and p <= LEVEL
        for row in _cells(model, pair, interaction)
    ]
    columns = list(TEST_COLUMNS), list(INTERACTION_COLUMNS)
    return (
        _typed(pd.DataFrame(tests, columns=columns[0]), TEST_COLUMNS),
        _typed(pd.DataFrame(cells, columns=columns[1]), INTERACTION_COLUMNS),
    )


def _interaction(model: _Model, one: int, other: int) -> Interaction | None:
    size = len(np.unique(model.codes[:, [one, other]], axis=0))
    return interact(model.means, model.fit, model.codes[:, one], model.codes[:, other]) if size <= MOST_PAIRS else None


def _cells(model: _Model, pair: tuple[int, int], interaction: Interaction) -> Iterator[dict[str, Any]]:
    one, other = pair
    codes = model.codes[:, pair]
    for first, second, value, low, high in zip(
        interaction.first, interaction.second, *model.read(interaction.combinations)[:3], strict=True
    ):
        yield {
            "factor": model.names[one], "level": model.levels[one][first],
            "other": model.names[other], "other_level": model.levels[other][second],
            "effect": value, "low": low, "high": high, "variants": int((codes == (first, second)).all(axis=1).sum()),
        }  # fmt: skip


def _notes(
    model: _Model, levels: pd.DataFrame, tests: pd.DataFrame, runs: pd.DataFrame, aside: Iterable[str]
) -> Iterator[str]:
    """What a reader of the numbers must know."""
    for name in (name for name in model.names if JOINT in name):
        yield f"Taken as one, as they do not vary apart here: {name.replace(JOINT, ' and ')}."
    if names := list(aside):
        yield f"Left out, as their parts do not mix with those of the other variants: {_enumerated(names)}."
    if failed := int(runs["value"].isna().sum()):
        yield f"{failed} of {len(runs)} trials failed; the effects are on those that did not."
    finished = runs.groupby("cell")["value"].count().to_numpy() > 0
    for factor, column in model.factors.columns.items():
        if lost := sorted(set(column[~finished]) - set(column[finished])):
            yield f"Not shown, as every trial with it failed: {factor} {_enumerated(lost)}."
    unknown = levels[levels["effect"].isna()]
    if len(unknown):
        names = [f"{row.factor} {row.level}" for row in unknown.itertuples()]
        yield f"Not shown, as these combinations do not tell it from other parts: {_enumerated(names)}."
    if model.means.freedom <= 0:
        yield "No intervals: after the means of the variants are taken out, no seed is left to tell how seeds vary."
    if len(tests) and tests["p"].isna().any() and model.means.freedom > 0:
        names = [f"{row.factor} with {row.other}" for row in tests[tests["p"].isna()].itertuples()]
        yield f"Interactions that were not tested, for want or for excess of combinations: {_enumerated(names)}."


def _enumerated(names: list[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return f"{', '.join(map(one_line, names[:TOLD]))}{more}"


def _why_nothing(factors: Factors) -> str:
    if not factors.columns:
        return "The variants that finished do not differ in any part."
    levels = sum(len(set(column[factors.used])) for column in factors.columns.values())
    if levels > MOST_LEVELS:
        return f"The parts have {levels} levels, more than the {MOST_LEVELS} that are fitted."
    return ""


def _nothing(score: str, direction: str, scale: Scale, reason: str) -> Effects:
    levels, tests, cells = (
        _typed(pd.DataFrame(columns=[*columns]), columns)
        for columns in (LEVEL_COLUMNS, TEST_COLUMNS, INTERACTION_COLUMNS)
    )
    return Effects(score, direction, scale, levels, tests, cells, freedom=0, paired=False, notes=(), reason=reason)


def _typed(rows: pd.DataFrame, columns: dict[str, Column]) -> pd.DataFrame:
    return rows[[*columns]].astype({name: column.dtype for name, column in columns.items()})
