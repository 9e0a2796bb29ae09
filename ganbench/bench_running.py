"""Benchmarks of what surrounds training: a trial's start, trials side by side, commands, and scores of features."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
import torch_fidelity.metric_fid
import torch_fidelity.metric_kid
import torch_fidelity.metric_prc
from torch import Tensor

from ganbench.accounting import ProcessorClock
from ganbench.building import build_metrics
from ganbench.choices import resolve
from ganbench.errors import GanbenchError
from ganbench.executors import LocalProcesses, default_workers
from ganbench.plan import plan
from ganbench.plugins import Registry
from ganbench.protocols import Data, Evidence, Extractor, Places
from ganbench.stopwatch import Benchmark, Side, Sides, WallClock, timed
from ganbench.store import ENVIRONMENT, EVENTS, RECORD, TRIAL, Attempt, Store
from ganbench.suite import suite_from
from ganbench.tasks import Task
from ganbench.terms import Choice, Record, Score, Spent, Trial, kind_of, plain
from ganbench.workshop import open_workshop

TRIALS = 16
ROWS = 10_000
FEATURES = 10_000
DIMENSION = 64


def of_running(registry: Registry) -> list[Benchmark]:
    """Those that measure a process, a command or a metric as a whole."""
    commands = {"help": ["--help"], "plan": ["plan", "quick"], "plugins": ["plugins", "list"]}
    return [
        _from_submission(registry, "start", "until its process begins with it", _started, 0.15),
        _from_submission(registry, "first-step", "until its first step is over", _stepped, None),
        _side_by_side(registry),
        *(_command(name, arguments) for name, arguments in commands.items()),
        _table(registry),
        _scores(registry),
    ]


def _from_submission(
    registry: Registry, name: str, to: str, ended: Callable[[Attempt], float], target: float | None
) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        with _folder() as folder, LocalProcesses(1) as processes:
            trials = _toys(registry, seeds=1, steps=1)

            def side() -> float:
                submitted = time.time()
                (attempt,) = _perform(processes, trials, Store(folder))
                return ended(attempt) - submitted

            yield Sides(side)

    what = "a trial, its workers warm, from its submission"
    return Benchmark(name, what, to, "", "trial", "wall", "seconds", target, opened)


def _started(attempt: Attempt) -> float:
    """When the attempt's process set to work, in seconds since the epoch."""
    return datetime.fromisoformat(attempt.record().started_at).timestamp()


def _stepped(attempt: Attempt) -> float:
    """When its first step was over."""
    events = map(json.loads, (attempt.path / EVENTS).read_text(encoding="utf-8").splitlines())
    first: float = next(event["time"] for event in events if event["event"] == "progress")
    return first


def _side_by_side(registry: Registry) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        if default_workers() < 2:
            raise GanbenchError("needs two processor cores")
        with _folder() as folder, LocalProcesses(1) as one, LocalProcesses(2) as two:
            trials = _toys(registry, seeds=TRIALS, steps=400)
            _perform(one, trials[:1], Store(folder))  # leaves in the cache what every trial begins with
            yield Sides(
                *(
                    timed(lambda executor=executor: _perform(executor, trials, Store(folder)), WallClock, TRIALS)  # type: ignore[misc]
                    for executor in (two, one)
                )
            )

    what = f"{TRIALS} trials of 400 steps, mlp(depth=2, width=64) on ring8"
    return Benchmark("side-by-side", what, "on two cores", "on one core", "trial", "wall", "speed-up", 1.9, opened)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ganbench-bench-") as folder:
        yield Path(folder)


def _toys(registry: Registry, seeds: int, steps: int) -> Sequence[Trial]:
    """Trials of small networks on points, planned as a suite's are."""
    network = ["mlp(depth=2, width=64)"]
    suite = {
        "name": "bench",
        "datasets": ["ring8"],
        "seeds": seeds,
        "matrix": {"generator": network, "discriminator": network, "loss": ["nonsaturating"]},
        "budget": {"steps": steps},
        "evaluation": {"points": 1, "samples": 1000},
        "training": {"batch_size": 128, "latent_dim": 2},
    }
    return plan(suite_from(suite, Path("bench.toml")), registry).trials


def _perform(processes: LocalProcesses, trials: Sequence[Trial], store: Store) -> list[Attempt]:
    """Every trial by itself, as many at a time as there are processes."""
    tasks = [Task(trial, store.begin(trial), Places(), "cpu") for trial in trials]
    for future in [processes.submit([task]) for task in tasks]:
        future.result()
    failed = [task.attempt.record() for task in tasks if task.attempt.record().status != "ok"]
    if failed:
        raise GanbenchError(f"a trial failed: {failed[0].message}")
    return [task.attempt for task in tasks]


