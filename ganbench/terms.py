"""The words of ganbench as frozen values: choices, variants, budgets, trials, scores and records. No torch here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, get_args

Kind = Literal[
    "generator",
    "discriminator",
    "loss",
    "penalty",
    "augmentation",
    "method",
    "dataset",
    "metric",
    "extractor",
    "executor",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

Status = Literal["ok", "diverged", "oom", "timeout", "error", "killed"]
STATUSES: tuple[Status, ...] = ("ok", "diverged", "oom", "timeout", "error", "killed")

Value = bool | int | float | str | tuple[Any, ...] | None
"""What a parameter may hold: what TOML and JSON can say, lists as tuples."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What the names of components and of their owners look like, and what a string needs no quotes to be written as."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
WORDS: dict[str, bool | None] = {"true": True, "false": False, "none": None}
"""The words that are not strings where a choice is written."""

PACKING = "packing"
"""The one parameter that every discriminator takes: how many samples it judges together (PacGAN, arXiv:1712.04086)."""


@dataclass(frozen=True)
class Choice:
    """A component's name and the parameters that were set, written `dcgan(width=32)`.

    `owner` is the distribution to take the component from when two offer the same name (`owner:name`). `defaults` holds
    the parameters that were left alone, once they are known: not written, but part of a trial's key, so that a plugin
    that changes a default does not pass for its former self. `code` tells for the same reason which code it is, where a
    plugin is not ganbench's own: by its version, or its file's hash.
    """

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()
    owner: str = ""
    defaults: tuple[tuple[str, Value], ...] = ()
    code: str = ""

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={_written(value)}" for key, value in self.parameters)
        prefix = f"{self.owner}:" if self.owner else ""
        return f"{prefix}{self.name}({inside})" if inside else f"{prefix}{self.name}"

    def get(self, parameter: str, default: Value = None) -> Value:
        """The value of `parameter`, set or by default; `default` if the component is not known to have it."""
        return self.all_parameters().get(parameter, default)

    def all_parameters(self) -> dict[str, Value]:
        """Every parameter with its value, those left to their defaults too."""
        return {**dict(self.defaults), **dict(self.parameters)}

    def with_parameters(self, **parameters: Value) -> Choice:
        """The same choice with `parameters` set, in alphabetical order, so that equal choices are equal."""
        merged = {**dict(self.parameters), **parameters}
        return replace(self, parameters=tuple(sorted(merged.items())))


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    if isinstance(value, str):
        bare = NAME.fullmatch(value) and not NUMBER.fullmatch(value) and value not in WORDS
        return value if bare else json.dumps(value, ensure_ascii=False)
    return "none" if value is None else str(value)


@dataclass(frozen=True)
class Optimiser:
    """One player's optimiser. `betas` are Adam's; RMSprop takes `betas[1]` as its smoothing constant."""

    name: Literal["adam", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    epsilon: float = 1e-8


@dataclass(frozen=True)
class Recipe:
    """The settings that a loss needs to work as published. A suite may override each of them.

    `discriminator_steps` is the number of discriminator updates for one generator update; `clip`, where set, bounds
    every weight of the discriminator to [-clip, clip] after each of its updates.
    """

    generator: Optimiser = Optimiser()
    discriminator: Optimiser = Optimiser()
    discriminator_steps: int = 1
    clip: float | None = None


@dataclass(frozen=True)
class Measure:
    """What a metric says of one of its scores before anything is measured: `ganbench metrics` and the docs print it.

    `name` may hold `{extractor}` and `{count}`, as in `fid_{extractor}_{count}`; they stand for the extractor's tag and
    the number of samples. `lowest` and `highest` are the range, None where it has no end; `perfect` is the score of a
    generator that samples the very distribution of the data, None where that depends on the data. `minimum` is the
    fewest samples a side that give a value; `undefined` says when the value is None. `noise` says how the score's own
    deviation is found (Score.noise), "" where it is not. `version` goes up whenever equal samples would get another
    value.
    """

    name: str
    direction: Literal["lower", "higher"]
    definition: str
    formula: str
    unit: str = ""
    lowest: float | None = None
    highest: float | None = None
    perfect: float | None = None
    mean: Literal["geometric", "arithmetic"] = "arithmetic"
    minimum: int = 1
    undefined: str = ""
    noise: str = ""
    paper: str = ""
    traps: tuple[str, ...] = ()
    version: int = 1

    def fits(self, name: str) -> bool:
        """Whether a score of that name is this one: `fcd_digits` is `fcd_{extractor}`."""
        pattern = re.escape(self.name).replace(r"\{extractor\}", ".+").replace(r"\{count\}", "[0-9]+k?")
        return re.fullmatch(pattern, name) is not None


@dataclass(frozen=True)
class Component:
    """What a plugin offers: a name, where to import it from, and the contract that `plan` checks.

    `target` is `"module:attribute"`, imported when a trial needs it. `needs` and `gives` are the contract; the keys
    that ganbench knows are in `ganbench.rules`. `recipe` is for losses, and for methods that stand alone; `measures`
    for metrics only: one for each score, in the order in which the metric gives them.
    """

    name: str
    target: str
    summary: str
    paper: str = ""
    needs: Mapping[str, Any] = field(default_factory=dict)
    gives: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True)
