"""Where the time of a trial's steps goes: into which phases and operators, and how near it comes to the device's peak."""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, record_function

from ganbench.accounting import clock_for, count_flops
from ganbench.building import (
    Workshop,
    build_engine,
    build_group,
    load_data,
    open_workshop,
    require_training_samples,
)
from ganbench.drivers import Driver, DriverName
from ganbench.environment import device_name
from ganbench.errors import GanbenchError
from ganbench.plugins import Registry
from ganbench.protocols import Data, Places
from ganbench.seeding import global_stream
from ganbench.stacking import NotTogether
from ganbench.terms import Trial
from ganbench.training import Engine

WARM_UP_STEPS = 8
"""Steps before any that count: optimisers and libraries set themselves up, and a graph is recorded in the fourth."""

BLOCK = 10
"""Steps in a row with the same observer: observers take turns, for a machine is not always equally fast."""

OPERATORS = 8
MARK = "ganbench: "
REST, GRAPH, IDLE = "rest", "graph", "idle"
PEAK_SECONDS = 0.3

Share = tuple[str, float]
"""A name, and its share of a step from 0 to 1."""


@dataclass(frozen=True)
class Profile:
    """What a step of `seeds` seeds together takes, and what that goes into.

    `phases` are shares of the step's time on the device, and add up to 1: `rest` is what lies between the phases, `idle`
    the time in which a GPU waited for the host, `graph` that of a recorded step, which cannot be taken apart.
    `operators` are shares of what was recorded. Steps were `slowdown` slower while it was; all other figures are of
    steps that were not.
    """

    trial: str
    device: str
    driver: DriverName
    seeds: int
    steps: int
    seconds_per_step: float
    images_per_second: float
    flops_per_step: int
    peak_flops: float
    phases: tuple[Share, ...]
    operators: tuple[Share, ...]
    slowdown: float
    files: tuple[Path, ...]

    @property
    def flops_per_second(self) -> float:
        """Floating-point operations of matrix products and convolutions in a second."""
        return self.flops_per_step / self.seconds_per_step

    def row(self) -> dict[str, Any]:
        """The profile in JSON's own types."""
        return {
            **asdict(self),
            "flops_per_second": self.flops_per_second,
            "share_of_peak": self.flops_per_second / self.peak_flops,
            "phases": dict(self.phases),
            "operators": dict(self.operators),
            "files": [str(path) for path in self.files],
        }


def profile(
    registry: Registry,
    trial: Trial,
    places: Places,
    device: str,
    steps: int,
    out: Path,
    driver: DriverName = "eager",
    seeds: int = 1,
) -> Profile:
    """Take steps of `trial`, by a vectorised driver with this many seeds, and write what was recorded to `out`.

    There are `trace.json`, which a browser's tracing page opens, and `operators.txt`. Raises GanbenchError where the
    driver cannot take the trial, or `out` cannot be written.
    """
    workshop = open_workshop(registry, places, device, trial.training.precision)
    data = load_data(workshop, trial.dataset)
    require_training_samples(trial.dataset, data)
    flops = count_flops(build_engine(workshop, trial, data).step)
    trials = [replace(trial, seed=trial.seed + number) for number in range(seeds)]
    with global_stream(trial.seed, "training", workshop.device):
        engine = _warm_engine(workshop, trials, data, Driver(driver))
        plain, phases = _timed(engine, steps, workshop.device)
        recorder, recorded = _recorded(engine, steps, workshop.device)
    files = _written(recorder, out, workshop.device)
    if workshop.device.type == "cuda":
        phases = on_gpu(json.loads(files[0].read_bytes())["traceEvents"], steps, plain)
    settings = trial.training
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    return Profile(
        f"{trial.variant} on {trial.dataset}",
        device_name(workshop.device),
        driver,
        seeds,
        steps,
        plain,
        seeds * settings.discriminator_steps * settings.batch_size / plain,
        flops * seeds,
        measured_peak_flops(workshop.device, dtype),
        _shares(phases),
        _operators(recorder, workshop.device, graph=GRAPH in phases),
        recorded / plain - 1,
        files,
    )


