"""One job, or several seeds of one variant together: built, trained and measured, each leaves one record."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from safetensors.torch import save_model
from torch import Tensor

from ganbench.accounting import clock_for, count_flops
from ganbench.building import build_engine, build_evaluator, build_group, require_training_samples
from ganbench.datasets import noise_like
from ganbench.environment import describe_environment, settle, without_rounding
from ganbench.errors import DataError, GanbenchError
from ganbench.events import EventLog
from ganbench.ledger import Ledger, LedgerClock
from ganbench.metrics import Evaluator
from ganbench.observing import RESAMPLES, Observer
from ganbench.pictures import draw_samples
from ganbench.players import detached
from ganbench.plugins import discover
from ganbench.protocols import Data
from ganbench.seeding import global_stream, stream
from ganbench.stepping import Diverged, Stepper
from ganbench.store import ENVIRONMENT, GENERATOR, LOG, Attempt
from ganbench.submissions import submitted
from ganbench.tasks import Task, now
from ganbench.terms import Record, Reference, Score, Spent, Status, Trial, kind_of
from ganbench.training import Checkpointed, Meter, train
from ganbench.workshop import Workshop, load_data

MEMORY_SIGNS = ("DefaultCPUAllocator", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""How torch says in other errors that memory ran out."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: what a record says beside its key and times."""

    status: Status = "ok"
    message: str = ""
    failed_step: int | None = None
    spent: Spent = Spent()
    scores: tuple[Score, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)


class Run:
    """One job on its way to its record. `together` is how many share this process, and so its time."""

    def __init__(self, task: Task, together: int) -> None:
        self.task = task
        self.events = EventLog(task.attempt, task.job.budget if isinstance(task.job, Trial) else None)
        self._together = together
        self._started_at, self._began = now(), time.perf_counter()

    def describe(self, workshop: Workshop, **more: object) -> None:
        """Write down the software, the machine and the driver."""
        job, driver = self.task.job, self.task.driver
        precision = job.training.precision if isinstance(job, Trial) else "float32"
        environment = describe_environment(workshop.device, precision)
        if isinstance(job, Trial):
            more = {"driver": driver.name, "driver_reason": driver.reason, "seeds_together": self._together, **more}
        self.task.attempt.write_json(ENVIRONMENT, {**environment, **more})

    def log(self, text: str) -> None:
        """Append to what the job printed."""
        with (self.task.attempt.path / LOG).open("a", encoding="utf-8") as log:
            log.write(text)

    def commit(self, outcome: Outcome) -> None:
        """Write the record. Of a process that seeds share, each is told its part of the time."""
        costs = {**self._seconds(outcome), **outcome.costs}
        kind, key = kind_of(self.task.job), self.task.job.key
        ended = replace(outcome, costs=costs)
        record = Record(key, kind, started_at=self._started_at, finished_at=now(), **vars(ended))
        self.task.attempt.commit(record)

    def _seconds(self, outcome: Outcome) -> dict[str, float]:
        """The whole job's time, and the part of it that went into getting ready: loading, building and rehearsing."""
        wall = (time.perf_counter() - self._began) / self._together
        if outcome.status != "ok":
            return {"wall_seconds": wall}
        told = outcome.costs.get("training_seconds", 0.0) + outcome.costs.get("evaluation_seconds", 0.0)
        return {"wall_seconds": wall, "preparation_seconds": max(wall - told, 0.0)}


def perform(tasks: Sequence[Task]) -> str:
    """Do one job, or seeds of one variant together, and commit their records, whatever becomes of them.

    Gives why seeds could not be done together, "" otherwise: then those that have no record are to be done alone.
    """
    runs = [Run(task, len(tasks)) for task in tasks]
    first = tasks[0]
    try:
        workshop = Workshop(discover(first.plugin_files), first.places, torch.device(first.device))
        for run in runs:
            run.describe(workshop)
            run.events.write("started")
        settle(workshop.device, first.job.training.precision if isinstance(first.job, Trial) else "float32")
        _run(runs, workshop)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a trial dies of is a row of the results
        runs[0].log(traceback.format_exc())
        if len(runs) > 1:
            return failure(error, Spent()).message
        runs[0].commit(failure(error, runs[0].events.spent))
    return ""


def failure(error: BaseException, spent: Spent) -> Outcome:
    """The outcome that an exception stands for."""
    if isinstance(error, Diverged):
        return Outcome("diverged", str(error), error.step, spent)
    status: Status = "oom" if _out_of_memory(error) else "error"
    kind, first_line = type(error).__name__, str(error).strip().partition("\n")[0]
    message = first_line if isinstance(error, GanbenchError) else f"{kind}: {first_line}" if first_line else kind
    return Outcome(status, message, spent.steps or None, spent)


def _out_of_memory(error: BaseException | None) -> bool:
    if error is None:
        return False
    own = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(sign in str(error) for sign in MEMORY_SIGNS)
    return own or _out_of_memory(error.__cause__)


def _run(runs: Sequence[Run], workshop: Workshop) -> None:
    run = runs[0]
    job, attempt = run.task.job, run.task.attempt
    data = load_data(workshop, job.dataset)
    for each in runs:
        each.describe(workshop, plugins=workshop.sources(job), data=data.origin)
    with without_rounding():
        evaluator = build_evaluator(workshop, data, job.dataset, job.evaluation)
    if isinstance(job, Trial):
        require_training_samples(job.dataset, data)
        run_trials(runs, data, evaluator, workshop)
        return
    if isinstance(job, Reference):
        make = partial(reference_samples, job, data, evaluator.count)
    else:
        make = partial(submitted, job, run.task.source, data, evaluator.count, workshop)
    run.commit(measured_once(make, attempt, data, evaluator, workshop.device))


