"""What a page tells of a variant and of a trial: pictures, curves, costs, and how to do it again."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ganbench.albums import Picture, frames, is_inside, read_picture, thinned
from ganbench.amounts import cost_words, medians, noise_without_dust, told_cost, told_number
from ganbench.bindings import Binding, Cells, Reference
from ganbench.errors import ResultsError
from ganbench.portrait_files import INTERPOLATIONS, NEIGHBOURS, PORTRAIT, read_portrait
from ganbench.retelling import command_of, shown, told_environment, told_log, told_parts
from ganbench.standings import named, rankings, records, trials_of
from ganbench.store import Attempt
from ganbench.tables import COLUMNS, COSTS, noise_column
from ganbench.terms import AXES, Trial
from ganbench.views import one_line

Rules = Mapping[str, Mapping[str, str]]
"""Each score's direction and mean, by its column."""

KEY = re.compile(r"[0-9a-f]{64}")
MOST_POINTS = 60
"""Points of a curve: of more, as many are drawn, evenly spaced."""

LONGEST_MESSAGE = 1_000
SECTION_WORDS = ("dataset", "budget", "score", "direction")
SHOWN_COSTS = tuple(name for name in COSTS if name not in ("device", "device_kind"))
COMPARED_COSTS = (
    "generator_parameters", "discriminator_parameters", "flops_per_step", "steps", "images_per_second",
    "peak_memory_bytes",
)  # fmt: skip
"""What a variant's page tells, as medians over its seeds."""


@dataclass(frozen=True)
class Variant:
    """A variant of a ranking, the `place`th of section `section`, and the table's rows of its trials."""

    section: int
    place: int
    row: Cells
    runs: list[Cells]

    @property
    def id(self) -> str:
        """What the page calls it in its fragment."""
        return f"{self.section}-{self.place}"


@dataclass
class Dossier:
    """What is told of one trial."""

    variant: Variant
    run: Cells
    entry: Cells = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The attempt's."""
        return Path(self.run["path"])


@dataclass(frozen=True)
class Details:
    """What the page's script reads, and which variants and which trials have a page."""

    payload: Cells
    variants: frozenset[str]
    trials: frozenset[str]


def variants_of(board: pd.DataFrame, table: pd.DataFrame) -> list[Variant]:
    """Every variant of every ranking, in the order of the sections; a trial that lies in several suites counts once."""
    plain = table.assign()
    plain.attrs = {}  # pandas copies them for every row that is taken
    plain = plain.assign(**noise_without_dust(table))
    trials = plain[(plain["kind"] == "trial") & plain["key"].str.fullmatch(KEY.pattern)]
    newest = trials.sort_values("finished_at", kind="stable").drop_duplicates("key", keep="last")
    runs: dict[tuple[Any, ...], list[Cells]] = {}
    for run in records(newest.sort_values("seed", kind="stable")):
        runs.setdefault((run["protocol"], run["variant"], run["recipe"]), []).append(run)
    return [
        Variant(section, row["place"], row, found)
        for section, ranking in enumerate(rankings(board))
        for row in records(trials_of(named(ranking)))
        if (found := runs.get((row["protocol"], row["variant"], row["recipe"])))
    ]


def gather(
    variants: Sequence[Variant], sections: Sequence[Cells], table: pd.DataFrame, curves: pd.DataFrame, binding: Binding
) -> Details:
    """The details of as many trials as `binding` has room for, the best variants' and the failed ones first.

    `sections` has for each ranking what the page calls its `dataset`, `budget` and `score`.
    """
    chosen = choose(variants, binding.most_trials)
    rules = table.attrs["scores"]
    points = _curves_by_trial(curves, {(dossier.run["suite"], dossier.run["key"]) for dossier in chosen})
    kept = []
    for dossier in chosen:
        dossier.entry = _entry(dossier, rules, points.get((dossier.run["suite"], dossier.run["key"])), binding)
        if not binding.fits(dossier.entry):
            break
        kept.append(dossier)
    for fill in _PICTURES:
        for dossier in kept:
            fill(dossier, binding)
    trials = {dossier.run["key"]: dossier.entry for dossier in kept}
    described = {dossier.variant.id: dossier.variant for dossier in kept}
    told = {name: _variant_entry(variant, trials, binding) for name, variant in sorted(described.items())}
    shared = {
        "sections": [{name: section[name] for name in SECTION_WORDS} for section in sections],
        "meanings": {name: [cost_words(name), COLUMNS[name].meaning] for name in (*AXES, *SHOWN_COSTS)},
        "told": len(trials),
        "of": sum(len(variant.runs) for variant in variants),
    }
    return Details(shared | binding.details(trials, told), frozenset(told), frozenset(trials))


