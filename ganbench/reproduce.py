"""A recorded job done once more, as it was done: by the same driver, in the same company of seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ganbench.agreement import TOLERANCE, Account, Verdict, compare
from ganbench.assignments import assignment_of
from ganbench.crew import Settings, View
from ganbench.curves import read_curve
from ganbench.drivers import Driver, DriverName
from ganbench.entries import course_of
from ganbench.errors import ChoiceError, ResultsError
from ganbench.executors import LocalProcesses, chosen_gpus
from ganbench.plugins import Registry
from ganbench.protocols import Places
from ganbench.resuming import remember_groups
from ganbench.runner import run
from ganbench.schedule import Group
from ganbench.store import CURVE, GENERATOR, Attempt, Store
from ganbench.terms import Limits, Submission, Trial
from ganbench.workshop import Workshop

Company = tuple[Driver, list[Attempt]]
"""A driver, and attempts at all jobs that shared a process, in order."""


@dataclass(frozen=True)
class Reproduction:
    """A recorded attempt, the one that was made anew, and how they compare."""

    then: Attempt
    now: Attempt
    verdict: Verdict


def reproduce(
    attempt: Attempt, registry: Registry, store: Store, settings: Settings, view: View, tolerance: float = TOLERANCE
) -> Reproduction:
    """Do the attempt's job again, with its results in the new `store`, and compare.

    Where all that shared its process are recorded, all are done again; otherwise it is done alone. Raises GanbenchError
    for what cannot be done again: something made elsewhere, a plugin that is not here.
    """
    require_repeatable(attempt, registry, store)
    driver, company = company_of(attempt)
    settings = replace(settings, device=_device(attempt, settings.device), limits=_limits(attempt, settings.limits))
    if settings.device == "cpu" and driver.captured:
        driver = replace(driver, name="vectorised" if driver.vectorised else "eager")
    jobs = [member.job() for member in company]
    if isinstance(attempt.job(), Trial):
        store.path.mkdir(parents=True, exist_ok=True)
        remember_groups([Group(tuple(jobs), driver)], store)  # which the run then keeps to
    run(jobs, store, settings, view)
    now = store.latest(attempt.job().key)
    if now is None:
        raise ResultsError(f"{store.path}: no record came of it")
    timed = isinstance(job := attempt.job(), Trial) and job.budget.device_seconds is not None
    weights = weight_distances(attempt.path / GENERATOR, now.path / GENERATOR)
    return Reproduction(attempt, now, compare(account_of(attempt), account_of(now), weights, tolerance, timed=timed))


def require_repeatable(attempt: Attempt, registry: Registry, store: Store) -> None:
    """Nothing, if the attempt's job can be done again here, in that store."""
    job = attempt.job()
    if isinstance(job, Submission):
        raise ResultsError(
            f"{attempt.key[:8]}: '{job.name}' was made elsewhere and only measured here. "
            "'ganbench evaluate --force', with the samples or the generator, measures it again"
        )
    if store.latest(job.key) is not None:
        raise ResultsError(f"--results {store.path}: has this job already. Pass a new folder, or none")
    try:
        Workshop(registry, Places(), torch.device("cpu")).offers(job)
    except ChoiceError as error:
        recorded = ", ".join(_plugins_in_files(attempt))
        hint = f"\nIt was done with {recorded}. Pass --plugin FILE" if recorded else ""
        raise ChoiceError(f"{attempt.key[:8]} cannot be done again: {error}{hint}") from error


def _plugins_in_files(attempt: Attempt) -> list[str]:
    """The recorded plugins that no distribution brought."""
    listed = attempt.environment().get("plugins")
    found = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return [f"{item.get('plugin')} #{str(item.get('sha256'))[:12]}" for item in found if not item.get("version")]


