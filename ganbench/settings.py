"""The tables of a suite file as frozen dataclasses: their types are what a suite may say, and each checks itself."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from ganbench.choices import parse_choice, parse_objective
from ganbench.errors import ChoiceError, suggest
from ganbench.terms import Budget, Choice, Optimiser, Precision, Training
from ganbench.terms import Limits as JobsLimits

MOST_SEEDS = 10_000
MOST_POINTS = 1_000


def _wrong(reason: str) -> PydanticCustomError:
    return PydanticCustomError("suite", "{reason}", {"reason": reason})


def _choice(written: Any) -> Choice:
    try:
        return parse_choice(written)
    except ChoiceError as error:
        raise _wrong(str(error)) from error


def _objective(written: Any) -> tuple[Choice, tuple[Choice, ...]]:
    try:
        return parse_objective(written)
    except ChoiceError as error:
        raise _wrong(str(error)) from error


def _counted_seeds(value: Any) -> Any:
    if type(value) is not int:
        return value
    if not 1 <= value <= MOST_SEEDS:
        raise _wrong(f"expected from 1 to {MOST_SEEDS} seeds, got {value}")
    return tuple(range(value))


def _unique(seeds: tuple[int, ...]) -> tuple[int, ...]:
    seen: set[int] = set()
    for seed in seeds:
        if seed in seen:
            raise _wrong(f"seed {seed} is given twice")
        seen.add(seed)
    return seeds


def _counted_points(value: Any) -> Any:
    if type(value) is not int:
        return value
    if not 1 <= value <= MOST_POINTS:
        raise _wrong(f"expected from 1 to {MOST_POINTS} points, got {value}")
    return tuple(number / value for number in range(1, value + 1))


def _ending_in_one(points: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted({*points, 1.0}))


def _requirement(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement as error:
        raise _wrong(f"expected a requirement such as 'ganbench>=0.1', got '{text}'") from error
    return text


Count = Annotated[int, Field(strict=True, ge=1)]
Positive = Annotated[float, Field(strict=True, gt=0)]
NotNegative = Annotated[float, Field(strict=True, ge=0)]
Beta = Annotated[float, Field(strict=True, ge=0, lt=1)]
Share = Annotated[float, Field(strict=True, gt=0, le=1)]
Glob = Annotated[str, Field(min_length=1, max_length=1_000)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
OneChoice = Annotated[Choice, PlainValidator(_choice)]
Choices = Annotated[tuple[OneChoice, ...], Field(min_length=1)]
Objective = Annotated[tuple[Choice, tuple[Choice, ...]], PlainValidator(_objective)]
Requirements = tuple[Annotated[str, AfterValidator(_requirement)], ...]
Seeds = Annotated[
    tuple[Annotated[int, Field(strict=True, ge=0, lt=2**32)], ...],
    Field(min_length=1, max_length=MOST_SEEDS),
    BeforeValidator(_counted_seeds),
    AfterValidator(_unique),
]
Points = Annotated[
    tuple[Share, ...],
    Field(min_length=1, max_length=MOST_POINTS),
    BeforeValidator(_counted_points),
    AfterValidator(_ending_in_one),
]


class _Table:
    """What all tables have in common: a key that is not a field is refused."""

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Limits(_Table):
    """A budget as a suite states it: at least one limit, each of them positive."""

    kimg: Positive | None = None
    steps: Count | None = None
    device_seconds: Positive | None = None
    petaflops: Positive | None = None

    def __post_init__(self) -> None:
        if not self.budget.limits():
            raise _wrong(f"expected at least one limit.{suggest('', [item.name for item in fields(self)])}")

    @property
    def budget(self) -> Budget:
        """The budget of a trial under these limits."""
        return Budget(self.kimg, self.steps, self.device_seconds, self.petaflops)


@dataclass(frozen=True)
class JobLimits(_Table):
    """What each trial may take on the machine, whatever its budget: no part of what the trial is."""

    wall_seconds: Positive | None = None
    silent_seconds: Positive | None = None
    memory_gib: Positive | None = None

    @property
    def limits(self) -> JobsLimits:
        """The same in bytes; None is no limit."""
        memory_bytes = None if self.memory_gib is None else int(self.memory_gib * 2**30)
        return JobsLimits(self.wall_seconds, self.silent_seconds, memory_bytes)


@dataclass(frozen=True)
class OptimiserSettings(_Table):
    """What a suite changes in one player's optimiser. None leaves a setting as it is, here and below."""

    name: Literal["adam", "rmsprop", "sgd"] | None = None
    learning_rate: Positive | None = None
    betas: tuple[Beta, Beta] | None = None
    epsilon: Positive | None = None

    def applied_to(self, optimiser: Optimiser) -> Optimiser:
        """The optimiser with these settings changed."""
        return replace(optimiser, **_given(self))


