"""What the HTML page shows, gathered for its template: boards, controls, plots, samples, failures and protocols."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from ganbench.cells import Cells, board_rows, order_text, scale_of
from ganbench.charts import javascript, legend, plots
from ganbench.charts_across import across_of
from ganbench.charts_effects import effects_of
from ganbench.controls import controls, row_facts
from ganbench.embedded import datatables
from ganbench.headings import headings
from ganbench.slider import slider
from ganbench.standings import (
    has_metric_noise,
    lead_sentence,
    named,
    rankings,
    records,
    secondary_scores,
    seed_count,
    shared_parts,
)
from ganbench.views import format_number, one_line

SHOWN_PICTURES = 24
"""How many variants of a ranking have a picture, the best ones: a page of thousands would open for no one."""

OWN_CORE = 0.8
"""The share of a processor core below which a trial had to wait for other work."""

PICTURE_WIDTH = 216
MAX_PICTURE_BYTES = 2 * 2**20
MOST_PIXELS = 2**26
"""What a browser is asked to unpack of one picture."""

LONGEST_MESSAGE = 1_000
PNG = b"\x89PNG\r\n\x1a\n"

LISTED = 200
"""The most variants that are listed with their settings whether or not these differ from ganbench's own."""

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
) -> str:
    """The page, complete in one string. `copies` gives the text of a ranking in several formats."""
    environment = Environment(
        loader=PackageLoader("ganbench", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": format_number, "order": order_text}
    sections = [_section(index, ranking, table, curves, meanings) for index, ranking in enumerate(rankings(board))]
    stops, cuts = slider(table, curves, board)
    shown = controls(sections, stops)
    for section, ranking, cut in zip(sections, rankings(board), cuts, strict=True):
        section["data"] = {
            "rows": row_facts(section["rows"], shown["data"]),
            "copies": copies(ranking) if len(ranking) <= COPIED else None,
            "cuts": cut if stops else None,
        }
    scripts = _scripts(environment, sections)
    return environment.get_template("leaderboard.html.j2").render(
        title=one_line(title),
        style=_source(environment, "leaderboard.css"),
        scripts=scripts,
        script_hashes=[_script_hash(script) for script in scripts],
        sections=sections,
        controls=shown,
        counts=_counts(table),
        failures_at=next((section["id"] for section in sections if section["failures"]), ""),
        environments=_environments(table),
        across=across_of(table, board),
    )


def _scripts(environment: Environment, sections: Sequence[Cells]) -> list[str]:
    """What the page runs, in order; nothing where there is nothing to show."""
    drawn = any(section["plots"] for section in sections)
    tables = [_source(environment, "state.js"), datatables(), _source(environment, "board.js")] if sections else []
    return [*tables, *([javascript(), _source(environment, "plots.js")] if drawn else [])]


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
    index: int, ranking: pd.DataFrame, table: pd.DataFrame, curves: pd.DataFrame, meanings: Mapping[str, str]
) -> Cells:
    """One ranking: everything its part of the template asks for."""
    first = ranking.iloc[0]
    placed = records(named(ranking))
    same = table[table["protocol"] == first["protocol"]]  # where nothing was trained, that of what was evaluated
    runs = same[same["kind"] == "trial"]
    rows = board_rows(ranking, runs, curves)
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
        "shared": shared_parts(ranking),
        "seeds": seed_count(ranking),
        "trained": bool((ranking["kind"] == "trial").any()),
        "noisy": has_metric_noise(ranking),
        "measured": records(protocol.head(1)),
        "others": secondary_scores(ranking),
        "scale": scale_of(ranking),
        "headings": headings(ranking, scores),
        "rows": rows,
        "failing": any(row["group"] == "failed" for row in rows),
        "elsewhere": any(row["group"] == "evaluated" for row in rows) and bool((ranking["kind"] == "trial").any()),
        "provisional": any(row["provisional"] for row in rows),
        "notes": _notes(runs),
        "separated": any(row["group"] == "complete" and not row["leads"] for row in rows),
        "greys": any(row["kind"] == "trial" and row["swatch"] is None for row in rows),
        "failures": _failures(runs),
        "plots": plots(ranking, runs, curves),
        "legend": legend(ranking),
        "effects": effects_of(table, ranking),
        "pictures": _pictures(placed, table),
        "scores": scores,
        "trainings": _trainings(placed),
    }


def _trainings(rows: Sequence[Cells]) -> list[Cells]:
    """What was trained, with its settings; of very many only those that have settings of their own."""
    trained = [row for row in rows if row["kind"] == "trial"]
    return trained if len(trained) <= LISTED else [row for row in trained if row["training"]]


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


def _pictures(rows: Sequence[Cells], table: pd.DataFrame) -> list[Cells]:
    """The last samples of each row's first seed that has a score, in the board's order."""
    found = []
    first = _first_runs(table)
    for row in (row for row in rows if row["place"] < SHOWN_PICTURES):
        run = first.get(tuple(row[name] for name in (*RUN_KEYS, "protocol")))
        run = run or first.get((*(row[name] for name in RUN_KEYS), ""))
        picture = _picture(Path(run["path"])) if run else None
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


def _picture(attempt: Path) -> Cells | None:
    """The newest `samples-*.png` as a data URI, and the width at which its pixels are whole."""
    paths = sorted(
        attempt.glob("samples-*.png"), key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.name)]
    )
    content = _whole(paths[-1], attempt) if paths else b""
    if not content.startswith(PNG) or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    if not 0 < width * height <= MOST_PIXELS:
        return None
    scale = max(1, round(PICTURE_WIDTH / width))
    data = base64.b64encode(content).decode()
    return {"data": f"data:image/png;base64,{data}", "width": width * scale, "height": height * scale}


def _whole(path: Path, attempt: Path) -> bytes:
    """What is in the picture, if it is a file of the attempt; nothing if it is large, or a link to what lies elsewhere.

    A page is made to be passed on, and results may come from anyone: no link of theirs puts a file of this machine in.
    """
    try:
        inside = path.resolve(strict=True).is_relative_to(attempt.parents[1].resolve())
        if not inside or not path.is_file() or path.stat().st_size > MAX_PICTURE_BYTES:
            return b""
        return path.read_bytes()
    except (OSError, RuntimeError):
        return b""


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