def company_of(attempt: Attempt) -> Company:
    """How the attempt was carried out: by which driver, and with whom. Alone where the others are not all recorded.

    What was recorded before assignments were written down tells only how many there were: they are the variant's seeds
    if there are as many in the store.
    """
    assignment = assignment_of(attempt)
    store = Store(attempt.path.parents[2])
    if assignment is None:
        return _company_by_number(attempt, store)
    found = [attempt if key == attempt.key else store.latest(key) for key in assignment.together]
    members = [member for member in found if member is not None]
    return (assignment.driver, members) if len(members) == len(found) else (_alone(assignment.driver), [attempt])


def _company_by_number(attempt: Attempt, store: Store) -> Company:
    driver, number = _driver_in(attempt)
    if number == 1:
        return driver, [attempt]
    alike = [attempt if other.key == attempt.key else other for other in store.newest() if _alike(attempt, other)]
    members = sorted(alike, key=lambda member: job.seed if isinstance(job := member.job(), Trial) else 0)
    return (driver, members) if len(members) == number else (_alone(driver), [attempt])


def _alike(attempt: Attempt, other: Attempt) -> bool:
    """Whether they are seeds of one variant, carried out alike."""
    job, another = attempt.job(), other.job()
    same = isinstance(job, Trial) and isinstance(another, Trial) and replace(another, seed=job.seed) == job
    return same and _driver_in(attempt) == _driver_in(other)


def _driver_in(attempt: Attempt) -> tuple[Driver, int]:
    """The driver that an environment tells of, and how many seeds trained together."""
    environment = attempt.environment()
    names: dict[str, DriverName] = {
        "vectorised": "vectorised",
        "graph": "graph",
        "vectorised+graph": "vectorised+graph",
    }
    number = environment.get("seeds_together")
    return Driver(names.get(course_of(environment).driver, "eager")), number if type(number) is int else 1


def _alone(driver: Driver) -> Driver:
    return Driver("graph" if driver.captured else "eager", "its company is not recorded" if driver.vectorised else "")


def _device(attempt: Attempt, wanted: str) -> str:
    """The device to run on: `auto` is the kind that the attempt ran on, if it is here. Raises GanbenchError."""
    if wanted == "auto" and attempt.environment().get("device_kind", "cpu") == "cpu":
        return "cpu"
    with LocalProcesses(1) as executor:
        return next(iter(chosen_gpus(executor, wanted)), "cpu")


def _limits(attempt: Attempt, usual: Limits) -> Limits:
    """What was ended for its time has that time again, and no more."""
    record = attempt.record()
    return replace(usual, seconds=record.costs.get("wall_seconds")) if record.status == "timeout" else usual


def account_of(attempt: Attempt) -> Account:
    """What the attempt left behind but for its weights."""
    path = attempt.path / CURVE
    curve = read_curve(path).to_dict(orient="list") if path.is_file() else {}
    told = {str(name): [_number(value) for value in values] for name, values in curve.items()}
    return Account(attempt.record(), attempt.environment(), told)


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def weight_distances(then: Path, now: Path) -> dict[str, float]:
    """For each tensor of two generators, how far it is from the former, relative to the former's norm.

    0 only where every bit is the same; infinite where one side has none of that name, or one of another shape. Raises
    ResultsError for a file that holds no tensors.
    """
    before, after = _tensors(then), _tensors(now)
    return {name: _distance(before.get(name), after.get(name)) for name in sorted({*before, *after})}


def _tensors(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path) if path.is_file() else {}
    except (OSError, SafetensorError) as error:
        raise ResultsError(f"{path}: cannot be read ({error})") from error


def _distance(then: Tensor | None, now: Tensor | None) -> float:
    if then is None or now is None or (then.shape, then.dtype) != (now.shape, now.dtype):
        return math.inf
    if torch.equal(_bits(then), _bits(now)):
        return 0.0
    norm = torch.linalg.vector_norm(then.double())
    distance = float(torch.linalg.vector_norm(now.double() - then.double()) / norm)
    return distance if 0 < distance < math.inf else math.inf


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)
