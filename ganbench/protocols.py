"""What plugins look like from the core: the shapes and meanings that each kind of component must honour.

In shapes, N is the batch, C channels, H height, W width, D the dimension of a point, Z the latent dimension, K classes.
Images inside a network are float32 in [-1, 1], points are float32 as they are; real data at rest are uint8 images or
float32 points. A high logit means *real*, always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    import torch
    from torch import Tensor, nn

    from ganbench.tasks import Task
    from ganbench.terms import Limits, Score

Terms = Mapping[str, "Tensor"]
"""Named per-sample terms, each of shape (N,). The core averages over N, adds the terms, differentiates and steps."""

Remembered = MutableMapping[str, "Tensor"]
"""Numbers that a part of the objective keeps from step to step, by the names in its `remembers`: scalars, float32."""


class Critic(Protocol):
    """The discriminator as a loss calls it, its labels and its augmentation already bound."""

    def __call__(self, samples: Tensor) -> Tensor:
        """Logits (N,) of samples (N, …); or vectors (N, E), of a discriminator with E outputs."""
        ...

    def judge(self, samples: Tensor) -> Mapping[str, Tensor]:
        """The same under `logits`, and each head that the discriminator states, as `features` (N, F)."""
        ...


@dataclass(frozen=True)
class Game:
    """One player's move, as a loss or a penalty sees it.

    `real` and `fake` have the shape that the discriminator judges: (N, C, H, W) or (N, D), with packed samples on the
    channel axis where packing is used (then N is the batch size divided by the packing). `fake` is detached when the
    discriminator moves. `critic` maps such a batch to logits of shape (N,); `generator` maps `latents` (N, Z) to fakes,
    packed alike. `labels` is int64, one a sample of the batch before packing, or None; fakes are made for the labels of
    the real samples, so that sample n has the same on both sides. `rng` lives on the device of the data. `step` counts
    from 1. `memory` is what the part remembered, to be read and assigned.
    """

    real: Tensor
    fake: Tensor
    latents: Tensor
    labels: Tensor | None
    critic: Critic
    generator: Callable[[Tensor], Tensor]
    rng: torch.Generator
    step: int
    memory: Remembered = field(default_factory=dict)


class Loss(Protocol):
    """The objective of both players: mathematics only, no optimiser, no noise, no `backward`."""

    def discriminator(self, game: Game) -> Terms:
        """What the discriminator minimises, per sample: each term (N,)."""
        ...

    def generator(self, game: Game) -> Terms:
        """What the generator minimises, per sample: each term (N,)."""
        ...


class Penalty(Protocol):
    """What is added to a loss: `loss + penalty(...)`. Either of its methods, or both.

    A loss and a penalty may have an attribute `remembers`, a mapping of names to the numbers that they start with:
    `game.memory` then holds each as a scalar tensor, and what is assigned there is found at the next step.
    """

    def discriminator(self, game: Game) -> Terms:
        """What is added to the discriminator's objective, per sample and already weighted: each term (N,)."""
        ...

    def generator(self, game: Game) -> Terms:
        """What is added to the generator's objective, per sample and already weighted: each term (N,)."""
        ...


class Augmentation(Protocol):
    """A random change of all that the discriminator sees, for both players: `loss + augmentation(...)`.

    Samples are not packed yet. It may have `remembers`, as a penalty may.
    """

    def __call__(self, samples: Tensor, rng: torch.Generator, memory: Remembered) -> Tensor:
        """The samples (N, …) changed, each by numbers of its own from `rng`; differentiable in the samples."""
        ...

    def adapt(self, real_logits: Tensor, memory: Remembered) -> None:
        """Optional: told the logits (N,) of the real batch after each update of the discriminator."""
        ...


class Generator(Protocol):
    """Called as `build(latent_dim, shape, **parameters)`; gives a `torch.nn.Module`.

    Its `forward` maps latents (N, Z) to samples (N, *shape): images in [-1, 1], or points. One whose contract speaks of
    `labels` or `classes` is called as `build(latent_dim, shape, classes, **parameters)`, and while it needs labels, its
    `forward` takes them as well: int64 (N,).
    """

    def __call__(self, latents: Tensor) -> Tensor: ...


