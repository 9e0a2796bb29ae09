"""What the HTML page shows, gathered for its template: strips of seeds, plots, samples, failures and protocols."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from ganbench.albums import frames, read_picture
from ganbench.bindings import Binding, OneFile
from ganbench.charts import COLOURS, javascript, plots
from ganbench.dossiers import gather, variants_of
from ganbench.quizzes import gather_quizzes
from ganbench.standings import (
    has_metric_noise,
    lead_sentence,
    named,
    rankings,
    records,
    secondary_scores,
    seed_count,
    shared_parts,
    trials_of,
)
from ganbench.views import format_number, one_line

SHOWN_PICTURES = 24
"""How many variants of a ranking have a picture, the best ones: a page of thousands would open for no one."""

OWN_CORE = 0.8
"""The share of a processor core below which a trial had to wait for other work."""

PICTURE_WIDTH = 216
LONGEST_MESSAGE = 1_000

Cells = dict[str, Any]


def render_page(
    table: pd.DataFrame,
    curves: pd.DataFrame,
    board: pd.DataFrame,
    title: str,
    meanings: Mapping[str, str],
    binding: Binding | None = None,
) -> str:
    """The page, complete in one string unless `binding` puts parts of it into files."""
    binding = binding or OneFile()
    environment = Environment(
        loader=PackageLoader("ganbench", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = format_number
    sections = [
        _section(index, ranking, table, curves, meanings, binding) for index, ranking in enumerate(rankings(board))
    ]
    drawn = any(section["plots"] for section in sections)
    variants = variants_of(board, table)
    details = gather(variants, sections, table, curves, binding)
    quizzes = gather_quizzes(variants, sections, table, binding)
    names = ["state.js", "leaderboard.js", "figures.js", "film.js", "details.js", "quiz.js"] if variants else []
    sources = {"library.js": javascript() if drawn else "", **{name: _source(environment, name) for name in names}}
    scripts = [Script(source, binding.script(name, source)) for name, source in sources.items() if source]
    return environment.get_template("leaderboard.html.j2").render(
        title=one_line(title),
        style=_source(environment, "leaderboard.css") + _source(environment, "details.css"),
        scripts=scripts,
        script_hashes=[_script_hash(script.source) for script in scripts if not script.address],
        filed=any(script.address for script in scripts),
        details=details,
        quizzes=quizzes,
        sections=sections,
        counts=_counts(table),
        failures_at=next((section["id"] for section in sections if section["failures"]), ""),
        environments=_environments(table),
    )


@dataclass(frozen=True)
class Script:
    """A script, and the address it is loaded from; empty if it stands in the page."""

    source: str
    address: str


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _script_hash(script: str) -> str:
    """What a Content-Security-Policy calls a script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _counts(table: pd.DataFrame) -> Cells:
    trials, evaluated = (table[table["kind"] == kind] for kind in ("trial", "evaluated"))
    finished = pd.concat([trials, evaluated])["finished_at"].max()
    return {
        "trials": len(trials),
        "evaluated": len(evaluated),
        "failed": int((trials["status"] != "ok").sum()),
        "versions": ", ".join(sorted(set(table["ganbench"]) - {""})),
        "finished": "" if pd.isna(finished) else f"{finished:%Y-%m-%d %H:%M} UTC",
    }


def _environments(table: pd.DataFrame) -> list[Cells]:
    return records(table.groupby(["device", "torch", "python", "ganbench"]).size().reset_index(name="rows"))


def _section(
    index: int,
    ranking: pd.DataFrame,
    table: pd.DataFrame,
    curves: pd.DataFrame,
    meanings: Mapping[str, str],
    binding: Binding,
) -> Cells:
    """One ranking: everything its part of the template asks for."""
    first = ranking.iloc[0]
    scale = _scale_of(ranking)
    placed = records(named(ranking))
    rows = [_row(row, scale) for row in placed]
    same = table[table["protocol"] == first["protocol"]]  # where nothing was trained, that of what was evaluated
    runs = same[same["kind"] == "trial"]
    protocol = same[same["extractor"] != ""] if (same["extractor"] != "").any() else same[same["n_fake"].notna()]
    return {
        "id": f"ranking-{index}",
        "dataset": one_line(first["dataset"]),
        "budget": first["budget"],
        "conditions": one_line(first["conditions"]),
        "protocol": first["protocol"],
        "score": first["score"] or "score",
        "direction": first["direction"],
        "mean_rule": first["mean_rule"],
        "sentence": lead_sentence(ranking),
        "shared": shared_parts(ranking),
        "seeds": seed_count(ranking),
        "trained": bool((ranking["kind"] == "trial").any()),
        "noisy": has_metric_noise(ranking),
        "width": 7 + len(secondary_scores(ranking)) + has_metric_noise(ranking),
        "measured": records(protocol.head(1)),
        "others": secondary_scores(ranking),
        "scale": scale,
        "rows": rows,
        "blocks": [{"group": group, "rows": list(block)} for group, block in itertools.groupby(rows, _group_of)],
        "notes": _notes(runs),
        "separated": any(row["group"] == "complete" and not row["leads"] for row in rows),
        "greys": any(row["kind"] == "trial" and row["swatch"] is None for row in rows),
        "failures": _failures(runs),
        "plots": plots(ranking, runs, curves),
        "pictures": _pictures(placed, table, binding),
        "scores": _score_facts(table, first["dataset"], meanings),
        "trainings": [row for row in placed if row["kind"] == "trial"],
    }


