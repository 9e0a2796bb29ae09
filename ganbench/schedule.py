"""Who trains together, by which driver, in which order and where: decided for the whole run before anything trains."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ganbench import history
from ganbench.drivers import MOST_TOGETHER, Driver, Findings, Wish, choose
from ganbench.terms import Choice, Faster, Job, Trial

MEMORY_SHARE = 0.8
"""How much of a GPU's memory trials that share it may plan to use: estimates err, and fragments are lost."""

MEMORY_OF_A_PROCESS = 2**30
"""What a process takes of a GPU beside its tensors: CUDA's context and libraries, an extractor of features."""

MOST_ON_A_GPU = 8
"""Processes that share a GPU. They take turns there, so that more of them wait more and gain nothing."""

SURVEYS_ON_A_GPU = 4
"""Variants that take their first steps on a GPU at a time, when nobody knows yet how much memory they need."""

LONE = "a seed that trains alone gains nothing by it"
CROWDED = "two seeds do not fit the GPU's memory"
NO_GPU = "steps are captured on GPUs only"
UNTRIED = "it was not tried"

Surveyed = Mapping[Trial, Findings]
"""What was found out about variants, by `like(trial)`."""

Remembered = Callable[[Sequence[Job]], float | None]
"""Gives the seconds that jobs come to by what their likes took, if that is known."""


@dataclass(frozen=True)
class Group:
    """Jobs for one process: one job, or several seeds of one variant. `expected_seconds` is None where nobody knows."""

    jobs: tuple[Job, ...]
    driver: Driver = Driver()
    expected_seconds: float | None = None