def measured_once(
    make: Callable[[], tuple[Tensor, Tensor | None]],
    attempt: Attempt,
    data: Data,
    evaluator: Evaluator,
    device: torch.device,
) -> Outcome:
    """Measure the samples that `make` gives, with the classes they were to be of, as a generator's are measured."""
    started = time.perf_counter()
    samples, labels = make()
    with global_stream(0, "metrics", device):
        scores = evaluator.scores(samples, labels, RESAMPLES)
    draw_samples(samples, data, attempt.path / "samples-00000000.png")
    return Outcome(scores=scores, costs={"evaluation_seconds": time.perf_counter() - started})


def reference_samples(reference: Reference, data: Data, count: int) -> tuple[Tensor, Tensor | None]:
    """`count` samples of the reference and their labels: of the training split without repetition, of the density, or
    noise. Raises DataError where the data has none to give.
    """
    rng = stream(0, f"reference/{reference.dataset.name}/{reference.name}")
    if reference.name == "noise":
        return noise_like(data, count, rng), None
    if reference.name == "perfect":
        if data.density is None:
            raise DataError(f"{reference.dataset}: no known density, so nothing to draw perfect samples from")
        return data.density.sample(count, rng), None
    if not len(data.train):
        raise DataError(f"{reference.dataset}: all samples are held out, so there is no real sample to compare with")
    chosen = torch.randperm(len(data.train), generator=rng)[:count]
    return data.train[chosen], None if data.train_labels is None else data.train_labels[chosen]


def run_trials(runs: Sequence[Run], data: Data, evaluator: Evaluator, workshop: Workshop) -> None:
    """Train the trials of `runs` and measure each at every evaluation point; scores are those at the budget's end.

    Raises Diverged where one trains alone, and whatever keeps several from training together.
    """
    trials = [run.task.job for run in runs if isinstance(run.task.job, Trial)]
    first, driver = trials[0], runs[0].task.driver
    flops = count_flops(build_engine(workshop, first, data).step)  # a rehearsal, on an engine that is thrown away
    with global_stream(first.seed, "training", workshop.device):
        if len(trials) == 1:
            engine = build_engine(workshop, first, data, driver)
        else:
            engine = build_group(workshop, trials, data, driver)
        training = TrainedTogether(runs, engine, data, evaluator, workshop.device)
        ledger = Ledger(workshop.device, alone=runs[0].task.alone)
        meter = Meter(LedgerClock(clock_for(workshop.device), ledger), flops)
        try:
            for checkpoint in train(engine, first.budget, first.evaluation.points, meter, training.report):
                with without_rounding():
                    training.look(checkpoint)
        except Diverged as error:
            training.lose(error)
    training.finish(ledger, flops)


class TrainedTogether:
    """The runs behind an engine's seeds, in the engine's order: each is told, measured and recorded by itself."""

    def __init__(
        self, runs: Sequence[Run], engine: Stepper, data: Data, evaluator: Evaluator, device: torch.device
    ) -> None:
        self._runs = runs
        self._engine = engine
        self._observers = [
            Observer(
                run.task.job,
                run.task.attempt,
                data,
                evaluator,
                device,
                run.events,
                conditional="generator" in engine.players[0].told,
            )
            for run in runs
            if isinstance(run.task.job, Trial)
        ]
        self._left = dict(enumerate(runs))
        self._started = time.perf_counter()

    def report(self, spent: Spent) -> None:
        """Tell how far training is."""
        for run in self._left.values():
            run.events.progress(spent)

    def look(self, checkpoint: Checkpointed) -> None:
        """Measure every seed that is left; those that have diverged are recorded and left out from here on."""
        for place in list(self._left):
            if place in self._engine.diverged:
                self._lose(place, self._engine.diverged[place])
                continue
            observer, players = self._observers[place], self._engine.players[place]
            try:
                observer.look(players, checkpoint.spent, checkpoint.statistics[place], final=checkpoint.final)
            except Diverged as error:
                self._lose(place, error)
        if not self._left:
            raise Diverged(checkpoint.spent.steps, "every seed")

    def lose(self, error: Diverged) -> None:
        """Record all that are left as diverged."""
        for place in list(self._left):
            self._lose(place, self._engine.diverged.get(place, error))

    def finish(self, ledger: Ledger, flops: int) -> None:
        """Save the generator of every seed that is left, and record its scores and what they cost."""
        together = len(self._runs)
        evaluation = sum(observer.evaluation_seconds for observer in self._observers)
        training = (time.perf_counter() - self._started - evaluation) / together
        kept = ledger.costs()
        if "energy_joules" in kept:
            kept["energy_joules"] /= together
        for place, run in self._left.items():
            observer, players = self._observers[place], self._engine.players[place]
            save_model(detached(players.scored), str(run.task.attempt.path / GENERATOR))
            costs = {
                **kept,
                **observer.costs(players),
                "training_seconds": training,
                "flops_per_step": float(flops),
                "flops_per_second": flops * observer.spent.steps / max(observer.spent.device_seconds, 1e-9),
            }
            run.commit(Outcome(spent=observer.spent, scores=observer.scores, costs=costs))

    def _lose(self, place: int, error: Diverged) -> None:
        run = self._left.pop(place)
        run.log("".join(traceback.format_exception(error)))
        run.commit(failure(error, run.events.spent))