@dataclass(frozen=True)
class TrainingSettings(_Table):
    """What a suite changes in the training. A `clip` or `ema_half_life_kimg` of 0 turns it off."""

    batch_size: Count | None = None
    latent_dim: Count | None = None
    ema_half_life_kimg: NotNegative | None = None
    ema_rampup: NotNegative | None = None
    schedule: Literal["constant", "linear", "cosine"] | None = None
    generator: OptimiserSettings | None = None
    discriminator: OptimiserSettings | None = None
    discriminator_steps: Count | None = None
    clip: NotNegative | None = None
    precision: Precision | None = None
    flips: Annotated[bool, Field(strict=True)] | None = None
    reuse_fakes: Annotated[bool, Field(strict=True)] | None = None

    def applied_to(self, training: Training) -> Training:
        """The training with these settings changed."""
        changes = _given(self)
        for player in ("generator", "discriminator"):
            if player in changes:
                changes[player] = changes[player].applied_to(getattr(training, player))
        for switched in ("clip", "ema_half_life_kimg"):
            if changes.get(switched) == 0:
                changes[switched] = None
        return replace(training, **changes)


@dataclass(frozen=True)
class EvaluationSettings(_Table):
    """When and on how many samples a suite measures, and with which extractor."""

    points: Points | None = None
    samples: Count | None = None
    extractor: OneChoice | None = None


@dataclass(frozen=True)
class Matrix(_Table):
    """Every generator with every discriminator with every loss."""

    generator: Choices
    discriminator: Choices
    loss: Annotated[tuple[Objective, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Entry(_Table):
    """One variant that is written out, with settings of its own where it needs them."""

    generator: OneChoice
    discriminator: OneChoice
    loss: Objective
    training: TrainingSettings | None = None
    budget: Limits | None = None


@dataclass(frozen=True)
class Match(_Table):
    """Globs that pick combinations: all that are given must match."""

    dataset: Glob | None = None
    generator: Glob | None = None
    discriminator: Glob | None = None
    loss: Glob | None = None

    def __post_init__(self) -> None:
        if not self.globs():
            raise _wrong(f"matches everything; expected a glob.{suggest('', [item.name for item in fields(Match)])}")

    def globs(self) -> dict[str, str]:
        """The globs that are given, by key."""
        given = _given(self)
        return {item.name: given[item.name] for item in fields(Match) if item.name in given}


@dataclass(frozen=True)
class Override(Match):
    """Other settings for what matches. `budget` replaces the suite's; the other two change only what they name."""

    budget: Limits | None = None
    training: TrainingSettings | None = None
    evaluation: EvaluationSettings | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in ("budget", "training", "evaluation") if getattr(self, name)]
        if not given:
            raise _wrong(f"changes nothing.{suggest('', ('budget', 'training', 'evaluation'))}")
        for name in {"budget", "evaluation"}.intersection(given):
            if set(self.globs()) != {"dataset"}:
                raise _wrong(
                    f"`{name}` may differ between data sets only, so match `dataset` and nothing else: "
                    f"variants with another {name} cannot be compared"
                )


@dataclass(frozen=True)
class SuiteTable(_Table):
    """A whole file."""

    name: Name
    datasets: Choices
    budget: Limits
    description: str = ""
    seeds: Seeds = (0, 1, 2)
    metrics: Choices | None = None
    requires: Requirements = ()
    matrix: Matrix | None = None
    variants: tuple[Entry, ...] = ()
    exclude: tuple[Match, ...] = ()
    override: tuple[Override, ...] = ()
    evaluation: EvaluationSettings = EvaluationSettings()
    training: TrainingSettings = TrainingSettings()
    limits: JobLimits = JobLimits()

    def __post_init__(self) -> None:
        if self.matrix is None and not self.variants:
            raise _wrong("nothing to train: expected a [matrix] or at least one [[variants]]")


TABLES: dict[str, type] = {
    "": SuiteTable,
    "matrix": Matrix,
    "variants": Entry,
    "exclude": Match,
    "override": Override,
    "budget": Limits,
    "evaluation": EvaluationSettings,
    "limits": JobLimits,
    "training": TrainingSettings,
    "generator": OptimiserSettings,
    "discriminator": OptimiserSettings,
}
"""The form of each table, by the last key on the way to it."""


def keys_of(table: str) -> list[str]:
    """The keys that a table may have."""
    return [item.name for item in fields(TABLES[table])]


def _given(settings: Any) -> dict[str, Any]:
    pairs = {item.name: getattr(settings, item.name) for item in fields(settings)}
    return {name: value for name, value in pairs.items() if value is not None}