@dataclass(frozen=True)
class Machine:
    """What trials run on: the GPUs' memory in bytes by name, or the processor where there are none.

    `workers` and `per_device` are what the user asked for: processes at a time, altogether and on each device.
    """

    cores: int
    gpus: Mapping[str, int] = field(default_factory=dict)
    workers: int | None = None
    per_device: int | None = None

    @property
    def side_by_side(self) -> int:
        """How many processes run at a time without sharing anything: one on each core, or one on each GPU."""
        if self.gpus:
            return min(self.workers or len(self.gpus), len(self.gpus))
        return min(filter(None, (self.workers, self.per_device)), default=self.cores)

    @property
    def surveys(self) -> int:
        """How many variants take their first steps at a time."""
        if self.gpus:
            return min(self.workers or self.cores, SURVEYS_ON_A_GPU * len(self.gpus))
        return self.side_by_side

    def seeds_that_fit(self, bytes_each: int) -> int:
        """How many seeds may train together, by the memory of the smallest GPU."""
        if not self.gpus or not bytes_each:
            return MOST_TOGETHER
        return max(1, min(MOST_TOGETHER, _room(min(self.gpus.values())) // bytes_each))


def like(trial: Trial) -> Trial:
    """What a trial has in common with the other seeds of its variant, as the trial of seed 0."""
    return replace(trial, seed=0)


def to_survey(jobs: Iterable[Job], wish: Wish, machine: Machine) -> list[Trial]:
    """The variants about which something must be found out: those that could go faster than one seed at a time."""
    if wish == "eager":
        return []
    seeds = _by_variant(jobs)
    if machine.gpus:
        return list(seeds)
    if wish == "graph":
        return []
    return [v for v, trials in seeds.items() if len(trials) > 1 and v.budget.device_seconds is None]


def schedule(
    jobs: Sequence[Job], surveyed: Surveyed, wish: Wish, machine: Machine, remembered: Remembered = history.estimate
) -> tuple[Group, ...]:
    """Every job, in groups, in the order in which they should start. `jobs` are in the order of the plan.

    What is not trained comes first: it takes a moment, and shows whether the data are what one thinks. Trials follow by
    seeds, so that wherever a run is stopped the variants of a data set have seeds in common; of those that begin with
    the same seed the longest is first, so that the run does not end in waiting for it.
    """
    seeds = _by_variant(jobs)
    drivers = _drivers(seeds, surveyed, wish, machine)
    ranks = _ranks(jobs)
    groups = []
    for variant, pieces in _pieces(seeds, drivers, surveyed, machine).items():
        seconds = _expected(variant, surveyed.get(variant, Findings()), remembered)
        groups += [_group(piece, drivers[variant], seconds) for piece in pieces]
    groups.sort(key=lambda group: (ranks[group.jobs[0]], -_or_endless(group.expected_seconds)))
    return (*(Group((job,)) for job in jobs if not isinstance(job, Trial)), *groups)


def slots(groups: Sequence[Group], surveyed: Surveyed, machine: Machine) -> list[str]:
    """The device of each process that may run at a time: as many as there are groups, at most."""
    if machine.gpus:
        each = machine.per_device or _fitting(groups, surveyed, machine)
        if any(isinstance(job, Trial) and job.budget.device_seconds is not None for g in groups for job in g.jobs):
            each = 1  # time on a shared GPU is not a trial's own
        places = list(machine.gpus) * each
    else:
        places = ["cpu"] * machine.side_by_side
    return places[: min(machine.workers or len(places), len(groups))]


def _fitting(groups: Sequence[Group], surveyed: Surveyed, machine: Machine) -> int:
    """How many processes may share a GPU, by its memory and by the cores that feed it; 1 where memory is not known."""
    trials = [(group, surveyed.get(like(job))) for group in groups if isinstance(job := group.jobs[0], Trial)]
    peaks = [len(group.jobs) * found.peak_memory_bytes if found else 0 for group, found in trials]
    if not all(peaks):
        return 1
    by_memory = _room(min(machine.gpus.values())) // (max(peaks, default=0) + MEMORY_OF_A_PROCESS)
    return max(1, min(by_memory, machine.cores // len(machine.gpus), MOST_ON_A_GPU))


def _room(memory_bytes: int) -> int:
    return int(MEMORY_SHARE * memory_bytes)


def _by_variant(jobs: Iterable[Job]) -> dict[Trial, list[Trial]]:
    seeds = defaultdict(list)
    for job in jobs:
        if isinstance(job, Trial):
            seeds[like(job)].append(job)
    return dict(seeds)


def _drivers(
    seeds: Mapping[Trial, Sequence[Trial]], surveyed: Surveyed, wish: Wish, machine: Machine
) -> dict[Trial, Driver]:
    findings = {variant: _findings(surveyed.get(variant), len(trials), machine) for variant, trials in seeds.items()}
    drivers = {variant: choose(variant, found, wish) for variant, found in findings.items()}
    timed = [variant for variant in drivers if variant.budget.device_seconds is not None]
    for dataset in {variant.dataset for variant in timed}:
        rivals = [variant for variant in timed if variant.dataset == dataset]
        slow = next((variant for variant in rivals if not drivers[variant].captured), None)
        for variant in rivals:
            if slow is not None and drivers[variant].captured:
                why = findings[slow].refusals.get("graph", UNTRIED)
                reason = f"device time is the budget, and one of the data set's variants has no graph: {slow.variant}"
                drivers[variant] = Driver("eager", f"not graph: {reason} ({why})")
    return drivers


def _findings(found: Findings | None, seeds: int, machine: Machine) -> Findings:
    """What was found, with what follows from the machine and from the number of seeds that are to do."""
    refusals: dict[Faster, str] = dict(found.refusals) if found else {"graph": UNTRIED}
    if seeds == 1:
        refusals.setdefault("vectorised", LONE)
    elif found is None:
        refusals["vectorised"] = UNTRIED
    elif machine.seeds_that_fit(found.peak_memory_bytes) == 1:
        refusals.setdefault("vectorised", CROWDED)
    if not machine.gpus:
        refusals["graph"] = NO_GPU
    return replace(found or Findings(), refusals=refusals)


def _ranks(jobs: Iterable[Job]) -> dict[Job, int]:
    """For each trial the position of its seed among those of its data set, in the order of the plan."""
    seeds: dict[Choice, dict[int, int]] = defaultdict(dict)
    trials = [job for job in jobs if isinstance(job, Trial)]
    return {trial: seeds[trial.dataset].setdefault(trial.seed, len(seeds[trial.dataset])) for trial in trials}


def _pieces(
    seeds: Mapping[Trial, Sequence[Trial]], drivers: Mapping[Trial, Driver], surveyed: Surveyed, machine: Machine
) -> dict[Trial, list[Sequence[Trial]]]:
    """Each variant's trials as they go together: as many as gain by it, but fewer where cores would have nothing to do.

    Even then no seed is parted from the last one that it could go with.
    """
    counts = {}
    for variant, trials in seeds.items():
        most = machine.seeds_that_fit(surveyed.get(variant, Findings()).peak_memory_bytes)
        counts[variant] = math.ceil(len(trials) / (most if drivers[variant].vectorised else 1))
    while sum(counts.values()) < machine.side_by_side:
        dividable = [variant for variant, count in counts.items() if len(seeds[variant]) // (count + 1) >= 2]
        if not dividable:
            break
        counts[max(dividable, key=lambda variant: len(seeds[variant]) / counts[variant])] += 1
    return {variant: _divided(trials, counts[variant]) for variant, trials in seeds.items()}


def _divided(trials: Sequence[Trial], count: int) -> list[Sequence[Trial]]:
    """`count` runs of neighbours whose lengths differ by 1 at most, longer ones first."""
    length, longer = divmod(len(trials), count)
    ends = [index * length + min(index, longer) for index in range(count + 1)]
    return [trials[start:end] for start, end in pairwise(ends)]


def _group(piece: Sequence[Trial], driver: Driver, seconds_each: float | None) -> Group:
    return Group(tuple(piece), driver, None if seconds_each is None else seconds_each * len(piece))


def _expected(variant: Trial, found: Findings, remembered: Remembered) -> float | None:
    """Seconds for one seed: as its likes took before or, failing that, by the steps that were tried."""
    seconds = remembered([variant])
    steps = _steps(variant, found)
    return seconds if seconds is not None or not steps or not found.step_seconds else steps * found.step_seconds


def _steps(trial: Trial, found: Findings) -> float:
    """About how many steps the budget allows; 0 where that is not known."""
    limits, images = trial.budget.limits(), trial.training.batch_size * trial.training.discriminator_steps
    each = {
        "kimg": images / 1000,
        "steps": 1.0,
        "device_seconds": found.step_seconds,
        "petaflops": found.flops_per_step / 1e15,
    }
    return min((limit / each[axis] for axis, limit in limits.items() if each[axis]), default=0.0)


def _or_endless(seconds: float | None) -> float:
    """What nobody knows the length of may be the longest."""
    return math.inf if seconds is None else seconds