class Discriminator(Protocol):
    """Called as `build(shape, **parameters)`; gives a `torch.nn.Module`.

    Its `forward` maps samples (N, *shape) to logits (N,), high for real. Labels are as for a generator. One that states
    heads has a method `judge` of the same arguments, which gives a mapping: the logits and each head by name. One that
    states `outputs` gives vectors (N, outputs) where there is more than one, so that it can serve as an encoder.
    """

    def __call__(self, samples: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Scene:
    """What one turn of a method starts from.

    `real` is (N, *shape) and `latents` (N, Z), new for each turn; `labels` int64 (N,) or None. `networks` has the
    `generator` and those that the method asked for. `objective` is the loss with its penalties; one that stands alone
    has none. `game` makes what a loss sees of fakes (N, *shape) and of a critic; what a loss remembers is kept of the
    last game that a turn makes, since those before it may only look ahead.
    """

    real: Tensor
    latents: Tensor
    labels: Tensor | None
    networks: Mapping[str, nn.Module]
    objective: Loss | None
    game: Callable[[Tensor, Callable[[Tensor], Tensor]], Game]
    rng: torch.Generator
    step: int


@dataclass(frozen=True)
class Turn:
    """One update of a method: what it minimises, and which networks descend on it.

    `optimiser` says whose settings it takes. One of `every_batch` comes once for each of the batches that a step is
    given, all such turns before the others; the others come once a step, with the last batch.
    """

    name: str
    players: tuple[str, ...]
    optimiser: Literal["generator", "discriminator"]
    minimised: Callable[[Scene], Terms]
    every_batch: bool = False


class Method(Protocol):
    """How the players take turns, where it is not the usual game: `loss + method(...)`, or a method alone."""

    def networks(
        self, make: Callable[..., nn.Module], latent_dim: int, shape: tuple[int, ...]
    ) -> Mapping[str, nn.Module]:
        """The networks that play beside the generator, by name; at least one.

        `make(shape, **parameters)` gives the variant's discriminator for samples of that shape, with parameters set.
        """
        ...

    def turns(self) -> tuple[Turn, ...]:
        """The updates of one step, in order."""
        ...


@dataclass(frozen=True)
class Places:
    """Where things lie on this machine. None of it is part of a trial: it must not change a result."""

    data_root: Path | None = None
    download: bool = False
    weights: Path | None = None


@dataclass(frozen=True)
class Modes:
    """The modes of a density, float64: `centres` (K, D), `deviations` (K,), and `weights` (K,) that sum to 1."""

    centres: Tensor
    deviations: Tensor
    weights: Tensor


class Density(Protocol):
    """A known density of points."""

    def log_prob(self, points: Tensor) -> Tensor:
        """The natural logarithm of the density, (N,) float64 and finite, at points (N, D) of any floating type."""
        ...

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Independent points, (count, D) float32, drawn with `rng`: what a perfect generator gives."""
        ...


@dataclass(frozen=True)
class Data:
    """A data set in memory: images uint8 (N, C, H, W) or points float32 (N, D), in two disjoint splits.

    Labels are (N,) int64 or None; `class_names` names them. `modes` and `density` are for points where they are known.
    `origin` says in a few words where the samples came from, for the record. `train` is empty, (0, ...), where all
    samples are held out: such data can be measured against, and not trained on.
    """

    train: Tensor
    heldout: Tensor
    train_labels: Tensor | None = None
    heldout_labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    modes: Modes | None = None
    density: Density | None = None
    origin: str = ""


class Dataset(Protocol):
    """Called as `load(places, **parameters)`; the same parameters always give the same data, split alike."""

    def __call__(self, places: Places) -> Data: ...


@dataclass(frozen=True)
class Extractor:
    """A network that turns images into features, and for a classifier into logits too.

    `module` is a torch-fidelity feature extractor (uint8 images, (N, 1 or 3, H, W), to a tuple of tensors, one for each
    entry of its `features_list`). `layer` is the entry that holds the features, `logits_layer` the one that holds class
    logits, or "". `tag` is what a score's name ends in: `digits` gives `fcd_digits`, `inception` `fid_inception_…`.
    The core fills in `classes`, as many logits as were declared, and `label`, which names the extractor in a message.
    """

    module: torch.nn.Module
    tag: str
    weights_sha256: str
    layer: str
    dimension: int
    logits_layer: str = ""
    accuracy: float | None = None
    classes: int = 0
    label: str = ""


class ExtractorLoader(Protocol):
    """Called as `load(places, **parameters)`, or as `load(places, data, **parameters)` if it needs `labels`."""

    def __call__(self, places: Places) -> Extractor: ...


class Executor(Protocol):
    """Called as `build(workers, **parameters)`, and used in a `with`: it carries out the jobs of a run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def submit(self, tasks: Sequence[Task], limits: Limits) -> Future[str]:
        """Let `ganbench.trial.perform` have the tasks, together, within the limits; no more at a time than there are
        workers.

        The future holds what it gives or raises. Of a process that came to a bad end it holds `ganbench.tasks.Lost`,
        which says what to record, once nothing of that process is left: the records are in the attempts' folders.
        """
        ...


Tensors = Mapping[str, "Tensor"]


class Memory:
    """Remembers what is computed from given samples, so that metrics share it. This one keeps it in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensors] = {}

    def recall(self, name: str, compute: Callable[[], Tensors]) -> Tensors:
        """What `compute` gave when `name` was first asked for. The name must say all that decides the result."""
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]


@dataclass(frozen=True)
class Evidence:
    """What metrics look at: samples, and features that were extracted once for all of them.

    `fake` and `real`, N of each, are uint8 images or float32 points on the CPU; `real` is from the held-out split.
    Features are float32 (N, dimension) and logits float32 (N, K), on the device that computes scores, or None where
    there is no extractor or no logits layer. `fake_labels` (N,) int64 are the classes that were asked for, if any were;
    `real_labels` those of `real`. `train_features` (M, dimension) are of the whole training split, for metrics that
    need `training`. `of_real` remembers what was computed from the real side alone, on disk too, for the next
    evaluation; `of_both` what metrics share within this one. `resamples` is how often a metric may resample for
    `Score.noise`: 0 along a curve. `rng_seed` seeds whatever a metric draws. None of it may be written to.
    """

    fake: Tensor
    real: Tensor
    data: Data
    extractor: Extractor | None = None
    fake_features: Tensor | None = None
    real_features: Tensor | None = None
    fake_logits: Tensor | None = None
    real_logits: Tensor | None = None
    fake_labels: Tensor | None = None
    real_labels: Tensor | None = None
    train_features: Tensor | None = None
    of_real: Memory = field(default_factory=Memory)
    of_both: Memory = field(default_factory=Memory)
    resamples: int = 0
    rng_seed: int = 0


class Metric(Protocol):
    """Called as `build(**parameters)`; then a pure function from evidence to scores, in a fixed order."""

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]: ...
