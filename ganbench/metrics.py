"""Score generated samples against held-out ones: features are extracted once, then every metric looks at them.

What is computed from real data alone, features first of all, is kept in the cache and shared by all trials that measure
the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from ganbench import cache
from ganbench.errors import DataError, PluginError, suggest
from ganbench.extraction import FEATURES, LOGITS, Alive, extract, nobody
from ganbench.objective import blame
from ganbench.protocols import Data, Evidence, Extractor, Memory, Metric, Tensors
from ganbench.tables import COLUMNS, CURVE_LABELS
from ganbench.tensorfiles import digest
from ganbench.terms import AXES, Measure, Score

ROUNDING = 1e-3
"""How far below 0 a distance may come out by rounding alone, where both sides are the same samples."""


@dataclass(frozen=True)
class Measured:
    """The scores of generated samples, and what the extractor makes of both sides where it is a classifier.

    Logits are (N, K), on the device that computed the scores.
    """

    scores: tuple[Score, ...]
    fake_logits: Tensor | None = None
    real_logits: Tensor | None = None


class Evaluator:
    """The scores of generated samples, against the same held-out samples every time. Built once a trial.

    `count` is how many fakes it wants, and how many reals it compares them with: at most `samples`, and no more than
    either split holds, so that training data can be measured in the fakes' place with the same numbers; where there is
    no training data, no more than are held out. `real` are those reals. Features are extracted and scores computed on
    `device`, which is left as it was found. `identity` says, in JSON's own values, what besides the samples decides the
    real side's features and statistics; with it they are kept in the cache.
    """

    def __init__(
        self,
        data: Data,
        metrics: Sequence[Metric],
        extractor: Extractor | None,
        samples: int,
        device: torch.device | str = "cpu",
        *,
        training: bool = False,
        identity: cache.Identity | None = None,
        class_names: tuple[str, ...] = (),
    ) -> None:
        self.class_names = class_names
        self.count = min(samples, len(data.heldout), len(data.train) or len(data.heldout))
        kept = spread(len(data.heldout), self.count)  # (count,)
        self.real = data.heldout[kept]  # (count, C, H, W) or (count, D)
        self._real_labels = None if data.heldout_labels is None else data.heldout_labels[kept]
        self._data = data
        self._metrics = tuple(metrics)
        self._extractor = extractor
        self._device = torch.device(device)
        self._identity = identity
        self._real = self._of_real(self.real)
        train = data.train if training else None
        self._train_features = None if train is None else self._of_real(train).get(FEATURES)
        self._memory = self._memory_of(self.real, train)

    def scores(
        self,
        fake: Tensor,
        labels: Tensor | None = None,
        resamples: int = 0,
        alive: Alive = nobody,
    ) -> tuple[Score, ...]:
        """Every metric's scores, in the metrics' order: those that `measure` gives."""
        return self.measure(fake, labels, resamples, alive).scores

    def measure(
        self,
        fake: Tensor,
        labels: Tensor | None = None,
        resamples: int = 0,
        alive: Alive = nobody,
    ) -> Measured:
        """Every metric's scores, in the metrics' order, for `fake`: uint8 images or float32 points (count, ...).

        `labels` (count,) are the classes that were asked for; with `resamples` metrics estimate their own noise.
        `alive` is told what is being done, as long as that goes on. Draws no random number and leaves modes and
        gradients as they are. Raises DataError for samples of another form than the held-out ones, PluginError for a
        metric or an extractor that breaks its contract.
        """
        self._check(fake, labels)
        fake = fake.detach().cpu()
        found = self._extract(fake, alive)
        real = {name: tensor.to(self._device) for name, tensor in self._real.items()}
        evidence = Evidence(
            fake=fake,
            real=self.real,
            data=self._data,
            extractor=self._extractor,
            fake_features=found.get(FEATURES),
            real_features=real.get(FEATURES),
            fake_logits=found.get(LOGITS),
            real_logits=real.get(LOGITS),
            fake_labels=None if labels is None else labels.cpu(),
            real_labels=self._real_labels,
            train_features=None if self._train_features is None else self._train_features.to(self._device),
            of_real=self._memory,
            resamples=resamples,
        )
        with torch.no_grad():
            scores = _collect(self._metrics, evidence, alive)
        return Measured(scores, evidence.fake_logits, evidence.real_logits)

    def _extract(self, samples: Tensor, alive: Alive = nobody) -> dict[str, Tensor]:
        return extract(self._extractor, samples, self._device, alive) if self._extractor else {}

    def _of_real(self, samples: Tensor) -> dict[str, Tensor]:
        """The real samples' features and logits, on the CPU, from the cache where they were extracted before."""
        if self._extractor is None:
            return {}
        if self._identity is None or not self._extractor.weights_sha256:
            return {name: tensor.cpu() for name, tensor in self._extract(samples).items()}
        return cache.recall("features", self._identified(samples), lambda: self._extract(samples))

    def _memory_of(self, *samples: Tensor | None) -> Memory:
        if self._identity is None or (self._extractor is not None and not self._extractor.weights_sha256):
            return Memory()
        kept = [self.real, *self._real.values(), *([self._train_features] if self._train_features is not None else [])]
        return StoredMemory(self._identified(*samples), self._device, kept)

    def _identified(self, *samples: Tensor | None) -> cache.Identity:
        """All that decides what is computed from these samples: features where there is an extractor."""
        assert self._identity is not None
        digests = [None if part is None else digest({"samples": part.numpy()}) for part in samples]
        labels, extractor = self._real_labels, self._extractor
        facts = ("tag", "weights_sha256", "layer", "logits_layer", "dimension")
        return {
            **self._identity,
            "samples": digests,
            "labels": None if labels is None else digest({"labels": labels.numpy()}),
            "origin": self._data.origin,
            "features": {name: getattr(extractor, name) for name in facts} if extractor else None,
            "device": self._device.type,
        }

    def _check(self, fake: Tensor, labels: Tensor | None) -> None:
        shape, expected = tuple(fake.shape), tuple(self.real.shape)
        if shape != expected or fake.dtype != self.real.dtype:
            came = f"{fake.dtype} of shape {shape}"
            raise DataError(f"generated samples: got {came}, expected {self.real.dtype} of shape {expected}")
        if fake.is_floating_point() and not fake.isfinite().all():
            bad = int((~fake.isfinite()).flatten(1).any(dim=1).sum())
            raise DataError(f"generated samples: {bad} of {self.count} are not finite; a diverged model has no scores")
        if labels is not None and tuple(labels.shape) != (self.count,):
            raise DataError(f"labels asked for: shape {tuple(labels.shape)}, expected one for each of {self.count}")


