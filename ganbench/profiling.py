"""Where a step of training spends its time: by phase, by operator, and how much of the device it gets out of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, record_function

from ganbench.accounting import clock_for, count_flops
from ganbench.building import build_engine, build_group, require_training_samples
from ganbench.drivers import Driver, DriverName
from ganbench.environment import cuda_devices, device_name
from ganbench.errors import GanbenchError
from ganbench.ledger import measured_peak_flops
from ganbench.plugins import Registry
from ganbench.protocols import Data, Places
from ganbench.seeding import global_stream
from ganbench.stacking import NotTogether
from ganbench.stepping import Stepper
from ganbench.terms import Trial
from ganbench.workshop import Workshop, load_data, open_workshop

WARM_UP_STEPS = 10
"""Steps before anything is timed: in the first ones libraries choose their ways, and a graph is recorded."""

TRACED_STEPS = 10
"""The most steps that are traced: a trace of more is large, and shows nothing else."""

TURNS = 5
OPERATORS = 8
TRACE, TABLE = "trace.json", "operators.txt"


@dataclass(frozen=True)
class Operator:
    """An operator's own time in a step, on the wall, without those it calls; and its share of all operators' time."""

    name: str
    seconds: float
    share: float
    calls: float


@dataclass(frozen=True)
class Profile:
    """What a step takes, seconds as the budget counts them: the processor's, or the GPU's between events.

    `phases` and `rest` (what is in no phase) are a timed step's seconds, which is longer than `step_seconds` by the
    share `timing_cost`; `operators` are those of a traced step, longer by `tracing_cost`.
    """

    dataset: str
    variant: str
    seeds: tuple[int, ...]
    device: str
    driver: DriverName
    steps: int
    step_seconds: float
    images_per_second: float
    flops_per_second: float
    peak_flops_per_second: float
    phases: Mapping[str, float]
    rest: float
    timing_cost: float
    tracing_cost: float
    operators: tuple[Operator, ...]
    folder: Path

    @property
    def share_of_peak(self) -> float:
        """How near training comes to what the device does in products of large matrices alone."""
        return self.flops_per_second / self.peak_flops_per_second

    @property
    def trace(self) -> Path:
        """A few steps on a time line, in Chrome's format."""
        return self.folder / TRACE

    @property
    def table(self) -> Path:
        """All operators of these steps, as text."""
        return self.folder / TABLE

    def shares(self) -> dict[str, float]:
        """The share of a step that each phase takes; `rest` is the last."""
        seconds = {**self.phases, "rest": self.rest}
        whole = sum(seconds.values())
        return {name: part / whole for name, part in seconds.items()}

    def details(self) -> dict[str, Any]:
        """All of it in JSON's own types."""
        derived = {"shares": self.shares(), "share_of_peak": self.share_of_peak, "folder": str(self.folder)}
        return {**asdict(self), **derived}


def profile(
    registry: Registry,
    trials: Sequence[Trial],
    places: Places,
    device: str,
    steps: int,
    out: Path,
    driver: DriverName = "eager",
) -> Profile:
    """Train `trials`, seeds of one variant, for some steps, and leave a Chrome trace and a table of operators in `out`.

    A driver that is not vectorised takes the first of them alone. Raises GanbenchError where the driver cannot.
    """
    first, way = trials[0], Driver(driver)
    trials = trials if way.vectorised else trials[:1]
    workshop = open_workshop(registry, places, present(device), first.training.precision)
    if way.captured and workshop.device.type != "cuda":
        raise GanbenchError(f"driver {driver}: a CUDA graph needs a GPU, and the device is {workshop.device}")
    _make(out)
    data = load_data(workshop, first.dataset)
    require_training_samples(first.dataset, data)
    flops = count_flops(build_engine(workshop, first, data).step) * len(trials)
    with global_stream(first.seed, "training", workshop.device), _explained(way):
        engine = _engine(workshop, trials, data, way)
        _seconds_of(engine, WARM_UP_STEPS, workshop.device)
        plain, timed, phases = _phases(engine, steps, workshop.device)
        traced, operators = _traced(engine, min(steps, TRACED_STEPS), way, workshop.device, out)
    images = first.training.discriminator_steps * first.training.batch_size * len(trials)
    peak_type = torch.bfloat16 if first.training.precision == "bf16" else torch.float32
    return Profile(
        str(first.dataset),
        str(first.variant),
        tuple(trial.seed for trial in trials),
        device_name(workshop.device),
        driver,
        steps,
        plain,
        images / plain,
        flops / plain,
        measured_peak_flops(workshop.device, peak_type),
        phases,
        max(timed - sum(phases.values()), 0.0),
        timed / plain - 1,
        traced / plain - 1,
        operators,
        out,
    )