class Variant:
    """Generator, discriminator and objective: one row of a leaderboard.

    An objective is a loss with its penalties, an augmentation of what the discriminator sees, and a method that says
    how the players take turns; each but the loss may be absent, and the loss too where the method stands alone.
    """

    generator: Choice
    discriminator: Choice
    loss: Choice | None
    penalties: tuple[Choice, ...] = ()
    augmentation: Choice | None = None
    method: Choice | None = None

    @property
    def parts(self) -> tuple[tuple[Kind, Choice], ...]:
        """All that the variant is made of, with the kind of each: the networks, then the objective's parts."""
        return (("generator", self.generator), ("discriminator", self.discriminator), *self.objective_parts)

    @property
    def objective_parts(self) -> tuple[tuple[Kind, Choice], ...]:
        """The parts of the objective, with the kind of each, in the order in which they are written."""
        parts: list[tuple[Kind, Choice | None]] = [("loss", self.loss)]
        parts += [("penalty", choice) for choice in self.penalties]
        parts += [("augmentation", self.augmentation), ("method", self.method)]
        return tuple((kind, choice) for kind, choice in parts if choice is not None)

    @property
    def objective(self) -> str:
        """The objective as it is written in a suite: `nonsaturating + r1(gamma=0.1) + diffaugment`."""
        return " + ".join(str(choice) for _, choice in self.objective_parts)

    def __str__(self) -> str:
        return f"{self.generator} / {self.discriminator} / {self.objective}"


@dataclass(frozen=True)
class Spent:
    """What training has used so far: thousands of real images shown, generator updates, seconds, 10^15 FLOPs.

    `device_seconds` is processor time of the training process on a CPU and time between CUDA events on a GPU.
    """

    kimg: float = 0.0
    steps: int = 0
    device_seconds: float = 0.0
    petaflops: float = 0.0


AXES: tuple[str, ...] = tuple(item.name for item in fields(Spent))


@dataclass(frozen=True)
class Budget:
    """What each trial may spend. Whichever limit comes first is the end."""

    kimg: float | None = None
    steps: int | None = None
    device_seconds: float | None = None
    petaflops: float | None = None

    def limits(self) -> dict[str, float]:
        """The limits that are set, by axis."""
        return {axis: getattr(self, axis) for axis in AXES if getattr(self, axis) is not None}

    def progress(self, spent: Spent) -> float:
        """The share of the budget that is spent: 1 or more when it is used up."""
        return max(float(getattr(spent, axis)) / limit for axis, limit in self.limits().items())

    def overshoot(self, spent: Spent) -> dict[str, float]:
        """By axis, how far `spent` went past each limit; negative where another limit ended training first."""
        return {axis: getattr(spent, axis) - limit for axis, limit in self.limits().items()}

    def __str__(self) -> str:
        units = {"kimg": "kimg", "steps": "steps", "device_seconds": "device s", "petaflops": "PFLOP"}
        return " or ".join(f"{limit:g} {units[axis]}" for axis, limit in self.limits().items())


@dataclass(frozen=True)
class Limits:
    """What a job may take, and is ended beyond; None is no limit.

    `seconds` on the wall, altogether; `silent_seconds` without a sign of life; `memory_bytes` of the process, or on a
    GPU of its memory.
    """

    seconds: float | None = None
    silent_seconds: float | None = None
    memory_bytes: int | None = None


Precision = Literal["float32", "tf32", "bf16"]
Faster = Literal["vectorised", "graph"]
"""The drivers that are faster than carrying out a seed's steps operation by operation."""