class StoredMemory(Memory):
    """Remembers on disk as well what is computed from the real side, under `identity`; gives it on `device`.

    What `sources` hold is what the identity says of them only as long as nobody writes to them: after that, nothing is
    put on disk.
    """

    def __init__(self, identity: cache.Identity, device: torch.device, sources: Sequence[Tensor] = ()) -> None:
        super().__init__()
        self._identity = identity
        self._device = device
        self._sources = tuple(sources)
        self._versions = _versions(self._sources)

    def recall(self, name: str, compute: Callable[[], Tensors]) -> Tensors:
        """What `compute` gave when `name` was first asked for, in this process or in another one."""
        kept = super().recall(name, lambda: self._stored(name, compute))
        return {key: tensor.to(self._device) for key, tensor in kept.items()}

    def _stored(self, name: str, compute: Callable[[], Tensors]) -> Tensors:
        if _versions(self._sources) != self._versions:
            return compute()
        return cache.recall("statistics", {**self._identity, "statistic": name}, compute)


class ScopedMemory(Memory):
    """The part of a memory that belongs to one plugin's code: another one's, or its next version's, is not seen."""

    def __init__(self, memory: Memory, scope: str) -> None:
        super().__init__()
        self._memory = memory
        self._scope = scope

    def recall(self, name: str, compute: Callable[[], Tensors]) -> Tensors:
        """What `compute` gave when this code first asked for `name`."""
        return self._memory.recall(f"{self._scope}: {name}", compute)


def spread(size: int, count: int) -> Tensor:
    """The indices of `count` of `size` samples, evenly spaced: the same every time, and fair to classes in order."""
    return torch.arange(count) * size // max(count, 1)