def measured_peak_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """The most floating-point operations that large matrix products came to in a second, here and now.

    On a processor with the threads that torch may use: one, as in trials.
    """
    side = 4096 if device.type == "cuda" else 512
    matrix = torch.rand(side, side, dtype=dtype, device=device)
    product = matrix @ matrix  # not timed: the library sets itself up
    end, best = time.perf_counter() + PEAK_SECONDS, 0.0
    while not best or time.perf_counter() < end:
        clock = clock_for(device)
        clock.resume()
        torch.mm(matrix, matrix, out=product)
        clock.pause()
        best = max(best, 2 * side**3 / max(clock.seconds(), 1e-9))
    return best


def _warm_engine(workshop: Workshop, trials: Sequence[Trial], data: Data, driver: Driver) -> Engine:
    if driver.captured and workshop.device.type != "cuda":
        raise GanbenchError(f"driver {driver.name}: steps are captured on GPUs only, not on {workshop.device}")
    try:
        if driver.vectorised:
            engine = build_group(workshop, trials, data, driver)
        else:
            engine = build_engine(workshop, trials[0], data, driver)
        for _ in range(WARM_UP_STEPS):
            engine.step()
    except (NotTogether, RuntimeError) as error:
        if driver.name == "eager":
            raise
        raise GanbenchError(f"driver {driver.name}: {str(error).strip().partition(chr(10))[0]}") from error
    return engine


def _timed(engine: Engine, steps: int, device: torch.device) -> tuple[float, dict[str, float]]:
    """Seconds of a step, and of its phases as far as the host can tell: on a GPU, it cannot."""
    stopwatch = Stopwatch()
    silent, plain, marked, taken = engine.phase, 0.0, 0.0, 0
    while taken < steps:
        block = min(BLOCK, steps - taken)
        plain += _seconds(engine, block, device, silent)
        if device.type == "cpu":
            marked += _seconds(engine, block, device, stopwatch)
        taken += block
    engine.phase = silent
    phases = stopwatch.phases(marked) if marked else {}
    return plain / steps, {name: seconds / steps for name, seconds in phases.items()}


Observer = Callable[[str], AbstractContextManager[object]]


def _seconds(engine: Engine, steps: int, device: torch.device, observer: Observer) -> float:
    """What the steps take on the device, under an observer of phases."""
    engine.phase = observer
    clock = clock_for(device)
    clock.resume()
    for _ in range(steps):
        engine.step()
    clock.pause()
    return clock.seconds()


class Stopwatch(AbstractContextManager[None]):
    """Processor time of each phase, without that of the phases inside it, and without what it takes to look."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.entries: Counter[str] = Counter()
        self._open: list[str] = []
        self._name = ""
        self._since = 0.0

    def __call__(self, name: str) -> Stopwatch:
        """Enter the phase by `with`."""
        self._name = name
        return self

    def __enter__(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._open.append(self._name)
        self.entries[self._name] += 1
        self._since = time.process_time()

    def __exit__(self, *error: object) -> None:
        now = time.process_time()
        self.seconds[self._open.pop()] += now - self._since
        self._since = time.process_time()

    def phases(self, total: float) -> dict[str, float]:
        """The seconds of each phase, and of the rest of `total`."""
        inside, outside = _cost_of_looking()
        found = {name: max(self.seconds[name] - count * inside, 0.0) for name, count in self.entries.items()}
        looking = sum(self.entries.values()) * (inside + outside)
        return {**found, REST: max(total - looking - sum(found.values()), 0.0)}


def _cost_of_looking(times: int = 2000) -> tuple[float, float]:
    """The seconds that a look at an empty phase counts towards it, and those that it takes besides."""
    stopwatch, began = Stopwatch(), time.process_time()
    for _ in range(times):
        with stopwatch(""):
            pass
    inside = stopwatch.seconds[""] / times
    return inside, (time.process_time() - began) / times - inside


def _recorded(engine: Engine, steps: int, device: torch.device) -> tuple[torch.profiler.profile, float]:
    """A record of so many steps, and the seconds that a step took meanwhile."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    silent = engine.phase
    with torch.profiler.profile(activities=activities):
        engine.step()  # the recorder sets itself up
    with torch.profiler.profile(activities=activities) as recorder:
        seconds = _seconds(engine, steps, device, lambda name: record_function(MARK + name))
    engine.phase = silent
    return recorder, seconds / steps


