"""Faults × scores: real samples, spoiled in ways that generators fail, and which scores notice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import pandas as pd
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ganbench.building import build_metrics, load_extractor, need_training
from ganbench.choices import resolve
from ganbench.contracts import Part, metric_mismatch
from ganbench.datasets import noise_like
from ganbench.errors import ChoiceError, DataError
from ganbench.evaluations import Asked, measured_as
from ganbench.metrics import Evaluator
from ganbench.plugins import Registry
from ganbench.protocols import Data, Extractor
from ganbench.seeding import stream
from ganbench.terms import Choice, Evaluation, Score
from ganbench.workshop import Workshop, load_data

SAMPLES = 2_000
"""Samples a side, at most: enough to see faults, and few enough for a minute."""

REPETITIONS = 5
"""How often every fault is measured, each time on other samples."""

CONTROLS = 15
"""How often unspoiled samples are measured: their deviation is what a fault has to exceed."""

CONTROL = "none"

FEW, SEVERAL = 20, 200
"""How many different samples are left where a generator repeats a few, or some more."""

GREY_LEVELS = (8, 32)
"""Deviations of the noise that is added to images, in grey levels of 256."""

BLURS = (0.5, 1.0)
"""Deviations of the Gaussian that images are blurred with, in pixels."""

KERNEL = 7
"""Pixels across that the Gaussian reaches: three deviations of the wider one."""

CLEARLY = 4.0
"""Deviations of the control that a score must be away from the control's to count as moved."""


@dataclass(frozen=True)
class Fault:
    """Spoiled samples (N, ...), what is wrong with them, and the classes (N,) that were asked for, if any."""

    name: str
    description: str
    samples: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Parts:
    """All samples of a data set, parted at random in three of N: what metrics see, and what they do not.

    `data` holds the training and the held-out samples that metrics compare with; `unseen` (N, ...), with `labels` (N,)
    where there are any, is what faults are made of. All three come from one mixture of the data set's own splits: an
    extractor that was trained on one of those is not more familiar with one part than with another.
    """

    data: Data
    unseen: Tensor
    labels: Tensor | None

    def fault(self, name: str, description: str, chosen: Tensor) -> Fault:
        """A fault that consists of unseen samples, by their indices (N,)."""
        return Fault(name, description, self.unseen[chosen], None if self.labels is None else self.labels[chosen])

    def altered(self, name: str, description: str, samples: Tensor) -> Fault:
        """A fault that alters each of the unseen samples."""
        return Fault(name, description, samples, self.labels)


@dataclass(frozen=True)
class FaultTable:
    """What came of it: `values`, a row for each fault and a column for each score, means over the repetitions.

    The first row is the control, made of the same samples as the others. `errors` are the means' standard errors, and
    `deviations`, by score, those of the control over its own, more numerous repetitions; NaN stands for undefined.
    `directions` say whether lower or higher is better, `descriptions` what is wrong in each row, and `count` is the
    number of samples a side.
    """

    values: pd.DataFrame
    errors: pd.DataFrame
    deviations: pd.Series[float]
    directions: Mapping[str, str]
    descriptions: Mapping[str, str]
    count: int

    def worse(self) -> pd.DataFrame:
        """By how many deviations each value is worse than the control's; negative where it is better.

        The deviation is the control's or, where it is larger, the standard error: of one sample that is repeated, some
        scores are a matter of chance.
        """
        signs = pd.Series({name: 1.0 if way == "lower" else -1.0 for name, way in self.directions.items()})
        differences = (self.values - self.values.loc[CONTROL]) * signs
        tolerated = self.errors.fillna(0.0).clip(lower=self.deviations, axis="columns")
        return (differences / tolerated).where(differences != 0, 0.0)  # 0/0 is no difference

    def cells(self) -> pd.DataFrame:
        """The values as text, `*` after those that are clearly worse than the control, `+` after those better."""
        worse = self.worse()
        marks = worse.map(lambda by: "*" if by > CLEARLY else "+" if by < -CLEARLY else "")
        return self.values.map(lambda value: "–" if math.isnan(value) else f"{value:.3g}") + marks

    def to_text(self, width: int) -> str:
        """For a terminal of `width` columns: scores in the rows, faults in the columns, then what the faults are."""
        told = [f"{name:<13}{description}" for name, description in self.descriptions.items()]
        table = self.cells().T.to_string(line_width=width)
        return "\n".join([f"{self.count} samples a side.", "", table, "", *told, ""])

    def to_markdown(self) -> str:
        """The same for a page."""
        cells = self.cells().T
        lines = [["score", *cells.columns], ["---", *["---:"] * len(cells.columns)]]
        lines += [[f"`{score}`", *values] for score, values in zip(cells.index, cells.to_numpy(), strict=True)]
        told = "; ".join(f"{name}: {description}" for name, description in self.descriptions.items())
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        return f"{table}\n{self.count} samples a side. {told[:1].upper()}{told[1:]}.\n"


