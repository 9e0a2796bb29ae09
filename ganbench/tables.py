"""Results as pandas tables: a row for each job, or for each point of a curve."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from ganbench.curves import CurveReader, as_frame
from ganbench.entries import Entry, find_entries, text_of, usual_of
from ganbench.errors import ResultsError
from ganbench.parsing import MOST_WHOLE
from ganbench.rows import cells
from ganbench.store import CURVE
from ganbench.terms import AXES, Record, Trial

if TYPE_CHECKING:
    import pyarrow as pa


class Column(NamedTuple):
    """What a column holds."""

    dtype: str
    meaning: str
    unit: str = ""


TEXT, WHOLE, REAL, TIME = "string", "Int64", "float64", "datetime64[us, UTC]"

COLUMNS: dict[str, Column] = {
    "suite": Column(TEXT, "name of the results folder, which is the suite's"),
    "kind": Column(TEXT, "trial, reference, or evaluated: made elsewhere, and only measured here"),
    "key": Column(TEXT, "SHA-256 of what defines the row"),
    "attempt": Column(WHOLE, "which try this row shows: the newest that was recorded"),
    "status": Column(TEXT, "ok, diverged, oom, timeout, error or killed"),
    "message": Column(TEXT, "why the status is not ok; empty where it is"),
    "failed_step": Column(WHOLE, "generator update at which training failed", "updates"),
    "dataset": Column(TEXT, "dataset with the parameters that were set"),
    "variant": Column(TEXT, "generator / discriminator / loss; the name of what was not trained"),
    "generator": Column(TEXT, "generator with the parameters that were set; what an evaluated row came as"),
    "discriminator": Column(TEXT, "discriminator with the parameters that were set"),
    "loss": Column(TEXT, "loss and what is added to it, with the parameters that were set"),
    "seed": Column(WHOLE, "seed of the trial; missing for what was not trained"),
    "training": Column(TEXT, "training settings that differ from ganbench's own"),
    "recipe": Column(
        TEXT,
        "hash of the training settings and of the parameters left to their defaults; of what an evaluated row is",
    ),
    "protocol": Column(TEXT, "hash of all that must be equal for two trials to be compared"),
    "evaluation_protocol": Column(TEXT, "the same without the budget: equal for all that was measured alike"),
    "budget": Column(TEXT, "limits of the budget"),
    "conditions": Column(
        TEXT,
        "what must be equal besides: precision unless it is float32; device and driver where their time is limited",
    ),
    "kimg": Column(REAL, "real images shown to the discriminator", "thousands"),
    "steps": Column(WHOLE, "generator updates made", "updates"),
    "device_seconds": Column(REAL, "processor or GPU time of training", "s"),
    "petaflops": Column(REAL, "floating-point operations of training", "PFLOP"),
    **{
        f"overshoot_{axis}": Column(
            REAL, f"how far {axis} went past its limit (below 0: another ended training), if it had one"
        )
        for axis in AXES
    },
    "wall_seconds": Column(REAL, "time from the start of the process to the record", "s"),
    "training_seconds": Column(REAL, "time in training", "s"),
    "preparation_seconds": Column(
        REAL, "time in loading, building and rehearsing, which no budget is charged for", "s"
    ),
    "evaluation_seconds": Column(REAL, "time in evaluation, which no budget is charged for", "s"),
    "checkpoint_seconds": Column(REAL, "time in writing checkpoints, which no budget is charged for", "s"),
    "images_per_second": Column(REAL, "real images shown per second of training after warm-up", "1/s"),
    "steps_per_second": Column(REAL, "generator updates per second of training after warm-up", "1/s"),
    "sampling_images_per_second": Column(REAL, "images generated per second", "1/s"),
    "peak_memory_bytes": Column(WHOLE, "most memory held", "bytes"),
    "generator_parameters": Column(WHOLE, "trainable numbers of the generator"),
    "discriminator_parameters": Column(WHOLE, "trainable numbers of the discriminator"),
    "flops_per_step": Column(REAL, "floating-point operations of one generator update and what belongs to it"),
    "flops_per_second": Column(REAL, "floating-point operations of training per second of device time", "1/s"),
    "processor_share": Column(
        REAL, "processor time for each second on the wall while it trained: 1 is a core to itself"
    ),
    "gpu_utilisation": Column(REAL, "share of training, from 0 to 1, in which the GPU was at work; NVIDIA's only"),
    "energy_joules": Column(REAL, "energy that the GPU used in training, where nothing else did; NVIDIA's only", "J"),
    "device": Column(TEXT, "model of the processor or GPU"),
    "device_kind": Column(TEXT, "cpu or cuda"),
    "driver": Column(TEXT, "how the steps were carried out: eager, vectorised, graph or vectorised+graph"),
    "seeds_together": Column(WHOLE, "seeds that trained together in one process, itself among them", "seeds"),
    "driver_reason": Column(TEXT, "why no faster driver was taken; empty where none was refused"),
    "precision": Column(TEXT, "what the networks computed in: float32, tf32 or bf16, whatever was asked for"),
    "torch": Column(TEXT, "version of torch"),
    "ganbench": Column(TEXT, "version of ganbench"),
    "python": Column(TEXT, "version of Python"),
    "plugins": Column(TEXT, "owners of the plugins used, with each plugin's code: 8 digits of its hash"),
    "git": Column(TEXT, "commit that ganbench ran from, where that was a checkout; with a + if its code was changed"),
    "extractor": Column(TEXT, "feature extractor of the scores"),
    "weights_sha256": Column(TEXT, "hash of the extractor's weights"),
    "n_fake": Column(WHOLE, "generated samples that were scored"),
    "n_real": Column(WHOLE, "real samples that they were compared with"),
    "split": Column(TEXT, "part of the dataset that the real samples come from"),
    "started_at": Column(TIME, "start of the attempt"),
    "finished_at": Column(TIME, "end of the attempt"),
    "path": Column(TEXT, "folder of the attempt"),
}
"""Every table's columns. The scores, one float64 column each under its own name, stand before `wall_seconds`, and after
them `noise:<score>` for those whose own deviation was estimated: that over other samples, not over other seeds."""

COSTS = tuple(COLUMNS)[tuple(COLUMNS).index("wall_seconds") : tuple(COLUMNS).index("device")]
CURVE_LABELS = ("suite", "key", "dataset", "variant", "seed")


def load_results(path: Path | str) -> pd.DataFrame:
    """One row for each job at `path`: its newest recorded attempt. Columns and dtypes are those of `COLUMNS`.

    A failure is a row whose scores are missing. `attrs["results"]` is `path`; `attrs["scores"]` holds each score's
    direction and mean, and `attrs["measured"]`, by suite and dataset, how each score was measured, in the order of the
    records.
    Raises ResultsError where there are no results, or a file among them is not what ganbench wrote.
    """
    with _nothing_collected():
        return _table_of(path, find_entries(Path(path)))


def load_both(path: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `load_results` and `load_curves` give, in less time than both take."""
    with _nothing_collected():
        entries = find_entries(Path(path))
        return _table_of(path, entries), _curves_of(entries)