def _command(name: str, arguments: Sequence[str]) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        yield Sides(_process(arguments))

    written = " ".join(["ganbench", *arguments])
    return Benchmark(name, f"`{written}`", "a new process", "", "command", "wall", "seconds", 0.3, opened)


def _process(arguments: Sequence[str]) -> Side:
    """A command from nothing to its end, its output thrown away."""
    command = [sys.executable, "-m", "ganbench", *arguments]

    def work() -> None:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ganbench itself
        if ended.returncode:
            raise GanbenchError(f"{' '.join(command[1:])} ended with status {ended.returncode}: {ended.stderr[-300:]}")

    return timed(work, WallClock)


def _table(registry: Registry) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        with _folder() as folder:
            _write_results(folder, _toys(registry, seeds=ROWS, steps=1000))
            yield Sides(_process(["table", str(folder), "--format", "csv"]))

    what = f"`ganbench table` of {ROWS:,} trials"
    return Benchmark("table", what, "a new process", "", "command", "wall", "seconds", 2.0, opened)


def _write_results(folder: Path, trials: Sequence[Trial]) -> None:
    """Records such as trials leave, made up: without the wait for the disk that each true one takes."""
    spent = Spent(128.0, 1000, 2.5, 0.1)
    scores = tuple(Score(name, 0.5, "higher", metric="modes", n_fake=1000, n_real=1000) for name in ("a", "b", "c"))
    costs = {"wall_seconds": 3.5, "training_seconds": 2.5, "evaluation_seconds": 0.5, "images_per_second": 51_200.0}
    environment = {"device": "a processor", "ganbench": "0", "python": "3", "packages": {"torch": "2"}}
    for trial in trials:
        attempt = folder / "runs" / trial.key / "1"
        attempt.mkdir(parents=True)
        times = "2030-01-01T00:00:00.000+00:00", "2030-01-01T00:00:03.500+00:00"
        record = Record(trial.key, "trial", "ok", *times, spent=spent, scores=scores, costs=costs)
        files: dict[str, dict[str, Any]] = {
            TRIAL: {"type": kind_of(trial), **plain(trial)},
            ENVIRONMENT: environment,
            RECORD: plain(record),
        }
        for name, content in files.items():
            (attempt / name).write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def _scores(registry: Registry) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        real, fake = features_like_a_networks(1), features_like_a_networks(2, shift=0.1)
        yield Sides(
            timed(scores_of_features(registry, real, fake), ProcessorClock),
            timed(lambda: torch_fidelity_of_features(real, fake), ProcessorClock),
        )

    what = f"FID, KID, precision and recall of {FEATURES:,} features, {DIMENSION} numbers each"
    ours, theirs = "those, and density and coverage", "torch-fidelity"
    return Benchmark("scores", what, ours, theirs, "pair of sets", "processor", "speed-up", 2.0, opened)


def features_like_a_networks(
    seed: int, count: int = FEATURES, shift: float = 0.0, dimension: int = DIMENSION
) -> Tensor:
    """Correlated, not below 0, and float32, as a network's last layer gives them: (count, dimension)."""
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimension, dimension, generator=torch.Generator().manual_seed(0)) / dimension**0.5
    normal = shift + (1 - shift) * torch.randn(count, dimension, generator=rng)
    features: Tensor = (normal @ (mixing * torch.linspace(1, 0.1, dimension)) + 0.2).relu()
    return features


def scores_of_features(registry: Registry, real: Tensor, fake: Tensor) -> Callable[[], dict[str, float | None]]:
    """A function that gives six scores, with nothing remembered from one call to the next."""
    workshop = open_workshop(registry, Places())
    chosen = [
        resolve(registry, "metric", Choice(name))
        for name in ("frechet", "kernel", "precision-recall", "density-coverage")
    ]
    metrics = build_metrics(workshop, chosen)
    extractor = Extractor(torch.nn.Identity(), "bench", weights_sha256="", layer="", dimension=real.shape[1])
    blank = torch.zeros(len(real), 1, 1, 1, dtype=torch.uint8)

    def compute() -> dict[str, float | None]:
        evidence = Evidence(blank, blank, Data(blank, blank), extractor, fake_features=fake, real_features=real)
        return {score.name: score.value for metric in metrics for score in metric(evidence)}

    return compute


def torch_fidelity_of_features(real: Tensor, fake: Tensor) -> dict[str, float]:
    """Four of these, as `torch_fidelity.calculate_metrics` computes them once it has features, by its names."""
    statistics = [torch_fidelity.metric_fid.fid_features_to_statistics(features) for features in (fake, real)]
    found: dict[str, float] = torch_fidelity.metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    found |= torch_fidelity.metric_kid.kid_features_to_metric(fake, real, verbose=False, rng_seed=0)
    found |= torch_fidelity.metric_prc.prc_features_to_metric(fake, real, verbose=False)
    return found
