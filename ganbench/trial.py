"""One trial: build, train, measure, and leave one record. References are measured alike, without training."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import pandas as pd
import torch
from safetensors.torch import save_model
from torch import Tensor

from ganbench.accounting import clock_for, count_flops, forget_peak_memory, peak_memory_bytes
from ganbench.building import Workshop, build_engine, build_evaluator, load_data
from ganbench.datasets import noise_like, quantise
from ganbench.environment import describe_environment, settle
from ganbench.errors import GanbenchError, PluginError
from ganbench.events import EventLog
from ganbench.metrics import Evaluator
from ganbench.objective import expect_shape
from ganbench.pictures import draw_samples
from ganbench.players import Players, sample
from ganbench.plugins import discover
from ganbench.protocols import Data
from ganbench.seeding import global_stream, stream
from ganbench.store import CURVE, ENVIRONMENT, GENERATOR, LOG, Attempt, write_atomically
from ganbench.tasks import Task, now
from ganbench.terms import Job, Record, Reference, Score, Spent, Status, Trial, kind_of
from ganbench.training import Diverged, Engine, Meter, train

LATENT_BLOCK = 1000
ROUNDING = 1e-4
"""How far outside of its range rounding alone may carry a pixel."""
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
        outcome = _run(task.job, task.attempt, workshop, events)
    except Exception as error:  # noqa: BLE001 - whatever a trial dies of is a row of the results
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


def _run(job: Job, attempt: Attempt, workshop: Workshop, events: EventLog) -> Outcome:
    data = load_data(workshop, job.dataset)
    environment = {**describe_environment(workshop.device), "plugins": workshop.sources(job)}
    attempt.write_json(ENVIRONMENT, {**environment, "data": data.origin})
    evaluator = build_evaluator(workshop, data, job.evaluation)
    if isinstance(job, Reference):
        return run_reference(job, attempt, data, evaluator)
    return run_trial(job, attempt, data, evaluator, workshop, events)


def run_reference(reference: Reference, attempt: Attempt, data: Data, evaluator: Evaluator) -> Outcome:
    """Measure real training samples, or noise, just as a generator's samples are measured."""
    started = time.perf_counter()
    samples = reference_samples(reference, data, evaluator.count)
    scores = evaluator.scores(samples)
    draw_samples(samples, data, attempt.path / "samples-00000000.png")
    return Outcome(scores=scores, costs={"evaluation_seconds": time.perf_counter() - started})


def reference_samples(reference: Reference, data: Data, count: int) -> Tensor:
    """`count` samples of the reference: without repetition from the training split, or noise."""
    rng = stream(0, f"reference/{reference.name}")
    if reference.name == "noise":
        return noise_like(data, count, rng)
    return data.train[torch.randperm(len(data.train), generator=rng)[:count]]


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
            measured.look(engine.players, checkpoint.spent, checkpoint.statistics)
    save_model(engine.players.scored, str(attempt.path / GENERATOR))
    return measured.outcome(engine, flops)


class Measured:
    """What is seen of a trial at its evaluation points: the curve, the pictures and the scores."""

    def __init__(
        self, trial: Trial, attempt: Attempt, data: Data, evaluator: Evaluator, workshop: Workshop, events: EventLog
    ) -> None:
        self._attempt, self._data, self._evaluator, self._events = attempt, data, evaluator, events
        self._latents = evaluation_latents(trial, evaluator.count).to(workshop.device)
        self._sampling = clock_for(workshop.device)
        self._device = workshop.device
        forget_peak_memory(self._device)
        self._started = time.perf_counter()
        self._evaluation_seconds = 0.0
        self._peak_memory_bytes = 0
        self._rows: list[dict[str, float | None]] = []
        self._scores: tuple[Score, ...] = ()
        self._spent = Spent()

    def look(self, players: Players, spent: Spent, statistics: Mapping[str, float]) -> None:
        """Measure the generator now: one row of the curve, one picture, the current scores. Raises Diverged."""
        began = time.perf_counter()
        self._events.spent = spent
        self._peak_memory_bytes = max(self._peak_memory_bytes, peak_memory_bytes(self._device))
        samples = self._samples(players, spent)
        with global_stream(0, "metrics", self._device):  # whatever a plugin's metric draws
            self._scores = self._evaluator.scores(samples)
        self._spent = spent
        draw_samples(samples, self._data, self._attempt.path / f"samples-{spent.steps:08d}.png")
        values = {score.name: score.value for score in self._scores}
        wall = {"wall_seconds": time.perf_counter() - self._started}
        self._rows.append({**asdict(spent), **wall, **values, **statistics})
        write_atomically(self._attempt.path / CURVE, pd.DataFrame(self._rows).to_parquet(index=False))
        self._events.evaluated(spent, self._scores)
        forget_peak_memory(self._device)
        self._evaluation_seconds += time.perf_counter() - began

    def _samples(self, players: Players, spent: Spent) -> Tensor:
        self._sampling.resume()
        samples = sample(players.scored, self._latents, players.generator_label)
        self._sampling.pause()
        expect_shape(players.generator_label, samples, (self._evaluator.count, *players.shape))
        if not bool(samples.isfinite().all()):
            raise Diverged(spent.steps, "a generated sample")
        if self._data.train.dtype == torch.uint8 and bool(samples.abs().max() > 1 + ROUNDING):
            low, high = samples.min().item(), samples.max().item()
            raise PluginError(f"{players.generator_label} gave pixels from {low:.3g} to {high:.3g}, expected -1 to 1")
        return quantise(samples).cpu()

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


def evaluation_latents(trial: Trial, count: int) -> Tensor:
    """The latents (count, Z) that a trial is measured with: the same at every point of its curve, and ever after.

    Drawn in whole blocks, because torch's numbers depend on how many are drawn at once: so more begin with the same.
    """
    rng = stream(trial.seed, "evaluation")
    blocks = [
        torch.randn(LATENT_BLOCK, trial.training.latent_dim, generator=rng) for _ in range(0, count, LATENT_BLOCK)
    ]
    return torch.cat(blocks)[:count]


def _count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