def _failures(runs: pd.DataFrame) -> list[Cells]:
    failed = runs[runs["status"] != "ok"].sort_values(["variant", "seed"])
    short = failed["message"].str.slice(0, LONGEST_MESSAGE)
    return records(failed.assign(message=short.map(one_line), variant=failed["variant"].map(one_line)))


def _notes(runs: pd.DataFrame) -> list[str]:
    """What a reader must know of the times of `runs`, in sentences."""
    notes = []
    if runs["driver"].str.startswith("vectorised").any():
        notes.append(
            "Seeds that trained together are each charged an equal part of the device's time, so images/s is what they "
            "reached together."
        )
    share = runs.loc[runs["device_kind"] != "cuda", "processor_share"].median()  # waiting for a GPU is no other work
    if share < OWN_CORE:
        timed = runs["overshoot_device_seconds"].notna().any()
        scores = "and with them scores, for device time is the budget" if timed else "scores are not"
        notes.append(
            f"The machine was busy with other work: these trials got {share:.0%} of a processor core, in the median. "
            f"Times and images/s are affected by it, {scores}."
        )
    return notes


@dataclass(frozen=True)
class Scale:
    """Where a value lies between the two ends of a strip, which are the lowest and the highest seed's, with room."""

    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """Percent of the strip, from 0 at the left end to 100 at the right; values beyond an end lie on it."""
        low, high, value = (math.log(max(x, 1e-300)) if self.logarithmic else x for x in (self.low, self.high, value))
        return round(100 * min(max((value - low) / (high - low), 0.0), 1.0), 2)


def _scale_of(ranking: pd.DataFrame) -> Scale | None:
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


def _row(row: Cells, scale: Scale | None) -> Cells:
    """A row of the board as the template shows it."""
    complete, trained = row["ok"] == row["attempted"], row["kind"] == "trial"
    group = row["kind"] if not trained else "complete" if complete else "failed"
    return {
        **row,
        "group": group,
        "swatch": row["place"] if trained and row["place"] < COLOURS else None,
        "medians": {name.removeprefix("median_"): value for name, value in row.items() if name.startswith("median_")},
        "strip": _strip(row, scale) if scale and row["values"] and trained else None,
    }


def _group_of(row: Cells) -> str:
    return str(row["group"])


def _strip(row: Cells, scale: Scale) -> Cells:
    bounded = not math.isnan(row["low"])
    floor = row["real_floor"]
    inside = not math.isnan(floor) and scale.low < floor < scale.high
    return {
        "dots": [scale.place(value) for value in row["values"]],
        "mean": scale.place(row["mean"]),
        "interval": [scale.place(row["low"]), scale.place(row["high"])] if bounded else None,
        "floor": scale.place(floor) if inside else None,
        "told": ", ".join(format_number(value) for value in row["values"]),
    }


def _pictures(rows: Sequence[Cells], table: pd.DataFrame, binding: Binding) -> list[Cells]:
    """The last samples of each row's first seed that has a score, in the board's order."""
    found = []
    ranked = [row for row in rows if row["kind"] == "trial"][SHOWN_PICTURES:]
    for row in (row for row in rows if row not in ranked):
        run = _first_run(row, table)
        picture = _picture(Path(run["path"]), binding) if run else None
        if run and picture:
            found.append(
                {
                    **picture,
                    "label": row["label"],
                    "seed": run["seed"],
                    "trained": row["kind"] == "trial",
                    "score": run.get(row["score"], math.nan),
                }
            )
    return found


def _first_run(row: Cells, table: pd.DataFrame) -> Cells | None:
    by = ["kind", "variant", "recipe", "dataset", *(["protocol"] if row["kind"] == "trial" else [])]
    same = (table[by] == [row[name] for name in by]).all(axis=1) & (table["status"] == "ok")
    runs = records(table[same].sort_values("seed").head(1))
    return runs[0] if runs else None


def _picture(attempt: Path, binding: Binding) -> Cells | None:
    """The newest `samples-*.png`: where it is found, and the size at which its pixels are whole."""
    found = frames(attempt)
    picture = read_picture(found[-1].path, attempt) if found else None
    if picture is None:
        return None
    place, address = binding.shown(picture)
    scale = max(1, round(PICTURE_WIDTH / picture.width))
    return {"data": address, "place": place, "width": picture.width * scale, "height": picture.height * scale}


def _score_facts(table: pd.DataFrame, dataset: str, meanings: Mapping[str, str]) -> list[Cells]:
    """Each score of `dataset`: its direction, its mean and its protocol."""
    found: dict[str, Cells] = {}
    for datasets in table.attrs["measured"].values():
        for name, facts in datasets.get(dataset, {}).items():
            found.setdefault(name, {**facts, "name": name, "meaning": meanings.get(facts["metric"], "")})
    return list(found.values())