@dataclass(frozen=True)
class Labelled:
    """A metric with the words that name it and its owner in a message, and what it declared of its scores.

    `scope` tells its code from that of other plugins and from other versions of its own; ganbench's metrics share "".
    """

    label: str
    metric: Metric
    measures: tuple[Measure, ...]
    scope: str = ""

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """The metric's scores; what it raises becomes a PluginError with its label."""
        if self.scope:
            of_real, of_both = (ScopedMemory(each, self.scope) for each in (evidence.of_real, evidence.of_both))
            evidence = replace(evidence, of_real=of_real, of_both=of_both)
        with blame(self.label):
            return self.metric(evidence)

    def measure_of(self, name: str) -> Measure | None:
        """What was declared of the score of that name."""
        return next((measure for measure in self.measures if measure.fits(name)), None)

    def undeclared(self, score: Score) -> str:
        """How a score is not what the metric declared, in a few words; nothing if it is."""
        measure = self.measure_of(score.name)
        if measure is None:
            return f"it declared no such score.{suggest(score.name, [measure.name for measure in self.measures])}"
        for fact in ("direction", "mean"):
            if getattr(score, fact) != getattr(measure, fact):
                return f"its {fact} is {getattr(score, fact)}, declared was {getattr(measure, fact)}"
        lowest, highest = measure.lowest, measure.highest
        if score.value is None or (
            (lowest is None or score.value >= lowest - ROUNDING)
            and (highest is None or score.value <= highest + ROUNDING)
        ):
            return ""
        ends = [f"at least {lowest:g}"] * (lowest is not None) + [f"at most {highest:g}"] * (highest is not None)
        return f"declared was a value of {' and '.join(ends)}"


def _collect(metrics: Sequence[Metric], evidence: Evidence, alive: Alive = nobody) -> tuple[Score, ...]:
    scores: dict[str, Score] = {}
    givers: dict[str, str] = {}
    shown = _tensors_of(evidence)
    for metric in metrics:
        title, before = _title(metric), _versions(shown.values())
        alive(title)
        result = metric(evidence)
        for name, old, new in zip(shown, before, _versions(shown.values()), strict=True):
            if old != new:
                raise PluginError(f"{title} changed `evidence.{name}` in place: others see it too. Work on a copy")
        for score in _checked(metric, title, result):
            if score.name in scores:
                raise PluginError(f"{title} gives a score named '{score.name}', as {givers[score.name]} does")
            scores[score.name], givers[score.name] = _completed(metric, score, evidence), title
    return tuple(scores.values())


def _tensors_of(evidence: Evidence) -> Mapping[str, Tensor]:
    """Everything that metrics share, by name."""
    told = {**vars(evidence), **{f"data.{name}": value for name, value in vars(evidence.data).items()}}
    return {name: value for name, value in told.items() if isinstance(value, Tensor)}


def _versions(tensors: Iterable[Tensor]) -> list[int]:
    """How often each tensor was written to."""
    return [tensor._version for tensor in tensors]  # noqa: SLF001 - torch keeps the count, and has no other name for it


def _completed(metric: Metric, score: Score, evidence: Evidence) -> Score:
    """The score with its declared version, and with the numbers of samples where its metric left them out."""
    measure = metric.measure_of(score.name) if isinstance(metric, Labelled) else None
    return replace(
        score,
        n_fake=score.n_fake or len(evidence.fake),
        n_real=score.n_real or len(evidence.real),
        version=measure.version if measure else score.version,
    )


def _title(metric: Metric) -> str:
    own_name = f"metric {type(metric).__module__}:{type(metric).__qualname__}"
    return metric.label if isinstance(metric, Labelled) else own_name


_score = TypeAdapter(Score)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_TAKEN = {*COLUMNS, *CURVE_LABELS, *AXES}


def _checked(metric: Metric, title: str, result: Any) -> tuple[Score, ...]:
    """What the metric gave, if it is scores that can be stored, and read again."""
    if not isinstance(result, tuple) or not all(isinstance(score, Score) for score in result):
        raise PluginError(f"{title} gave {result!r:.80}, expected a tuple of Score")
    if isinstance(metric, Labelled) and metric.measures and not result:
        declared = ", ".join(measure.name for measure in metric.measures)
        raise PluginError(f"{title} gave no score, declared were {declared}; a value may be None")
    for score in result:
        problem = _problem(score) or (metric.undeclared(score) if isinstance(metric, Labelled) else "")
        if problem:
            raise PluginError(f"{title} gave {score.value!r:.80} for '{score.name}': {problem}")
    return result


def _problem(score: Score) -> str | None:
    try:
        _score.validate_json(json.dumps(vars(score), default=repr), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if not _NAME.fullmatch(score.name):
        return "expected a name of letters, digits, '_' and '.'"
    if score.name in _TAKEN:
        return "that is a column of every table; take another name"
    if score.value is not None and not math.isfinite(score.value):
        return "expected a finite number, or None"
    if score.noise is not None and not 0 <= score.noise < math.inf:
        return f"its noise is {score.noise}, expected a finite number of at least 0, or None"
    if score.mean == "geometric" and score.value is not None and score.value < -ROUNDING:
        return "a geometric mean needs values above 0"
    return None
