"""A recorded attempt as the row of a table: what it is called, what it can be compared with, where it ran."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

from ganbench.entries import Course, Entry, Usual, canonical, course_of, names_of, text_of
from ganbench.parsing import once
from ganbench.terms import Choice, Reference, Score, Submission, Training, Trial, Variant


def cells(entry: Entry, usual: Usual) -> dict[str, Any]:
    """The entry's row but for its scores and costs, by column."""
    record = entry.record
    setting = usual.setting(entry)
    evaluation = (entry.plan, setting.measured, setting.data)
    return {
        "suite": entry.suite,
        "kind": record.kind,
        "key": entry.attempt.key,
        "attempt": entry.attempt.number,
        "status": record.status,
        "message": record.message,
        "failed_step": record.failed_step,
        "dataset": text_of(entry.job.dataset),
        **_job_cells(entry, evaluation, setting.device, usual.course(entry)),
        "evaluation_protocol": _hash(evaluation),
        **vars(record.spent),
        **_environment_cells(entry),
        **_provenance(record.scores),
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "path": str(entry.attempt.path),
    }


def _job_cells(entry: Entry, evaluation: tuple[Hashable, ...], device: str, course: Course) -> dict[str, Any]:
    job = entry.job
    if isinstance(job, Submission):
        own = {"generator": job.source, "recipe": entry.attempt.key[:8]}
        return {"variant": job.name, **own, "protocol": _hash(evaluation)}
    if isinstance(job, Reference):
        return {"variant": job.name, "protocol": _hash(evaluation)}
    conditions = _conditions(job, device, course)
    overshoot = job.budget.overshoot(entry.record.spent)
    return {
        **names_of(job.variant),
        "seed": job.seed,
        "training": _differences(job.training),
        "recipe": _recipe(job.training, job.variant),
        "protocol": _hash(evaluation, job.budget, conditions),
        "budget": text_of(job.budget),
        "conditions": conditions,
        **{f"overshoot_{axis}": value for axis, value in overshoot.items()},
    }


def _conditions(trial: Trial, device: str, course: Course) -> str:
    """What trials that are ranked together share besides budget and measuring: the precision that they came to and,
    where device time is the budget, what buys more or less for it.
    """
    conditions = [] if course.precision == "float32" else [f"precision {course.precision}"]
    if trial.budget.device_seconds is not None:
        conditions += [f"device {device}", f"driver {course.driver}"]
    return " · ".join(conditions)


@once
def _recipe(training: Training, variant: Variant) -> str:
    """A hash of how the variant trains; not of the precision asked for, which a device may not have."""
    training = replace(training, precision="float32")
    return _digest([training, [(choice.defaults, choice.code) for choice in _choices(variant)]])


def _choices(variant: Variant) -> tuple[Choice, ...]:
    return tuple(choice for _, choice in variant.parts)


@once
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


def _environment_cells(entry: Entry) -> Mapping[str, Any]:
    """Where it ran and, of a trial, how."""
    return _where(entry.environment) if entry.course is None else _where_and_how(entry.environment)


@once
def _where(environment: Mapping[str, Any]) -> Mapping[str, Any]:
    found = {name: str(environment.get(name, "")) for name in ("device", "device_kind", "ganbench", "python")}
    packages = environment.get("packages")
    torch = str(packages.get("torch", "")) if isinstance(packages, Mapping) else ""
    return {**found, "torch": torch, "plugins": _plugins(environment), "git": _git(environment)}


def _plugins(environment: Mapping[str, Any]) -> str:
    """`ganbench 0.1.0 (dcgan #5e6f7a8b, digits #1a2b3c4d), my_gan.py #9c0d1e2f`; empty where there are no hashes."""
    listed = environment.get("plugins")
    told = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    owners: dict[str, list[str]] = {}
    for item in told:
        plugin, owner, version, code = (str(item.get(name, "")) for name in ("plugin", "owner", "version", "sha256"))
        owners.setdefault(f"{owner} {version}".strip(), []).append(f"{plugin * bool(version)} #{code[:8]}".strip())
    return ", ".join(_of_owner(owner, sorted(plugins)) for owner, plugins in sorted(owners.items()))


def _of_owner(owner: str, plugins: Sequence[str]) -> str:
    alone = len(plugins) == 1 and plugins[0].startswith("#")
    return f"{owner} {plugins[0]}" if alone else f"{owner} ({', '.join(plugins)})"


def _git(environment: Mapping[str, Any]) -> str:
    """The commit that ganbench ran from, with a + behind it where the code was not as it was committed."""
    states = environment.get("git")
    state = states.get("ganbench") if isinstance(states, dict) else None
    if not isinstance(state, dict):
        return ""
    return f"{str(state.get('commit', ''))[:12]}{'+' if state.get('dirty') is True else ''}"


@once
def _where_and_how(environment: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same of a trial. What was recorded before there were drivers trained eagerly and alone."""
    together = environment.get("seeds_together")
    return {
        **_where(environment),
        **course_of(environment)._asdict(),
        "seeds_together": together if type(together) is int else 1,
        "driver_reason": str(environment.get("driver_reason", "")),
    }


_PROVENANCE = ("extractor", "weights_sha256", "n_fake", "n_real", "split")


def _provenance(scores: Sequence[Score]) -> dict[str, Any]:
    """How the first score that uses an extractor was measured, else the first score."""
    told = next((score for score in scores if score.extractor), scores[0] if scores else None)
    return {name: getattr(told, name) for name in _PROVENANCE} if told else {}


@lru_cache(maxsize=1024)
def _hash(*parts: Any) -> str:
    """A short hash of one part, or of a list of them; equal ones are written alike."""
    return _digest(parts[0] if len(parts) == 1 else parts)


def _digest(part: Any) -> str:
    return hashlib.sha256(canonical(part).encode()).hexdigest()[:8]