def present(device: str) -> str:
    """The device by torch's name; `auto` is the first GPU, if there is one.

    Raises GanbenchError for a device that this machine does not have.
    """
    found = ["cpu", *cuda_devices()]
    if device == "auto" or (device == "cuda" and len(found) > 1):
        return [*found, "cpu"][1]
    if device not in found:
        raise GanbenchError(f"--device {device}: not on this machine. Found: {', '.join(found)}")
    return device


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GanbenchError(f"--out {folder}: cannot be made ({error.strerror})") from error


def _engine(workshop: Workshop, trials: Sequence[Trial], data: Data, driver: Driver) -> Stepper:
    if driver.vectorised:
        return build_group(workshop, trials, data, driver)
    return build_engine(workshop, trials[0], data, driver)


@contextmanager
def _explained(driver: Driver) -> Iterator[None]:
    """Says of a faster driver that it cannot take the trial, where that is what an error means."""
    try:
        yield
    except (NotTogether, RuntimeError) as error:
        if driver.name == "eager":
            raise
        why = str(error).strip().partition("\n")[0]
        raise GanbenchError(f"driver {driver.name}: cannot take this trial: {why}. Try --driver eager") from error


def _seconds_of(engine: Stepper, steps: int, device: torch.device) -> float:
    clock = clock_for(device)
    clock.resume()
    for _ in range(steps):
        engine.step()
    clock.pause()
    return clock.seconds()


def _phases(engine: Stepper, steps: int, device: torch.device) -> tuple[float, float, dict[str, float]]:
    """The seconds of a step, those of one whose phases are timed, and of each phase, in the order of their beginnings.

    Both kinds of steps take turns, so that what else the machine does meets both.
    """
    spans: list[_Span] = []
    mark = _marker(device)
    plain = timed = 0.0
    for turn in range(TURNS):
        count = steps // TURNS + (turn < steps % TURNS)
        plain += _seconds_of(engine, count, device)
        with _entering(engine, lambda name: _Span(name, mark, spans)):
            timed += _seconds_of(engine, count, device)
    phases: dict[str, float] = {}
    for span in spans:
        phases[span.name] = phases.get(span.name, 0.0) + span.seconds() / steps
        if span.around is not None:  # a phase inside another is not counted twice
            phases[span.around.name] -= span.seconds() / steps
    return plain / steps, timed / steps, phases


@contextmanager
def _entering(engine: Stepper, phase: Callable[[str], AbstractContextManager[object]]) -> Iterator[None]:
    usual, engine.phase = engine.phase, phase
    try:
        yield
    finally:
        engine.phase = usual


class _Span(AbstractContextManager[None]):
    """A phase once: two marks, whose distance is asked for when all is over. It may lie inside another, `around` it."""

    open = True

    def __init__(self, name: str, mark: Callable[[], Any], spans: list[_Span]) -> None:
        self.name = name
        self.around = next((span for span in reversed(spans) if span.open), None)
        self._mark = mark
        spans.append(self)

    def __enter__(self) -> None:
        self._began = self._mark()

    def __exit__(self, *error: object) -> None:
        self._ended = self._mark()
        self.open = False

    def seconds(self) -> float:
        """Between the marks."""
        if isinstance(self._began, float):
            return float(self._ended - self._began)
        return float(self._began.elapsed_time(self._ended)) / 1000


def _marker(device: torch.device) -> Callable[[], Any]:
    """What marks a moment as the device's clock sees it: a time of the processor, or an event on the GPU's stream."""
    if device.type != "cuda":
        return time.process_time

    def mark() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(device))
        return event

    return mark


def _traced(
    engine: Stepper, steps: int, driver: Driver, device: torch.device, out: Path
) -> tuple[float, tuple[Operator, ...]]:
    """The seconds of a step under torch's profiler, and the operators that take most; writes both files."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # or torch's profiler tells the terminal when it starts and stops
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with _entering(engine, record_function), torch.profiler.profile(activities=activities, acc_events=True) as profiler:
        traced = _seconds_of(engine, steps, device) / steps
    profiler.export_chrome_trace(str(out / TRACE))
    events = profiler.key_averages()
    time_of = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    (out / TABLE).write_text(events.table(sort_by=time_of, row_limit=-1), encoding="utf-8")
    return traced, most_costly(events, time_of, steps, kernels=driver.captured)


def most_costly(events: Iterable[Any], time_of: str, steps: int, *, kernels: bool) -> tuple[Operator, ...]:
    """The operators of the profiler's `events` with the most time of their own, in microseconds at `time_of`.

    Or the GPU's `kernels`: a graph that is replayed calls no operators.
    """
    called = [
        (event, getattr(event, time_of))
        for event in events
        if not event.is_user_annotation and (event.device_type.name == "CUDA") is kernels
    ]
    whole = sum(microseconds for _, microseconds in called)
    most = sorted(called, key=lambda one: -one[1])[:OPERATORS]
    return tuple(
        Operator(event.key, microseconds / 1e6 / steps, microseconds / whole, event.count / steps)
        for event, microseconds in most
        if microseconds
    )
