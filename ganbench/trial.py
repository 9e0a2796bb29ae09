"""One job: a trial is built, trained and measured and leaves one record; what is not trained is measured alike."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import pandas as pd
import torch
from safetensors.torch import save_model
from torch import Tensor

from ganbench.accounting import clock_for, count_flops, forget_peak_memory, peak_memory_bytes
from ganbench.building import Workshop, build_engine, build_evaluator, load_data, require_training_samples
from ganbench.datasets import noise_like
from ganbench.environment import describe_environment, settle
from ganbench.errors import DataError, GanbenchError
from ganbench.events import EventLog
from ganbench.metrics import Evaluator
from ganbench.pictures import draw_samples
from ganbench.players import Players, sample
from ganbench.plugins import discover
from ganbench.protocols import Data
from ganbench.seeding import global_stream, stream
from ganbench.store import CURVE, ENVIRONMENT, GENERATOR, LOG, Attempt, write_atomically
from ganbench.submissions import at_rest, evaluation_latents, submitted
from ganbench.tasks import Task, now
from ganbench.terms import Record, Reference, Score, Spent, Status, Submission, Trial, kind_of
from ganbench.training import Checkpointed, Diverged, Engine, Meter, train

RESAMPLES = 20
"""How often metrics resample for the noise of the scores that a record holds; along a curve they do not."""

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


def perform(task: Task) -> None:
    """Do one job in this process and commit its record, whatever becomes of it."""
    started, began = now(), time.perf_counter()
    events = EventLog(task.attempt, task.job.budget if isinstance(task.job, Trial) else None)
    try:
        workshop = Workshop(discover(task.plugin_files), task.places, torch.device(task.device))
        settle(workshop.device)
        task.attempt.write_json(ENVIRONMENT, describe_environment(workshop.device))
        events.write("started")
        outcome = _run(task, workshop, events)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a trial dies of is a row of the results
        with (task.attempt.path / LOG).open("a", encoding="utf-8") as log:
            log.write(traceback.format_exc())
        outcome = failure(error, events.spent)
    outcome = replace(outcome, costs={**_seconds(time.perf_counter() - began, outcome), **outcome.costs})
    kind, finished = kind_of(task.job), now()
    task.attempt.commit(Record(task.job.key, kind, started_at=started, finished_at=finished, **vars(outcome)))


def _seconds(wall: float, outcome: Outcome) -> dict[str, float]:
    """The whole job's time, and the part of it that went into getting ready: loading, building and rehearsing."""
    if outcome.status != "ok":
        return {"wall_seconds": wall}
    told = outcome.costs.get("training_seconds", 0.0) + outcome.costs.get("evaluation_seconds", 0.0)
    return {"wall_seconds": wall, "preparation_seconds": wall - told}


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


def _run(task: Task, workshop: Workshop, events: EventLog) -> Outcome:
    job, attempt, device = task.job, task.attempt, workshop.device
    data = load_data(workshop, job.dataset)
    environment = {**describe_environment(workshop.device), "plugins": workshop.sources(job)}
    attempt.write_json(ENVIRONMENT, {**environment, "data": data.origin})
    evaluator = build_evaluator(workshop, data, job.dataset, job.evaluation)
    if isinstance(job, Reference):
        return measured_once(partial(reference_samples, job, data, evaluator.count), attempt, data, evaluator, device)
    if isinstance(job, Submission):
        return measured_once(
            partial(submitted, job, task.source, data, evaluator.count, workshop), attempt, data, evaluator, device
        )
    require_training_samples(job.dataset, data)
    return run_trial(job, attempt, data, evaluator, workshop, events)


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


