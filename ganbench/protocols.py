"""What plugins look like from the core: the shapes and meanings that each kind of component must honour.

In shapes, N is the batch, C channels, H height, W width, D the dimension of a point, Z the latent dimension, K classes.
Images inside a network are float32 in [-1, 1], points are float32 as they are; real data at rest are uint8 images or
float32 points. A high logit means *real*, always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ganbench.terms import Score

Terms = Mapping[str, "Tensor"]
"""Named per-sample terms, each of shape (N,). The core averages over N, adds the terms, differentiates and steps."""


@dataclass(frozen=True)
class Game:
    """One player's move, as a loss or a penalty sees it.

    `real` and `fake` have the shape that the discriminator judges: (N, C, H, W) or (N, D), with packed samples on the
    channel axis where packing is used (then N is the batch size divided by the packing). `fake` is detached when the
    discriminator moves. `critic` maps such a batch to logits of shape (N,); `generator` maps `latents` (N, Z) to fakes,
    packed alike. `labels` is int64, one a sample of the batch before packing, or None. `rng` lives on the device of the
    data. `step` counts from 1.
    """

    real: Tensor
    fake: Tensor
    latents: Tensor
    labels: Tensor | None
    critic: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    rng: torch.Generator
    step: int


class Loss(Protocol):
    """The objective of both players: mathematics only, no optimiser, no noise, no `backward`."""

    def discriminator(self, game: Game) -> Terms:
        """What the discriminator minimises, per sample: each term (N,)."""
        ...

    def generator(self, game: Game) -> Terms:
        """What the generator minimises, per sample: each term (N,)."""
        ...


class Penalty(Protocol):
    """What is added to the discriminator's objective: `loss + penalty(...)`."""

    def discriminator(self, game: Game) -> Terms:
        """The penalty per sample, already weighted: each term (N,)."""
        ...


class Generator(Protocol):
    """Called as `build(latent_dim, shape, **parameters)`; gives a `torch.nn.Module`.

    Its `forward` maps latents (N, Z) to samples (N, *shape): images in [-1, 1], or points.
    """

    def __call__(self, latents: Tensor) -> Tensor: ...


class Discriminator(Protocol):
    """Called as `build(shape, **parameters)`; gives a `torch.nn.Module`.

    Its `forward` maps samples (N, *shape) to logits (N,), high for real.
    """

    def __call__(self, samples: Tensor) -> Tensor: ...


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
