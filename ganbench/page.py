"""What the HTML page shows, gathered for its template: boards, controls, plots, samples, failures and protocols."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from ganbench.abridging import LISTED, cuts_of, is_crowded, kept_rows, kept_scores, left_out, most_rows
from ganbench.albums import frames, read_picture
from ganbench.bindings import Binding, OneFile, text_room
from ganbench.cells import Cells, board_rows, order_text, scale_of
from ganbench.charts import javascript, legend, plots
from ganbench.charts_across import across_of
from ganbench.charts_effects import effects_of
from ganbench.controls import controls, row_facts
from ganbench.dossiers import gather, variants_of
from ganbench.embedded import datatables
from ganbench.headings import headings
from ganbench.quizzes import gather_quizzes
from ganbench.slider import slider
from ganbench.standings import (
    has_metric_noise,
    lead_sentence,
    named,
    rankings,
    records,
    seed_count,
    shared_parts,
    verdict,
)
from ganbench.views import format_number, one_line

SHOWN_PICTURES = 24
"""How many variants of a ranking have a picture, the best ones: a page of thousands would open for no one."""

OWN_CORE = 0.8
"""The share of a processor core below which a trial had to wait for other work."""

UNLIKE = 1.5
"""The ratio of generator updates from which a reader is told that variants made unlike numbers of them."""

PICTURE_WIDTH = 216
LONGEST_MESSAGE = 1_000

NAMED = 6
"""The most variants that a recipe names."""

COPIED = 1_000
"""The most rows of a board that the page holds as text to be copied: it would grow too large."""

Copies = Callable[[pd.DataFrame], dict[str, list[list[str]]]]


def render_page(
    table: pd.DataFrame,
    curves: pd.DataFrame,
    board: pd.DataFrame,
    title: str,
    meanings: Mapping[str, str],
    copies: Copies,
    binding: Binding | None = None,
) -> str:
    """The page, complete in one string unless `binding` puts parts of it into files.

    `copies` gives the text of a ranking in several formats.
    """
    binding = binding or OneFile(text_bytes=text_room(len(board)))
    environment = Environment(
        loader=PackageLoader("ganbench", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": format_number, "order": order_text}
    boards = rankings(board)
    most = most_rows(len(boards))
    sections = [
        _section(index, ranking, table, curves, meanings, binding, most) for index, ranking in enumerate(boards)
    ]
    stops, cuts = slider(table, curves, board)
    shown = controls(sections, stops)
    for section, ranking, cut in zip(sections, boards, cuts, strict=True):
        section["data"] = {
            "rows": row_facts(section["rows"], shown["data"]),
            "copies": copies(ranking) if len(ranking) <= COPIED else None,
            "cuts": cuts_of(cut, section["kept"]) if stops else None,
        }
    variants = variants_of(board, table)
    details = gather(variants, sections, table, curves, binding)
    quizzes = gather_quizzes(variants, sections, table, binding)
    sources = _sources(environment, sections, inside=bool(details.variants))
    scripts = [Script(source, binding.script(name, source)) for name, source in sources.items()]
    return environment.get_template("leaderboard.html.j2").render(
        title=one_line(title),
        style=_source(environment, "leaderboard.css") + _source(environment, "details.css"),
        scripts=scripts,
        script_hashes=[_script_hash(script.source) for script in scripts if not script.address],
        filed=any(script.address for script in scripts),
        details=details,
        quizzes=quizzes,
        sections=sections,
        controls=shown,
        counts=_counts(table),
        failures_at=next((section["id"] for section in sections if section["failures"]), ""),
        environments=_environments(table),
        across=across_of(table, board),
    )


@dataclass(frozen=True)
class Script:
    """A script, and the address it is loaded from; empty if it stands in the page."""

    source: str
    address: str


def _sources(environment: Environment, sections: Sequence[Cells], *, inside: bool) -> dict[str, str]:
    """What the page runs, in order; nothing where there is nothing to show. `inside` are pages of variants."""
    drawn = any(section["plots"] for section in sections)
    libraries: dict[str, Callable[[], str]] = {"datatables.js": datatables, "library.js": javascript}
    names = ["state.js", "datatables.js", "board.js"] if sections else []
    names += ["library.js", "plots.js"] if drawn else []
    names += ["figures.js", "film.js", "details.js", "quiz.js"] if inside else []
    return {name: libraries[name]() if name in libraries else _source(environment, name) for name in names}


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
    most: int,
) -> Cells:
    """One ranking: everything its part of the template asks for, with at most so many ranked rows."""
    first = ranking.iloc[0]
    placed = records(named(ranking))
    same = table[table["protocol"] == first["protocol"]]  # where nothing was trained, that of what was evaluated
    runs = same[same["kind"] == "trial"]
    kept = kept_rows(ranking, most)
    rows = [row for row, stays in zip(board_rows(ranking, runs, curves), kept, strict=True) if stays]
    failures = _failures(runs)
    crowded = is_crowded(rows)
    others = kept_scores(ranking, crowded=crowded)
    scores = _score_facts(table, first["dataset"], meanings)
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
        "verdict": verdict(ranking),
        "shared": shared_parts(ranking),
        "seeds": seed_count(ranking),
        "trained": bool((ranking["kind"] == "trial").any()),
        "noisy": has_metric_noise(ranking),
        "measured": records(protocol.head(1)),
        "kept": kept,
        "others": others,
        "crowded": crowded,
        "scale": scale_of(ranking),
        "headings": headings(ranking, scores, others),
        "rows": rows,
        "failing": any(row["group"] == "failed" for row in rows),
        "elsewhere": any(row["group"] == "evaluated" for row in rows) and bool((ranking["kind"] == "trial").any()),
        "provisional": any(row["provisional"] for row in rows),
        "notes": [*left_out(ranking, kept, others), *_notes(placed, runs)],
        "separated": any(row["group"] == "complete" and not row["leads"] for row in rows),
        "greys": any(row["kind"] == "trial" and row["swatch"] is None for row in rows),
        "failures": failures[:LISTED],
        "unlisted": len(failures[LISTED:]),
        "plots": plots(ranking, runs, curves),
        "legend": legend(ranking),
        "effects": effects_of(table, ranking),
        "pictures": _pictures(placed, table, binding),
        "scores": scores,
        "trainings": _trainings(placed),
    }


def _trainings(rows: Sequence[Cells]) -> list[Cells]:
    """Each recipe with its settings, how many variants were trained by it, and the names of the first of them."""
    recipes: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["kind"] == "trial":
            recipes.setdefault((row["training"], row["recipe"]), []).append(row["label"])
    return [
        {"training": training, "recipe": recipe, "variants": names[:NAMED], "more": len(names[NAMED:])}
        for (training, recipe), names in recipes.items()
    ]


def _failures(runs: pd.DataFrame) -> list[Cells]:
    failed = runs[runs["status"] != "ok"].sort_values(["variant", "seed"])
    short = failed["message"].str.slice(0, LONGEST_MESSAGE)
    return records(failed.assign(message=short.map(one_line), variant=failed["variant"].map(one_line)))


def _notes(rows: Sequence[Cells], runs: pd.DataFrame) -> list[str]:
    """What a reader must know of the updates and the times of `runs`, those of `rows`, in sentences."""
    steps = {row["label"]: row["steps"] for row in rows if row["kind"] == "trial" and row["steps"] > 0}
    notes = []
    if steps and max(steps.values()) > UNLIKE * min(steps.values()):
        fewest, most = (pick(steps, key=steps.__getitem__) for pick in (min, max))
        notes.append(
            f"The same budget is not the same number of generator updates: from {steps[fewest]:,.0f} ({fewest}) to "
            f"{steps[most]:,.0f} ({most})."
        )
    together = set(runs.loc[runs["driver"].str.startswith("vectorised"), "variant"])
    if together:
        labels = dict.fromkeys(row["label"] for row in rows if row["variant"] in together)
        whose = "" if len(labels) == len(steps) or len(labels) > NAMED else f" ({', '.join(labels)})"
        notes.append(
            f"Seeds that trained together{whose} are each charged an equal part of the device's time, so images/s is "
            "what they reached together."
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


def _pictures(rows: Sequence[Cells], table: pd.DataFrame, binding: Binding) -> list[Cells]:
    """The last samples of each row's first seed that has a score, in the board's order."""
    found = []
    first = _first_runs(table)
    for row in (row for row in rows if row["place"] < SHOWN_PICTURES):
        run = first.get(tuple(row[name] for name in (*RUN_KEYS, "protocol")))
        run = run or first.get((*(row[name] for name in RUN_KEYS), ""))
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


RUN_KEYS = ("kind", "variant", "recipe", "dataset")


def _first_runs(table: pd.DataFrame) -> dict[tuple[str, ...], Cells]:
    """Of all that ended well the first seed, by `RUN_KEYS` and protocol; the protocol is empty if not trained."""
    trained = table["kind"] == "trial"
    good = table.assign(protocol=table["protocol"].where(trained, ""))[table["status"] == "ok"]
    first = good.sort_values("seed", kind="stable").drop_duplicates([*RUN_KEYS, "protocol"])
    scores = [name for name in table.attrs["scores"] if name in first]
    runs = records(first[[*RUN_KEYS, "protocol", "path", "seed", *scores]])
    return {tuple(str(run[name]) for name in (*RUN_KEYS, "protocol")): run for run in runs}


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
            found.setdefault(name, {**facts, "name": name, "meaning": _meaning(name, facts["metric"], meanings)})
    return list(found.values())


def _meaning(score: str, metric: str, meanings: Mapping[str, str]) -> str:
    """What is said of `score` itself, under the longest name that it begins with, or else of its metric."""
    own = [name for name in meanings if name.startswith(f"{metric}/") and f"{metric}/{score}_".startswith(f"{name}_")]
    return meanings[max(own, key=len)] if own else meanings.get(metric, "")
