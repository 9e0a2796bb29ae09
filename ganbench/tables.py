"""Results as pandas tables: a row for each job, or for each point of a curve."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ganbench.errors import ResultsError
from ganbench.store import CURVE, Attempt, Store, find_stores
from ganbench.terms import (
    AXES,
    Choice,
    Job,
    JobKind,
    Record,
    Reference,
    Score,
    Submission,
    Training,
    Trial,
    Variant,
    kind_of,
)


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
    "loss": Column(TEXT, "loss and penalties with the parameters that were set"),
    "seed": Column(WHOLE, "seed of the trial; missing for what was not trained"),
    "training": Column(TEXT, "training settings that differ from ganbench's own"),
    "recipe": Column(
        TEXT,
        "hash of the training settings and of the parameters left to their defaults; of what an evaluated row is",
    ),
    "protocol": Column(TEXT, "hash of all that must be equal for two trials to be compared"),
    "evaluation_protocol": Column(TEXT, "the same without the budget: equal for all that was measured alike"),
    "budget": Column(TEXT, "limits of the budget"),
    "kimg": Column(REAL, "real images shown to the discriminator", "thousands"),
    "steps": Column(WHOLE, "generator updates made", "updates"),
    "device_seconds": Column(REAL, "processor or GPU time of training", "s"),
    "petaflops": Column(REAL, "floating-point operations of training", "10^15"),
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
    "images_per_second": Column(REAL, "real images shown per second of training after warm-up", "1/s"),
    "steps_per_second": Column(REAL, "generator updates per second of training after warm-up", "1/s"),
    "sampling_images_per_second": Column(REAL, "images generated per second", "1/s"),
    "peak_memory_bytes": Column(WHOLE, "most memory held", "bytes"),
    "generator_parameters": Column(WHOLE, "trainable numbers of the generator"),
    "discriminator_parameters": Column(WHOLE, "trainable numbers of the discriminator"),
    "flops_per_step": Column(REAL, "floating-point operations of one generator update and what belongs to it"),
    "device": Column(TEXT, "model of the processor or GPU"),
    "torch": Column(TEXT, "version of torch"),
    "ganbench": Column(TEXT, "version of ganbench"),
    "python": Column(TEXT, "version of Python"),
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
    entries = sorted(_entries(Path(path)), key=_place)
    usual = _usual_settings(entries)
    rows = [_row(entry, usual.get(entry.plan, _Setting())) for entry in entries]
    told = [score for entry in entries for score in entry.record.scores]
    noisy = [noise_column(_score_column(score)) for score in told if score.noise is not None]
    scores = list(dict.fromkeys([*map(_score_column, told), *noisy]))
    table = _typed(pd.DataFrame(rows, columns=_with_scores(scores)), scores)
    table.attrs = {"results": str(path), "scores": _rules(entries), "measured": _measurements(entries)}
    return table


def load_curves(path: Path | str) -> pd.DataFrame:
    """One row for each point of each curve at `path`, after columns that say which trial it belongs to.

    Columns: suite, key, dataset, variant, seed; kimg, steps, device_seconds, petaflops, wall_seconds; the scores, and
    what training left behind: terms of the losses, mean logits, accuracy of the discriminator, norms of gradients.
    """
    entries = [entry for entry in _entries(Path(path)) if (entry.attempt.path / CURVE).is_file()]
    empty = pd.DataFrame({name: pd.Series(dtype=COLUMNS[name].dtype) for name in (*CURVE_LABELS, *AXES)})
    curves = [curve for entry in entries if not (curve := _curve(entry)).empty]
    table = pd.concat(curves, ignore_index=True) if curves else empty
    return table.astype({name: COLUMNS[name].dtype for name in CURVE_LABELS})


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


@dataclass(frozen=True)
class _Entry:
    """A recorded attempt and what its files say."""

    suite: str
    attempt: Attempt
    job: Job
    record: Record
    environment: Mapping[str, Any]

    @cached_property
    def plan(self) -> str:
        """Text of what was asked to be compared with what."""
        evaluation = self.job.evaluation
        return _canonical(self.job.dataset, evaluation.samples, evaluation.extractor, evaluation.metrics)

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """How each of its scores was measured: all that a record says of a score but its value and its noise."""
        scores = (asdict(replace(score, value=None, noise=None)) for score in self.record.scores)
        return tuple(sorted(_canonical(score) for score in scores))

    @property
    def setting(self) -> _Setting:
        """What it tells of how, on which data and where it was measured; empty where it did not come to that."""
        data, device = (str(self.environment.get(name, "")) for name in ("data", "device"))
        return _Setting(self.measured, data, device)


def _entries(path: Path) -> list[_Entry]:
    stores = [(store.path.resolve().name, store) for store in find_stores(path)]
    return [
        _Entry(suite, attempt, attempt.job(), attempt.record(), attempt.environment())
        for suite, store in stores
        for attempt in _latest(store)
    ]


_KINDS: tuple[JobKind, ...] = ("reference", "trial", "evaluated")
"""The order in which rows of a data set stand."""


def _place(entry: _Entry) -> tuple[Any, ...]:
    """Where a row stands: by suite and data set, references first, then trials by variant and seed, then the rest."""
    job = entry.job
    trial = (str(job.variant), job.seed) if isinstance(job, Trial) else (job.name, 0)
    return (entry.suite, str(job.dataset), _KINDS.index(kind_of(job)), *trial, entry.attempt.key)


def _latest(store: Store) -> Iterable[Attempt]:
    """The newest committed attempt at each key: attempts come oldest first, so the last one stays."""
    return {attempt.key: attempt for attempt in store.attempts() if attempt.committed}.values()


class _Setting(NamedTuple):
    """What a row must share with others to be compared, as far as only a run can tell it."""

    measured: tuple[str, ...] = ()
    data: str = ""
    device: str = ""


def _usual_settings(entries: Sequence[_Entry]) -> dict[str, _Setting]:
    """By plan, what is usual: a failure may not have come to tell, yet belongs beside those that did."""
    counts: dict[str, Counter[_Setting]] = {}
    for entry in entries:
        if entry.measured:
            counts.setdefault(entry.plan, Counter())[entry.setting] += 1
    return {plan: counter.most_common(1)[0][0] for plan, counter in counts.items()}


def _row(entry: _Entry, usual: _Setting) -> dict[str, Any]:
    record = entry.record
    own = entry.setting
    setting = _Setting(own.measured or usual.measured, own.data or usual.data, own.device or usual.device)
    evaluation = [entry.plan, setting.measured, setting.data]
    return {
        "suite": entry.suite,
        "kind": record.kind,
        "key": entry.attempt.key,
        "attempt": entry.attempt.number,
        "status": record.status,
        "message": record.message,
        "failed_step": record.failed_step,
        "dataset": str(entry.job.dataset),
        **_job_cells(entry, evaluation, setting.device),
        "evaluation_protocol": _hash(evaluation),
        **vars(record.spent),
        **_scores(record),
        **{name: record.costs.get(name) for name in COSTS},
        **{name: str(entry.environment.get(name, "")) for name in ("device", "ganbench", "python")},
        "torch": str(entry.environment.get("packages", {}).get("torch", "")),
        **_provenance(record.scores),
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "path": str(entry.attempt.path),
    }


def _job_cells(entry: _Entry, evaluation: Sequence[Any], device: str) -> dict[str, Any]:
    job = entry.job
    if isinstance(job, Submission):
        own = {"generator": job.source, "recipe": entry.attempt.key[:8]}
        return {"variant": job.name, **own, "protocol": _hash(evaluation)}
    if isinstance(job, Reference):
        return {"variant": job.name, "protocol": _hash(evaluation)}
    timed = job.budget.device_seconds is not None
    overshoot = job.budget.overshoot(entry.record.spent)
    return {
        "variant": str(job.variant),
        "generator": str(job.variant.generator),
        "discriminator": str(job.variant.discriminator),
        "loss": job.variant.objective,
        "seed": job.seed,
        "training": _differences(job.training),
        "recipe": _hash([job.training, [(choice.defaults, choice.code) for choice in _choices(job.variant)]]),
        "protocol": _hash([evaluation, job.budget, device if timed else ""]),
        "budget": str(job.budget),
        **{f"overshoot_{axis}": value for axis, value in overshoot.items()},
    }


def _choices(variant: Variant) -> tuple[Choice, ...]:
    return (variant.generator, variant.discriminator, variant.loss, *variant.penalties)


@lru_cache
def _differences(training: Training) -> str:
    """`batch_size=32, discriminator.betas=[0.0, 0.9]`: what is not as in `Training()`."""
    usual, actual = _flat(asdict(Training())), _flat(asdict(training))
    return ", ".join(f"{name}={_written(value)}" for name, value in actual.items() if value != usual[name])


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _written(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, str) else value


def _scores(record: Record) -> dict[str, float | None]:
    """Each score and its noise, by column."""
    if record.status != "ok":
        return {}
    values = {_score_column(score): score.value for score in record.scores}
    return {**values, **{noise_column(_score_column(score)): score.noise for score in record.scores}}


def _score_column(score: Score) -> str:
    """The score's name, unless a plugin gave it the name of another column."""
    return f"score:{score.name}" if score.name in COLUMNS else score.name