def _table_of(path: Path | str, entries: Sequence[Entry]) -> pd.DataFrame:
    usual = usual_of(entries)
    rows = [{**cells(entry, usual), **_scores(entry.record), **_costs(entry.record)} for entry in entries]
    table = _typed(rows, _score_columns(entries))
    table.attrs = {"results": str(path), "scores": _rules(entries), "measured": _measurements(entries)}
    return table


def load_curves(path: Path | str) -> pd.DataFrame:
    """One row for each point of each curve at `path`, after columns that say which trial it belongs to.

    Columns: suite, key, dataset, variant, seed; kimg, steps, device_seconds, petaflops, wall_seconds; the scores, and
    what training left behind: terms of the losses, mean logits, accuracy of the discriminator, norms of gradients.
    """
    return _curves_of(find_entries(Path(path)))


def _curves_of(entries: Sequence[Entry]) -> pd.DataFrame:
    entries = [entry for entry in entries if (entry.attempt.path / CURVE).is_file()]
    reader = CurveReader()
    read = [(entry, curve) for entry in entries if (curve := reader.read(entry.attempt.path / CURVE)).num_rows]
    if not read:
        return pd.DataFrame({name: pd.Series(dtype=COLUMNS[name].dtype) for name in (*CURVE_LABELS, *AXES)})
    table = as_frame(_stacked([curve for _, curve in read]))
    labels = [_curve_labels(entry) for entry, _ in read]
    counts = [curve.num_rows for _, curve in read]
    for name, values in reversed(list(zip(CURVE_LABELS, zip(*labels, strict=True), strict=True))):
        column = pd.Series(values, dtype=COLUMNS[name].dtype).repeat(counts).reset_index(drop=True)
        table.insert(0, name, column)
    return table


def noise_column(score: str) -> str:
    """The column that holds the score's own deviation, Score.noise."""
    return f"noise:{score}"