def _written(recorder: torch.profiler.profile, out: Path, device: torch.device) -> tuple[Path, Path]:
    order = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    trace, operators = out / "trace.json", out / "operators.txt"
    try:
        out.mkdir(parents=True, exist_ok=True)
        recorder.export_chrome_trace(str(trace))
        table = recorder.key_averages().table(sort_by=order, row_limit=100, max_name_column_width=80)
        operators.write_text(table, encoding="utf-8")
    except OSError as error:
        raise GanbenchError(f"--out {out}: cannot be written ({error.strerror})") from error
    return trace, operators


def on_gpu(events: Iterable[Mapping[str, Any]], steps: int, seconds_per_step: float) -> dict[str, float]:
    """The seconds of a step in which the GPU worked for each phase, by a trace's events, and in which it was idle.

    Work belongs to the phase in which the host asked for it, whichever thread did: a backward pass has its own.
    """
    events = [event for event in events if event.get("ph") == "X"]
    marks = [event for event in events if event.get("cat") == "user_annotation" and event["name"].startswith(MARK)]
    times, names = _innermost(marks)
    asked = {
        event["args"]["correlation"]: GRAPH
        if "GraphLaunch" in event["name"]
        else names[bisect_right(times, event["ts"])]
        for event in events
        if event.get("cat") in ("cuda_runtime", "cuda_driver") and "correlation" in event.get("args", {})
    }
    microseconds: Counter[str] = Counter()
    for event in events:
        if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset"):
            microseconds[asked.get(event["args"].get("correlation"), REST)] += event["dur"]
    phases = {name: total / 1e6 / steps for name, total in microseconds.items()}
    return {**phases, IDLE: max(seconds_per_step - sum(phases.values()), 0.0)}


def _innermost(marks: Iterable[Mapping[str, Any]]) -> tuple[list[float], list[str]]:
    """The times at which another phase is the innermost, and before the first and after each of them, which it is."""
    borders = sorted(
        border
        for mark in marks
        for border in ((mark["ts"], 1, mark["name"]), (mark["ts"] + mark["dur"], 0, mark["name"]))
    )
    names, inside = [REST], [REST]
    for _, opens, name in borders:
        if opens:
            inside.append(name.removeprefix(MARK))
        else:
            inside.pop()
        names.append(inside[-1])
    return [time for time, _, _ in borders], names


def _shares(seconds: Mapping[str, float]) -> tuple[Share, ...]:
    """The largest first; what is in no phase comes last."""
    total = sum(seconds.values()) or 1.0
    order = sorted(seconds, key=lambda name: (name in (REST, IDLE), -seconds[name]))
    return tuple((name, seconds[name] / total) for name in order)


def _operators(recorder: torch.profiler.profile, device: torch.device, *, graph: bool) -> tuple[Share, ...]:
    """The operators that took most of the device's time themselves; of a graph, which hides them, the kernels."""
    side = DeviceType.CUDA if graph else DeviceType.CPU
    rows = [row for row in recorder.key_averages() if row.device_type == side and not row.key.startswith(MARK)]
    time_of = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    seconds = {row.key: getattr(row, time_of) for row in rows}
    return _shares(seconds)[:OPERATORS]


def print_profile(console: Console, profile: Profile) -> None:
    """The profile on one screen."""
    together = f", {profile.seeds} seeds together" if profile.seeds > 1 else ""
    console.print(Text(profile.trial, "bold"))
    console.print(
        f"{profile.device}, {profile.driver}{together}\n"
        f"{profile.seconds_per_step * 1e3:.3g} ms a step, {profile.images_per_second:,.0f} samples/s, "
        f"{profile.flops_per_second / 1e9:,.3g} GFLOP/s: {profile.flops_per_second / profile.peak_flops:.1%} of the "
        f"{profile.peak_flops / 1e9:,.3g} GFLOP/s that matrix products reach here\n",
        markup=False,
        highlight=False,
    )
    milliseconds = profile.seconds_per_step * 1e3
    phases = [(name, f"{share:.1%}", f"{share * milliseconds:.3g} ms") for name, share in profile.phases]
    console.print(_table(("phase", "share", "a step"), phases))
    operators = [(name, f"{share:.1%}") for name, share in profile.operators]
    console.print("", _table(("operator", "of what was recorded"), operators), sep="\n")
    console.print(
        f"\nSteps were {profile.slowdown:.0%} slower while operators were recorded. Time and phases are of steps that "
        f"were not.\nFiles: {', '.join(str(path) for path in profile.files)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left", overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