def _provenance(scores: Sequence[Score]) -> dict[str, Any]:
    """How the first score that uses an extractor was measured, else the first score."""
    names = ("extractor", "weights_sha256", "n_fake", "n_real", "split")
    told = next((score for score in scores if score.extractor), scores[0] if scores else None)
    return {name: getattr(told, name) for name in names} if told else {}


def _rules(entries: Sequence[_Entry]) -> dict[str, dict[str, str]]:
    rules: dict[str, dict[str, str]] = {}
    for entry in entries:
        for score in entry.record.scores:
            rules.setdefault(_score_column(score), {"direction": score.direction, "mean": score.mean})
    return rules


def _measurements(entries: Sequence[_Entry]) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Suite → dataset → score → its facts as the first record tells them."""
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for entry in entries:
        scores = found.setdefault(entry.suite, {}).setdefault(str(entry.job.dataset), {})
        for score in entry.record.scores:
            facts = {name: value for name, value in vars(score).items() if name not in ("name", "value", "noise")}
            scores.setdefault(_score_column(score), facts)
    return found


def _canonical(*parts: Any) -> str:
    return json.dumps(parts, default=vars, sort_keys=True)


def _hash(part: Any) -> str:
    return hashlib.sha256(_canonical(part).encode()).hexdigest()[:8]


def _with_scores(scores: Sequence[str]) -> list[str]:
    names = list(COLUMNS)
    place = names.index("wall_seconds")
    return [*names[:place], *scores, *names[place:]]


def _typed(frame: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """`frame` with the documented dtypes: text that is missing is empty, numbers that are missing stay so."""
    for name, column in COLUMNS.items():
        frame[name] = _typed_column(frame[name], column.dtype)
    return frame.astype(dict.fromkeys(scores, REAL))


def _typed_column(values: pd.Series[Any], dtype: str) -> pd.Series[Any]:
    if dtype == TEXT:
        return values.astype("string").fillna("")
    if dtype == TIME:
        return pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601").astype("datetime64[us, UTC]")
    numbers = values.astype("float64")
    return numbers.round().astype("Int64") if dtype == WHOLE else numbers


def _curve(entry: _Entry) -> pd.DataFrame:
    path = entry.attempt.path / CURVE
    try:
        curve = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: not a curve that ganbench wrote ({error})") from error
    job = entry.job
    variant, seed = (str(job.variant), job.seed) if isinstance(job, Trial) else (job.name, None)
    labels = (entry.suite, entry.attempt.key, str(job.dataset), variant, seed)
    for name, label in zip(reversed(CURVE_LABELS), reversed(labels), strict=True):
        curve.insert(0, name, pd.Series(label, index=curve.index, dtype=COLUMNS[name].dtype))
    return curve