def measure_faults(
    workshop: Workshop, dataset: Choice, metrics: Sequence[Choice] = (), samples: int = SAMPLES
) -> FaultTable:
    """Every fault of the data set's samples, by every score: by those of `metrics`, or of all that are installed.

    Draws the same samples every time. Raises SuiteError for a metric that does not apply, DataError where there are
    too few samples.
    """
    chosen = tuple(metrics) or applying(workshop.registry, dataset)
    part, evaluation = measured_as(Asked(dataset, metrics=chosen, samples=samples), workshop.registry)
    data = load_data(workshop, part.choice)
    extractor = load_extractor(workshop, evaluation.extractor, data) if evaluation.extractor else None
    found = []
    for repetition in range(CONTROLS):
        rng = stream(repetition, "faults")
        parts = parted(data, samples, rng)
        evaluator = _evaluator(workshop, parts.data, evaluation, extractor)
        several = islice(faults(parts, rng), None if repetition < REPETITIONS else 1)  # the control comes first
        found += [(fault, evaluator.scores(fault.samples, fault.labels)) for fault in several]
    return _table(found)


def applying(registry: Registry, dataset: Choice) -> tuple[Choice, ...]:
    """Every installed metric that applies to the data set as it is, without parameters that must be set."""
    part = Part(registry.find("dataset", dataset).component, resolve(registry, "dataset", dataset))
    name = part.give("extractor", "")
    extractor = Part(registry.find("extractor", Choice(name)).component, Choice(name)) if name else None
    found = []
    for offer in registry.offers:
        if offer.kind != "metric":
            continue
        try:
            choice = resolve(registry, "metric", Choice(offer.component.name, owner=offer.owner))
        except ChoiceError:
            continue
        if metric_mismatch(Part(offer.component, choice), part, extractor) is None:
            found.append(choice)
    return tuple(found)