def choose(variants: Sequence[Variant], most: int) -> list[Dossier]:
    """At most `most` trials: those of the best variants for half of the room, then the failed ones, then the others.

    They are in that order; variants of several sections take turns.
    """
    ranked = sorted(variants, key=lambda variant: (variant.place, variant.section))
    everyone = [Dossier(variant, run) for variant in ranked for run in variant.runs]
    if len(everyone) <= most:
        return everyone
    best, rest = everyone[: most // 2], everyone[most // 2 :]
    failed, others = ([each for each in rest if (each.run["status"] != "ok") == bad] for bad in (True, False))
    return [*best, *failed, *others][:most]


def _variant_entry(variant: Variant, trials: Cells, binding: Binding) -> Cells:
    row = variant.row
    first = next(trials[run["key"]] for run in variant.runs if run["key"] in trials)
    return {
        "section": variant.section,
        "label": row["label"],
        "variant": shown(one_line(row["variant"])),
        "rank": row["rank"],
        "mean": told_number(row["mean"]),
        "interval": [told_number(row["low"]), told_number(row["high"])] if not math.isnan(row["low"]) else None,
        "ok": row["ok"],
        "attempted": row["attempted"],
        "parts": first["parts"],
        "costs": _told_costs(medians(variant.runs, COMPARED_COSTS), binding),
        "trials": [_line(run, row["score"], trials.get(run["key"])) for run in variant.runs],
    }


def _told_costs(costs: Mapping[str, float], binding: Binding) -> list[Any]:
    """The names of the costs with their units, which many trials share, and their numbers."""
    told = {name: told_cost(name, value) for name, value in costs.items()}
    units = [[name, unit] for name, (_, unit) in told.items()]
    return [binding.text(json.dumps(units)), [number for number, _ in told.values()]]


def _line(run: Cells, score: str, entry: Cells | None) -> Cells:
    """A trial in its variant's table."""
    film = entry.get("film") if entry else None
    return {
        "key": run["key"],
        "seed": _whole(run["seed"]),
        "status": run["status"],
        "score": told_number(run.get(score, math.nan)),
        "noise": _noise(run, score),
        "kimg": told_number(run["kimg"]),
        "seconds": told_number(run["device_seconds"]),
        "told": entry is not None,
        "picture": [film[-1][0], *entry["size"]] if entry and film else None,
    }


def _entry(dossier: Dossier, rules: Rules, curve: pd.DataFrame | None, binding: Binding) -> Cells:
    """All of a trial but its pictures."""
    run, attempt = dossier.run, Attempt(dossier.folder)
    job, record, environment = attempt.job(), attempt.record(), attempt.environment()
    assert isinstance(job, Trial)
    failed = record.status != "ok"
    measured = [name for name in rules if not _missing(run[name])]
    scores = binding.text(json.dumps([[one_line(name), rules[name]["direction"]] for name in measured]))
    costs = {name: float(run[name]) for name in (*AXES, *SHOWN_COSTS) if not _missing(run[name])}
    return {
        "variant": dossier.variant.id,
        "label": dossier.variant.row["label"],
        "section": dossier.variant.section,
        "seed": job.seed,
        "attempt": int(run["attempt"]),
        "suite": one_line(run["suite"]),
        "status": record.status,
        "message": shown(one_line(record.message[:LONGEST_MESSAGE])),
        "step": record.failed_step,
        "finished": "" if _missing(run["finished_at"]) else f"{run['finished_at']:%Y-%m-%d %H:%M} UTC",
        "scores": [scores, [[told_number(run[name]), _noise(run, name)] for name in measured]],
        "costs": _told_costs(costs, binding),
        "environment": binding.text(told_environment(environment)) if environment else None,
        "parts": [[name, binding.text(text)] for name, text in told_parts(job).items() if text],
        "command": command_of(run["suite"], run["key"], environment),
        "log": binding.text(told_log(record.log)) if failed and record.log else None,
        "axis": next(iter(job.budget.limits()), "steps"),
        "curve": _curve(curve, binding) if curve is not None else None,
    }


def _noise(run: Cells, score: str) -> str:
    noise = run.get(noise_column(score), math.nan)
    return "" if _missing(noise) else told_number(noise)


def _whole(value: Any) -> int | None:
    return None if _missing(value) else int(value)


def _missing(value: Any) -> bool:
    return bool(pd.isna(value))


def _curves_by_trial(curves: pd.DataFrame, wanted: Iterable[tuple[str, str]]) -> dict[tuple[Any, ...], pd.DataFrame]:
    places = curves.groupby(["suite", "key"], sort=False).indices
    numbers = curves.drop(columns=["suite", "key", "dataset", "variant", "seed"])
    return {key: numbers.iloc[places[key]] for key in wanted if key in places}


def _curve(points: pd.DataFrame, binding: Binding) -> list[Any]:
    """The names of the columns that have a number, and their numbers."""
    rows = thinned(list(range(len(points))), MOST_POINTS)
    numbers = points.iloc[rows].to_numpy(dtype="float64", na_value=math.nan)
    columns = {one_line(str(name)): list(map(_digits, numbers[:, i])) for i, name in enumerate(points.columns)}
    known = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    return [binding.text(json.dumps(list(known))), list(known.values())]


def _digits(value: float, digits: int = 4) -> float | None:
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _add_last_samples(dossier: Dossier, binding: Binding) -> None:
    film = _film(dossier, last=True)
    dossier.entry["film"] = _placed(film, binding)
    if film:
        dossier.entry["size"] = _size(film[-1][0])


def _add_film(dossier: Dossier, binding: Binding) -> None:
    film = _film(dossier)
    dossier.entry["film"] = placed = _placed(film, binding)
    dossier.entry["left_out"] = len(placed) < len(film)


def _film(dossier: Dossier, *, last: bool = False) -> list[tuple[Picture, int | None]]:
    found = frames(dossier.folder)[-1:] if last else frames(dossier.folder)
    read = ((read_picture(frame.path, dossier.folder), frame.step) for frame in found)
    return [(picture, step) for picture, step in read if picture]


def _placed(film: list[tuple[Picture, int | None]], binding: Binding) -> list[tuple[Reference, int | None]]:
    places = ((binding.picture(picture), step) for picture, step in film)
    return [(place, step) for place, step in places if place is not None]


def _size(picture: Picture) -> list[int]:
    return [picture.width, picture.height]


def _adder(file: str, name: str) -> Callable[[Dossier, Binding], None]:
    """What adds the picture in `file` to a dossier, as `name`."""

    def add(dossier: Dossier, binding: Binding) -> None:
        picture = read_picture(dossier.folder / file, dossier.folder)
        place = binding.picture(picture) if picture else None
        if picture and place is not None:
            dossier.entry[name] = [place, *_size(picture)]
        elif picture:
            dossier.entry["left_out"] = True

    return add


def _add_portrait(dossier: Dossier, binding: Binding) -> None:
    """The numbers of a portrait, each list as a text: those of the data are the same for many trials.

    That its pictures are of points is told even where those have no room.
    """
    if not is_inside(dossier.folder / PORTRAIT, dossier.folder):
        return
    try:
        portrait = read_portrait(dossier.folder)
    except ResultsError:  # the page is about more than this; 'results verify' tells of damage
        return
    if portrait and portrait.points:
        dossier.entry["of_points"] = True
    for name, part in vars(portrait).items() if portrait else ():
        told = {key: _packed(value) for key, value in vars(part).items()} if part else {}
        if told and binding.fits(told):
            dossier.entry[name] = {key: binding.text(text) for key, text in told.items()}


def _packed(value: Any) -> str:
    return json.dumps(_rounded(value), separators=(",", ":"))


def _rounded(value: Any) -> Any:
    if isinstance(value, str):
        return shown(one_line(value))
    return [_rounded(item) for item in value] if isinstance(value, tuple) else _digits(value, 3)


_PICTURES = (
    _add_last_samples,
    _add_film,
    _adder(INTERPOLATIONS, "interpolations"),
    _adder(NEIGHBOURS, "neighbours_picture"),
    _add_portrait,
)
"""What fills the room that there is for pictures, in the order of what a reader would miss most."""