def run_trial(
    trial: Trial, attempt: Attempt, data: Data, evaluator: Evaluator, workshop: Workshop, events: EventLog
) -> Outcome:
    """Train the trial and measure it at every evaluation point; its scores are those at the end of the budget."""
    flops = count_flops(build_engine(workshop, trial, data).step)  # a rehearsal, on an engine that is thrown away
    with global_stream(trial.seed, "training", workshop.device):
        engine = build_engine(workshop, trial, data)
        measured = Measured(trial, attempt, data, evaluator, workshop, events)
        meter = Meter(clock_for(workshop.device), flops)
        for checkpoint in train(engine, trial.budget, trial.evaluation.points, meter, events.progress):
            measured.look(engine.players, checkpoint)
    save_model(engine.players.scored, str(attempt.path / GENERATOR))
    return measured.outcome(engine, flops)


class Measured:
    """What is seen of a trial at its evaluation points: the curve, the pictures and the scores."""

    def __init__(
        self, trial: Trial, attempt: Attempt, data: Data, evaluator: Evaluator, workshop: Workshop, events: EventLog
    ) -> None:
        self._attempt, self._data, self._evaluator, self._events = attempt, data, evaluator, events
        latents = evaluation_latents(trial.seed, trial.training.latent_dim, evaluator.count)
        self._latents = latents.to(workshop.device)
        self._sampling = clock_for(workshop.device)
        self._device = workshop.device
        forget_peak_memory(self._device)
        self._started = time.perf_counter()
        self._evaluation_seconds = 0.0
        self._peak_memory_bytes = 0
        self._rows: list[dict[str, float | None]] = []
        self._scores: tuple[Score, ...] = ()
        self._spent = Spent()

    def look(self, players: Players, checkpoint: Checkpointed) -> None:
        """Measure the generator now: one row of the curve, one picture, the current scores. Raises Diverged."""
        began, spent = time.perf_counter(), checkpoint.spent
        self._events.spent = spent
        self._peak_memory_bytes = max(self._peak_memory_bytes, peak_memory_bytes(self._device))
        samples = self._samples(players, spent)
        with global_stream(0, "metrics", self._device):  # whatever a plugin's metric draws
            self._scores = self._evaluator.scores(samples, resamples=RESAMPLES if checkpoint.final else 0)
        self._spent = spent
        draw_samples(samples, self._data, self._attempt.path / f"samples-{spent.steps:08d}.png")
        values = {score.name: score.value for score in self._scores}
        wall = {"wall_seconds": time.perf_counter() - self._started}
        self._rows.append({**asdict(spent), **wall, **values, **checkpoint.statistics})
        write_atomically(self._attempt.path / CURVE, pd.DataFrame(self._rows).to_parquet(index=False))
        self._events.evaluated(spent, self._scores)
        forget_peak_memory(self._device)
        self._evaluation_seconds += time.perf_counter() - began

    def _samples(self, players: Players, spent: Spent) -> Tensor:
        self._sampling.resume()
        samples = sample(players.scored, self._latents, players.generator_label)
        self._sampling.pause()
        try:
            return at_rest(players.generator_label, samples, (self._evaluator.count, *players.shape))
        except FloatingPointError as error:
            raise Diverged(spent.steps, "a generated sample") from error

    def outcome(self, engine: Engine, flops: int) -> Outcome:
        """The trial's scores at the end of its budget, and what they cost."""
        spent = self._spent
        seconds = max(spent.device_seconds, 1e-9)
        sampled = self._evaluator.count * len(self._rows)
        costs = {
            "training_seconds": time.perf_counter() - self._started - self._evaluation_seconds,
            "evaluation_seconds": self._evaluation_seconds,
            "images_per_second": spent.kimg * 1000 / seconds,
            "steps_per_second": spent.steps / seconds,
            "sampling_images_per_second": sampled / max(self._sampling.seconds(), 1e-9),
            "peak_memory_bytes": float(self._peak_memory_bytes),
            "generator_parameters": float(_count_parameters(engine.players.generator)),
            "discriminator_parameters": float(_count_parameters(engine.players.discriminator)),
            "flops_per_step": float(flops),
        }
        return Outcome(spent=spent, scores=self._scores, costs=costs)


def _count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