@dataclass(frozen=True)
class Training:
    """How a trial trains, resolved: the loss's recipe with the suite's overrides, and the suite's own settings.

    The generator's moving average has a half-life of `ema_half_life_kimg` thousand images, shortened to `ema_rampup`
    times the images seen while training is young (arXiv:1912.04958, the released code); None means no average.

    `precision` is what the networks compute in, where the device can: `tf32` and `bf16` are for GPUs, and gradient
    penalties stay in float32 under `bf16`. With `flips`, every real image is mirrored left to right with probability ½.
    With `reuse_fakes`, the generator is updated on the fakes that the discriminator saw last (as the released code of
    arXiv:1511.06434 does), which saves a pass; otherwise on new ones (arXiv:1406.2661, algorithm 1).
    """

    batch_size: int = 64
    latent_dim: int = 64
    ema_half_life_kimg: float | None = None
    ema_rampup: float = 0.05
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    generator: Optimiser = Optimiser()
    discriminator: Optimiser = Optimiser()
    discriminator_steps: int = 1
    clip: float | None = None
    precision: Precision = "float32"
    flips: bool = False
    reuse_fakes: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What is measured and when: `points` are shares of the budget in ascending order, the last one 1.

    `samples` is the number of generated, and at most of real, samples compared; `extractor` is None for data whose
    metrics need no features.
    """

    points: tuple[float, ...]
    metrics: tuple[Choice, ...]
    samples: int
    extractor: Choice | None = None


@dataclass(frozen=True)
class Trial:
    """One training run: everything that defines its result, and nothing else. `key` names it."""

    dataset: Choice
    variant: Variant
    seed: int
    budget: Budget
    training: Training
    evaluation: Evaluation

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return content_key(self)


ReferenceName = Literal["real_floor", "perfect", "noise"]


@dataclass(frozen=True)
class Reference:
    """Something measured as a generator is, without training.

    `real_floor` is training data against held-out data; `perfect` new samples of a known density; `noise` knows nothing
    but the range of the data.
    """

    dataset: Choice
    name: ReferenceName
    evaluation: Evaluation

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return content_key(self)


@dataclass(frozen=True)
class Submission:
    """Samples that were made elsewhere, or a generator that was trained elsewhere: measured, never trained.

    `name` is what tables call it, `source` what it came as; `sha256` is of the files' content, so that a submission is
    what it holds and not where it lies. A generator gets latents of `latent_dim` standard normal numbers, drawn with
    `seed`; samples have neither (0).
    """

    dataset: Choice
    name: str
    source: Literal["samples", "safetensors", "torchscript", "hub"]
    sha256: str
    evaluation: Evaluation
    latent_dim: int = 0
    seed: int = 0

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return content_key(self)


Job = Trial | Reference | Submission
JobKind = Literal["trial", "reference", "evaluated"]


def kind_of(job: Job) -> JobKind:
    """What a record calls the job: a submission is `evaluated`, and nothing else was done to it."""
    if isinstance(job, Trial):
        return "trial"
    return "reference" if isinstance(job, Reference) else "evaluated"


@dataclass(frozen=True)
class Score:
    """One number with the protocol it was measured by. `value` is None where the score is undefined.

    `mean` says how values are averaged over seeds: `arithmetic` for those that can be 0 or negative. `noise` is the
    deviation that the value would have over other samples of the same generator and of the data, where it was
    estimated: it says nothing about other seeds of training. `version` is the declared one: scores of two do not
    compare.
    """

    name: str
    value: float | None
    direction: Literal["lower", "higher"]
    mean: Literal["geometric", "arithmetic"] = "arithmetic"
    metric: str = ""
    n_fake: int = 0
    n_real: int = 0
    split: str = "heldout"
    extractor: str = ""
    weights_sha256: str = ""
    layer: str = ""
    dimension: int = 0
    settings: str = ""
    version: int = 1
    noise: float | None = None


@dataclass(frozen=True)
class Record:
    """What a trial or a reference left behind, written last. `message` says in one line why a status is not `ok`.

    `files` holds the SHA-256, by name, of the attempt's files that nothing changes any more, `log` the last lines of
    what a job printed that did not end well. Both are filled in as it is written, and are empty in what schema 1 was.
    """

    key: str
    kind: JobKind
    status: Status
    started_at: str
    finished_at: str
    message: str = ""
    failed_step: int | None = None
    spent: Spent = Spent()
    scores: tuple[Score, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    log: str = ""
    schema: int = 2


def plain(value: Any) -> dict[str, Any]:
    """A dataclass of this module as a dictionary of JSON's own types."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(value), allow_nan=False))
    return data


def canonical_json(value: Any) -> str:
    """The one JSON text for a value: sorted keys, no spaces, no NaN."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def content_key(value: Any) -> str:
    """SHA-256 of `canonical_json(value)`, in hexadecimal; the type's name is part of what is hashed."""
    text = f"{type(value).__name__}{canonical_json(value)}"
    return hashlib.sha256(text.encode()).hexdigest()
