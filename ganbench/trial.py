"""One job, or several seeds of one variant together: built, trained and measured, each leaves one record."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

import ganbench
from ganbench.accounting import clock_for, count_flops
from ganbench.building import build_engine, build_evaluator, build_group, require_training_samples
from ganbench.datasets import noise_like
from ganbench.environment import device_name, settle, without_rounding
from ganbench.errors import DataError, StorageError
from ganbench.keeping import Keeper
from ganbench.ledger import Ledger, LedgerClock
from ganbench.metrics import Evaluator
from ganbench.observing import RESAMPLES, Observer
from ganbench.pictures import draw_samples
from ganbench.plugins import discover
from ganbench.protocols import Data
from ganbench.runs import Outcome, Run, failure, save_generator
from ganbench.seeding import global_stream, stream
from ganbench.states import State
from ganbench.stepping import Diverged, Stepper
from ganbench.store import GENERATOR, Attempt
from ganbench.submissions import submitted
from ganbench.tasks import Stopped, Task
from ganbench.tensorfiles import DamagedError
from ganbench.terms import Reference, Spent, Trial
from ganbench.training import Checkpointed, Meter, train
from ganbench.workshop import Workshop, load_data


def perform(tasks: Sequence[Task]) -> str:
    """Do one job, or seeds of one variant together, and commit their records, whatever becomes of them.

    Gives why seeds could not be done together, "" otherwise: then those that have no record are to be done alone.
    Raises Stopped where the run asked for it, and StorageError where the disk takes no more: then there is no record,
    and what was reached is kept.
    """
    runs = [Run(task, len(tasks)) for task in tasks]
    first, left = tasks[0], [run for run in runs if not run.recorded]
    try:
        workshop = Workshop(discover(first.plugin_files), first.places, torch.device(first.device))
        for run in left:
            run.describe(workshop)
            run.events.write("started")
        settle(workshop.device, first.job.training.precision if isinstance(first.job, Trial) else "float32")
        limit_device_memory(workshop.device, first.memory_bytes)
        _run(runs, workshop)
    except (Stopped, StorageError):
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a trial dies of is a row of the results
        left[0].log(traceback.format_exc())
        if len(runs) > 1:
            return failure(error, Spent()).message
        left[0].commit(failure(error, left[0].events.spent))
    return ""


def limit_device_memory(device: torch.device, memory_bytes: int | None) -> None:
    """Let this process take no more of a GPU's memory than that: beyond it, torch says that there is none."""
    if device.type == "cuda" and memory_bytes is not None:
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(memory_bytes / total, 1.0), device)


def _run(runs: Sequence[Run], workshop: Workshop) -> None:
    run = runs[0]
    job, attempt = run.task.job, run.task.attempt
    data = load_data(workshop, job.dataset)
    for each in (run for run in runs if not run.recorded):
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
        keeper = Keeper(
            runs[0].task.keeping,
            _identity(runs, data, workshop),
            lambda: _state(engine, training, ledger, meter),
            lambda why: training.tell("without checkpoints", why=why),
        )
        _go_on(keeper, engine, training, ledger, meter)
        try:
            for checkpoint in train(engine, first.budget, first.evaluation.points, meter, training.report, keeper):
                with without_rounding():
                    training.look(checkpoint)
        except Diverged as error:
            training.lose(error)
    training.finish(ledger, flops, keeper)


def _identity(runs: Sequence[Run], data: Data, workshop: Workshop) -> dict[str, Any]:
    """What a checkpoint must have been made by and of, to be gone on from to the same end."""
    trials = [run.task.job for run in runs if isinstance(run.task.job, Trial)]
    device = workshop.device
    timed = trials[0].budget.device_seconds is not None
    return {
        "trials": [trial.key for trial in trials],
        "attempts": [run.task.attempt.task().get("id") for run in runs],
        "driver": runs[0].task.driver.name,
        "software": {"ganbench": ganbench.__version__, "torch": torch.__version__},
        "plugins": workshop.sources(trials[0]),
        "data": data.origin,
        "device": device_name(device) if timed else device.type,
    }


def _state(engine: Stepper, training: TrainedTogether, ledger: Ledger, meter: Meter) -> State:
    return {
        "engine": engine.state(),
        "training": training.state(),
        "ledger": ledger.state(),
        "charged": meter.clock.seconds(),
    }


def _go_on(keeper: Keeper, engine: Stepper, training: TrainedTogether, ledger: Ledger, meter: Meter) -> None:
    """Go on from the checkpoint, where there is one of use; else from the beginning."""
    try:
        saved = keeper.saved()
    except DamagedError as error:
        training.tell("restarted", why=f"the checkpoint is of no use: {error}")
        return
    if saved is None:
        return
    engine.restore(saved["engine"])
    ledger.restore(saved["ledger"])
    meter.clock.start_at(saved["charged"])
    training.restore(saved["training"], meter.spent(engine))


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
        self._left = {place: run for place, run in enumerate(runs) if not run.recorded}
        self._started = time.perf_counter()

    def state(self) -> State:
        """What was seen so far, and what it took."""
        return {
            "observers": [observer.state() for observer in self._observers],
            "runs": [run.state() for run in self._runs],
            "seconds": time.perf_counter() - self._started,
        }

    def restore(self, state: State, spent: Spent) -> None:
        """Go on from there, where each seed has spent so much."""
        self._started -= state["seconds"]
        for place, run in self._left.items():
            run.restore(state["runs"][place], spent)
            self._observers[place].restore(state["observers"][place])

    def tell(self, event: str, **details: Any) -> None:
        """Write down what happened to all that are left."""
        for run in self._left.values():
            run.events.write(event, **details)

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

    def finish(self, ledger: Ledger, flops: int, keeper: Keeper) -> None:
        """Save the generator of every seed that is left, and record its scores and what they cost."""
        together = len(self._runs)
        evaluation = sum(observer.evaluation_seconds for observer in self._observers)
        training = (time.perf_counter() - self._started - evaluation - keeper.seconds) / together
        kept = ledger.costs()
        if "energy_joules" in kept:
            kept["energy_joules"] /= together
        for place, run in self._left.items():
            observer, players = self._observers[place], self._engine.players[place]
            save_generator(players.scored, run.task.attempt.path / GENERATOR)
            costs = {
                **kept,
                **observer.costs(players),
                "training_seconds": training,
                "checkpoint_seconds": keeper.seconds / together,
                "flops_per_step": float(flops),
                "flops_per_second": flops * observer.spent.steps / max(observer.spent.device_seconds, 1e-9),
            }
            run.commit(Outcome(spent=observer.spent, scores=observer.scores, costs=costs))

    def _lose(self, place: int, error: Diverged) -> None:
        run = self._left.pop(place)
        run.log("".join(traceback.format_exception(error)))
        run.commit(failure(error, run.events.spent))
