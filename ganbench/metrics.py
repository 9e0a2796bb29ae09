"""Score generated samples against held-out ones: features are extracted once, then every metric looks at them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from ganbench.errors import DataError, PluginError, suggest
from ganbench.objective import blame
from ganbench.protocols import Data, Evidence, Extractor, Metric
from ganbench.tables import COLUMNS, CURVE_LABELS
from ganbench.terms import AXES, Score

ROUNDING = 1e-3
"""How far below 0 a distance may come out by rounding alone, where both sides are the same samples."""

BATCH_SIZE = 64
"""Images that an extractor sees at a time: Inception's first layers then take about half a gigabyte."""


class Evaluator:
    """The scores of generated samples, against the same held-out samples every time. Built once a trial.

    `count` is how many fakes it wants, and how many reals it compares them with: at most `samples`, and no more than
    either split holds, so that training data can be measured in the fakes' place with the same numbers. `real` are
    those reals. The extractor's module is moved to `device` and stays there; everything else stays on the CPU.
    """

    def __init__(
        self,
        data: Data,
        metrics: Sequence[Metric],
        extractor: Extractor | None,
        samples: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.count = min(samples, len(data.heldout), len(data.train))
        self.real = spread(data.heldout, self.count)  # (count, C, H, W) or (count, D)
        self._data = data
        self._metrics = tuple(metrics)
        self._extractor = extractor
        self._device = torch.device(device)
        self._real_features, self._real_logits = self._extract(self.real)

    def scores(self, fake: Tensor) -> tuple[Score, ...]:
        """Every metric's scores, in the metrics' order, for `fake`: uint8 images or float32 points (count, ...).

        Draws no random number and leaves modes and gradients as they are. Raises DataError for samples of another form
        than the held-out ones, PluginError for a metric or an extractor that breaks its contract.
        """
        self._check(fake)
        fake = fake.detach().cpu()
        fake_features, fake_logits = self._extract(fake)
        evidence = Evidence(
            fake=fake,
            real=self.real,
            data=self._data,
            extractor=self._extractor,
            fake_features=fake_features,
            real_features=self._real_features,
            fake_logits=fake_logits,
            real_logits=self._real_logits,
        )
        return _collect(self._metrics, evidence)

    def _extract(self, samples: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return extract(self._extractor, samples, self._device) if self._extractor else (None, None)

    def _check(self, fake: Tensor) -> None:
        shape, expected = tuple(fake.shape), tuple(self.real.shape)
        if shape != expected or fake.dtype != self.real.dtype:
            came = f"{fake.dtype} of shape {shape}"
            raise DataError(f"generated samples: got {came}, expected {self.real.dtype} of shape {expected}")
        if fake.is_floating_point() and not fake.isfinite().all():
            bad = int((~fake.isfinite()).flatten(1).any(dim=1).sum())
            raise DataError(f"generated samples: {bad} of {self.count} are not finite; a diverged model has no scores")


def spread(samples: Tensor, count: int) -> Tensor:
    """`count` of the samples, evenly spaced: the same ones every time, and fair to classes where they are in order."""
    if count == len(samples):
        return samples
    return samples[torch.arange(count) * len(samples) // count]


@torch.no_grad()
def extract(extractor: Extractor, images: Tensor, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
    """Features (N, dimension) and, for a classifier, logits (N, K), float32 on the CPU, of uint8 images (N, C, H, W).

    The module sees three channels, as torch-fidelity specifies: grey images are repeated.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != torch.uint8:
        came = f"{images.dtype} of shape {tuple(images.shape)}"
        raise DataError(f"extractor '{extractor.tag}' looks at uint8 images (N, 1 or 3, H, W), got {came}")
    features, logits = [], []
    with _evaluating(extractor.module.to(device)):
        for start in range(0, len(images), BATCH_SIZE):
            outputs = _outputs(extractor, _rgb(images[start : start + BATCH_SIZE]).to(device))
            features.append(outputs[extractor.layer])
            if extractor.logits_layer:
                logits.append(outputs[extractor.logits_layer])
    _check_features(extractor, joined := torch.cat(features), (len(images), extractor.dimension))
    return joined, torch.cat(logits) if logits else None


def _rgb(images: Tensor) -> Tensor:
    return images.repeat(1, 3, 1, 1) if images.shape[1] == 1 else images  # (N, 3, H, W)


def _outputs(extractor: Extractor, batch: Tensor) -> dict[str, Tensor]:
    module: Any = extractor.module
    outputs = dict(zip(module.get_requested_features_list(), module(batch), strict=True))
    for layer in filter(None, (extractor.layer, extractor.logits_layer)):
        if layer not in outputs:
            raise PluginError(f"extractor '{extractor.tag}' gives no layer '{layer}'.{suggest(layer, outputs)}")
    return {layer: output.float().cpu() for layer, output in outputs.items()}


def _check_features(extractor: Extractor, features: Tensor, expected: tuple[int, int]) -> None:
    if tuple(features.shape) != expected:
        came = f"features of shape {tuple(features.shape)}"
        raise PluginError(f"extractor '{extractor.tag}', layer '{extractor.layer}': got {came}, expected {expected}")
    if not features.isfinite().all():
        raise PluginError(f"extractor '{extractor.tag}', layer '{extractor.layer}': some features are not finite")


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """The module in evaluation mode; afterwards each of its parts in the mode that it was in."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@dataclass(frozen=True)
class Labelled:
    """A metric with the words that name it and its owner in a message."""

    label: str
    metric: Metric

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """The metric's scores; what it raises becomes a PluginError with its label."""
        with blame(self.label):
            return self.metric(evidence)


def _collect(metrics: Sequence[Metric], evidence: Evidence) -> tuple[Score, ...]:
    scores: dict[str, Score] = {}
    for metric in metrics:
        for score in _checked(metric, metric(evidence)):
            if score.name in scores:
                first = scores[score.name].metric
                raise PluginError(f"metric '{score.metric}' gives a score named '{score.name}', as '{first}' does")
            scores[score.name] = score
    return tuple(scores.values())


_score = TypeAdapter(Score)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_TAKEN = {*COLUMNS, *CURVE_LABELS, *AXES}


def _checked(metric: Metric, result: Any) -> tuple[Score, ...]:
    """What the metric gave, if it is scores that can be stored, and read again."""
    own_name = f"metric {type(metric).__module__}:{type(metric).__qualname__}"
    title = metric.label if isinstance(metric, Labelled) else own_name
    if not isinstance(result, tuple) or not all(isinstance(score, Score) for score in result):
        raise PluginError(f"{title} gave {result!r:.80}, expected a tuple of Score")
    for score in result:
        if problem := _problem(score):
            raise PluginError(f"{title} gave {score.value} for '{score.name}': {problem}")
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
    if score.mean == "geometric" and score.value is not None and score.value < -ROUNDING:
        return "a geometric mean needs values above 0"
    return None