def score_rules(table: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Each score's `direction` (lower or higher) and `mean` (geometric or arithmetic), by its column."""
    try:
        rules: dict[str, dict[str, str]] = table.attrs["scores"]
    except KeyError:
        raise ResultsError("this table does not say which scores it holds; load it with load_results") from None
    return rules


def scores_of(group: pd.DataFrame, measured: dict[str, dict[str, Any]], dataset: str) -> list[str]:
    """The scores that rows of `group` have, in the order of the records; where all failed, those they were to have."""
    suites = set(group["suite"])
    told = (datasets.get(dataset, ()) for suite, datasets in measured.items() if suite in suites)
    names = list(dict.fromkeys(name for scores in told for name in scores))
    return [name for name in names if group[name].notna().any()] if (group["status"] == "ok").any() else names


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """No search for garbage in the block, which makes many objects that stay: each search would go through them all."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _score_columns(entries: Sequence[Entry]) -> list[str]:
    """The columns of the scores, then those of their noise, in the order of the records."""
    scores = {score.name: _score_column(score.name) for entry in _alike(entries) for score in entry.record.scores}
    noisy = dict.fromkeys(score.name for entry in entries for score in entry.record.scores if score.noise is not None)
    return list(dict.fromkeys([*scores.values(), *(noise_column(scores[name]) for name in noisy)]))


def _alike(entries: Sequence[Entry]) -> list[Entry]:
    """The first of all entries of one suite and data set whose scores were measured in one way, in their order."""
    first: dict[tuple[str, str, tuple[str, ...]], Entry] = {}
    for entry in entries:
        first.setdefault((entry.suite, text_of(entry.job.dataset), entry.measured), entry)
    return list(first.values())


def _scores(record: Record) -> dict[str, float | None]:
    """Each score and its noise, by column."""
    if record.status != "ok":
        return {}
    values: dict[str, float | None] = {}
    for score in record.scores:
        column = _score_column(score.name)
        values[column] = score.value
        if score.noise is not None:
            values[noise_column(column)] = score.noise
    return values


def _costs(record: Record) -> dict[str, float | None]:
    return {name: record.costs.get(name) for name in COSTS}


def _score_column(score: str) -> str:
    """The score's name, unless a plugin gave it the name of another column."""
    return f"score:{score}" if score in COLUMNS else score


def _rules(entries: Sequence[Entry]) -> dict[str, dict[str, str]]:
    rules: dict[str, dict[str, str]] = {}
    for entry in _alike(entries):
        for score in entry.record.scores:
            rules.setdefault(_score_column(score.name), {"direction": score.direction, "mean": score.mean})
    return rules


def _measurements(entries: Sequence[Entry]) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Suite → dataset → score → its facts as the first record tells them."""
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for entry in _alike(entries):
        scores = found.setdefault(entry.suite, {}).setdefault(text_of(entry.job.dataset), {})
        for score in entry.record.scores:
            if (column := _score_column(score.name)) not in scores:
                facts = {name: value for name, value in vars(score).items() if name not in ("name", "value", "noise")}
                scores[column] = facts
    return found


def _with_scores(scores: Sequence[str]) -> list[str]:
    names = list(COLUMNS)
    place = names.index("wall_seconds")
    return [*names[:place], *scores, *names[place:]]


def _typed(rows: Sequence[dict[str, Any]], scores: Sequence[str]) -> pd.DataFrame:
    """`rows` with the documented dtypes: text that is missing is empty, numbers that are missing stay so."""
    dtypes = {name: column.dtype for name, column in COLUMNS.items()} | dict.fromkeys(scores, REAL)
    columns = {name: _typed_column([row.get(name) for row in rows], dtypes[name]) for name in _with_scores(scores)}
    return pd.DataFrame(columns)


def _typed_column(values: list[Any], dtype: str) -> pd.Series[Any]:
    if dtype == TEXT:
        return pd.Series(["" if value is None else value for value in values], dtype=TEXT)
    if dtype == TIME:
        times = pd.to_datetime(pd.Series(values, dtype="object"), utc=True, errors="coerce", format="ISO8601")
        return times.astype("datetime64[us, UTC]")
    numbers = pd.Series(values, dtype="float64")
    if dtype != WHOLE:
        return numbers
    return numbers.where(numbers.abs() <= MOST_WHOLE).round().astype("Int64")  # beyond it, a float tells no whole one


def _curve_labels(entry: Entry) -> tuple[str, str, str, str, int | None]:
    """Which trial a curve belongs to, in the order of `CURVE_LABELS`."""
    job = entry.job
    variant, seed = (str(job.variant), job.seed) if isinstance(job, Trial) else (job.name, None)
    return entry.suite, entry.attempt.key, str(job.dataset), variant, seed


def _stacked(curves: Sequence[pa.Table]) -> pa.Table:
    """One curve below the other; what a plugin calls a score that has a label's name is `score:<name>`."""
    import pyarrow as pa

    taken = {name: f"score:{name}" for name in CURVE_LABELS}
    named = [
        curve.rename_columns([taken.get(name, name) for name in curve.column_names])
        if taken.keys() & set(curve.column_names)
        else curve
        for curve in curves
    ]
    return pa.concat_tables(named, promote_options="permissive")