def parted(data: Data, samples: int, rng: torch.Generator) -> Parts:
    """The data set's samples in three equal parts of at most `samples`."""
    total = len(data.train) + len(data.heldout)
    count = min(samples, total // 3)
    if count < 2 * FEW:
        needed = f"{2 * FEW} real samples a side and three times as many in all"
        raise DataError(f"the study of faults needs {needed}, got {samples} a side, of {total}")
    parts = torch.randperm(total, generator=rng)[: 3 * count].view(3, count)
    train, heldout, unseen = (_taken(data.train, data.heldout, chosen) for chosen in parts)
    train_labels, heldout_labels, labels = (_taken_labels(data, chosen) for chosen in parts)
    seen = replace(data, train=train, heldout=heldout, train_labels=train_labels, heldout_labels=heldout_labels)
    return Parts(seen, unseen, labels)


def _taken(train: Tensor, heldout: Tensor, chosen: Tensor) -> Tensor:
    """Of both together those at `chosen` (N,), without a copy of all."""
    of_train = chosen < len(train)  # (N,)
    taken = heldout.new_empty(len(chosen), *heldout.shape[1:])
    taken[of_train] = train[chosen[of_train]]
    taken[~of_train] = heldout[chosen[~of_train] - len(train)]
    return taken


def _taken_labels(data: Data, chosen: Tensor) -> Tensor | None:
    """The classes of the samples at `chosen` (N,), if those of all samples are known."""
    if data.heldout_labels is None or (data.train_labels is None and len(data.train)):
        return None
    of_train = data.heldout_labels[:0] if data.train_labels is None else data.train_labels
    return _taken(of_train, data.heldout_labels, chosen)


def faults(parts: Parts, rng: torch.Generator) -> Iterator[Fault]:
    """The control first, then every fault that can be made of such samples, each as many as are unseen."""
    count = len(parts.unseen)
    yield parts.fault(CONTROL, "other real samples", torch.arange(count))
    yield from _repeats(parts)
    if parts.labels is not None and parts.labels.min() < parts.labels.max():
        yield _lacking(parts, parts.labels, rng)
        wrong = parts.labels[torch.randperm(count, generator=rng)]
        yield Fault("mislabelled", "classes are not those asked for", parts.unseen, wrong)
    yield Fault("memorised", "the training samples", parts.data.train, parts.data.train_labels)
    noise = noise_like(parts.data, count, rng)
    yield parts.altered("noise", "uniform noise", noise)
    tenth = torch.arange(count) % 10 == 0
    shape = (-1, *[1] * (noise.ndim - 1))
    yield parts.altered("outliers", "every tenth is noise", torch.where(tenth.view(shape), noise, parts.unseen))
    yield from _of_images(parts, rng) if parts.unseen.dtype == torch.uint8 else _of_points(parts, rng)


def _repeats(parts: Parts) -> Iterator[Fault]:
    count = len(parts.unseen)
    everywhere = torch.zeros(count, dtype=torch.int64)
    yield parts.altered("collapse", "one sample, repeated", parts.unseen[everywhere])
    yield parts.fault(f"{FEW} repeated", f"{FEW} samples, repeated", torch.arange(count) % FEW)
    if count >= 2 * SEVERAL:
        yield parts.fault(f"{SEVERAL} repeated", f"{SEVERAL} samples, repeated", torch.arange(count) % SEVERAL)
    yield parts.fault("twice", "every sample twice", torch.arange(count) // 2)


def _lacking(parts: Parts, labels: Tensor, rng: torch.Generator) -> Fault:
    """A tenth of the classes, at least one, gives way to samples of the others; asked for they still are."""
    present = torch.tensor(sorted(set(labels.tolist())))
    dropped = present[torch.randperm(len(present), generator=rng)[: max(1, len(present) // 10)]]
    lacking = torch.isin(labels, dropped)  # (N,)
    others = (~lacking).nonzero().squeeze(1)
    replaced = others[torch.randint(len(others), (int(lacking.sum()),), generator=rng)]
    chosen = torch.arange(len(labels)).masked_scatter(lacking, replaced)
    return parts.altered("dropped", "a tenth of the classes (at least one) is replaced by others", parts.unseen[chosen])


def _of_images(parts: Parts, rng: torch.Generator) -> Iterator[Fault]:
    images = parts.unseen
    for deviation in GREY_LEVELS:
        noisy = images + deviation * torch.randn(images.shape, generator=rng)
        name, description = f"noisy {deviation}", f"Gaussian noise of {deviation} grey levels"
        yield parts.altered(name, description, noisy.round().clamp(0, 255).to(torch.uint8))
    for pixels in BLURS:
        blurred = gaussian_blur(images, [KERNEL, KERNEL], [pixels, pixels])
        yield parts.altered(f"blurred {pixels:g}", f"blurred by {pixels:g} pixels", blurred)


def _of_points(parts: Parts, rng: torch.Generator) -> Iterator[Fault]:
    points, modes = parts.unseen, parts.data.modes
    unit = points.std(dim=0).mean().item() / 20 if modes is None else modes.deviations.min().item()
    told = "a twentieth of the points' deviation" if modes is None else "the narrowest mode's deviation"
    yield parts.altered("noisy", f"Gaussian noise of {told}", points + unit * torch.randn(points.shape, generator=rng))
    yield parts.altered("shifted", f"shifted by twice {told}", points + 2 * unit * torch.eye(points.shape[1])[0])
    if modes is not None:
        centres = modes.centres.float()
        nearest = torch.cdist(points, centres).argmin(dim=1)  # (N,)
        yield parts.altered("centres", "each at its mode's centre", centres[nearest])


def _evaluator(workshop: Workshop, data: Data, evaluation: Evaluation, extractor: Extractor | None) -> Evaluator:
    """The metrics, against these samples. The cache is left out of it, for the samples are drawn for this once."""
    metrics, training = build_metrics(workshop, evaluation.metrics), need_training(workshop, evaluation.metrics)
    return Evaluator(data, metrics, extractor, evaluation.samples, workshop.device, training=training)


def _table(found: Sequence[tuple[Fault, tuple[Score, ...]]]) -> FaultTable:
    control, scores = found[0]
    rows = [{score.name: score.value for score in of} for _, of in found]
    every = pd.DataFrame(rows, index=[fault.name for fault, _ in found], dtype="float64")
    alike = every.groupby(level=0, sort=False).head(REPETITIONS)  # the control's first ones are of the faults' samples
    by_fault = alike.groupby(level=0, sort=False)
    return FaultTable(
        by_fault.mean(),
        by_fault.sem(),
        every.loc[[CONTROL]].std(),
        {score.name: score.direction for score in scores},
        {fault.name: fault.description for fault, _ in found},
        len(control.samples),
    )
