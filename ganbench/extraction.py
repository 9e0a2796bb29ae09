"""Features of images: what an extractor makes of them, checked, without a trace in its modes or in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import DataError, PluginError, suggest
from ganbench.objective import blame, described
from ganbench.protocols import Extractor

FEATURES, LOGITS = "features", "logits"

BATCH_SIZE = 64
"""Images that an extractor sees at a time: Inception's first layers then take about half a gigabyte."""

Alive = Callable[[str], None]
"""Told in a few words what is being done, as long as that goes on: from what takes long, a sign of life."""


def nobody(doing: str) -> None:
    """For work that nobody waits for."""


@torch.no_grad()
def extract(
    extractor: Extractor, images: Tensor, device: torch.device | str = "cpu", alive: Alive = nobody
) -> dict[str, Tensor]:
    """Features (N, dimension) and, for a classifier, logits (N, K), float32 on `device`, of uint8 images (N, C, H, W).

    Keys: `features`, and `logits` where the extractor has them. The module sees copies of the images, with three
    channels, as torch-fidelity specifies: grey ones are repeated. It ends up on the CPU, so that it takes no memory
    that training could use. Raises PluginError for a module that fails or gives something else.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != torch.uint8:
        came = f"{images.dtype} of shape {tuple(images.shape)}"
        raise DataError(f"{name_of(extractor)} looks at uint8 images (N, 1 or 3, H, W), got {came}")
    layers = {FEATURES: extractor.layer} | ({LOGITS: extractor.logits_layer} if extractor.logits_layer else {})
    try:
        with blame(name_of(extractor)), _evaluating(extractor.module.to(device)):
            batches = []
            for batch in torch.split(images, BATCH_SIZE):
                alive(name_of(extractor))
                batches.append(_outputs(extractor, _rgb(batch, device)))
    finally:
        extractor.module.cpu()
    found = {name: torch.cat([outputs[layer] for outputs in batches]) for name, layer in layers.items()}
    _check(extractor, extractor.layer, found[FEATURES], (len(images), extractor.dimension))
    if LOGITS in found:
        classes = extractor.classes or found[LOGITS].shape[-1]
        _check(extractor, extractor.logits_layer, found[LOGITS], (len(images), classes))
    return found


def name_of(extractor: Extractor) -> str:
    """The extractor in the words of a message."""
    return extractor.label or f"extractor '{extractor.tag}'"


def _rgb(images: Tensor, device: torch.device | str) -> Tensor:
    copies = images.to(device, copy=True)
    return copies.repeat(1, 3, 1, 1) if copies.shape[1] == 1 else copies  # (N, 3, H, W)


def _outputs(extractor: Extractor, batch: Tensor) -> dict[str, Tensor]:
    module: Any = extractor.module
    names, given = module.get_requested_features_list(), module(batch)
    if not isinstance(given, tuple | list) or len(given) != len(names):
        came = f"{len(given)} outputs" if isinstance(given, tuple | list) else described(given)
        raise PluginError(f"{name_of(extractor)} gave {came}, expected a tuple of {len(names)}: {', '.join(names)}")
    outputs = dict(zip(names, given, strict=True))
    for layer in filter(None, (extractor.layer, extractor.logits_layer)):
        if layer not in outputs:
            raise PluginError(f"{name_of(extractor)} gives no layer '{layer}'.{suggest(layer, outputs)}")
        if not isinstance(outputs[layer], Tensor) or not outputs[layer].is_floating_point():
            came = described(outputs[layer])
            raise PluginError(f"{name_of(extractor)}, layer '{layer}': gave {came}, expected floating-point numbers")
    return {layer: outputs[layer].float() for layer in {extractor.layer, extractor.logits_layer} - {""}}


def _check(extractor: Extractor, layer: str, values: Tensor, expected: tuple[int, int]) -> None:
    if tuple(values.shape) != expected:
        came = f"values of shape {tuple(values.shape)}"
        raise PluginError(f"{name_of(extractor)}, layer '{layer}': got {came}, expected {expected}")
    if not values.isfinite().all():
        raise PluginError(f"{name_of(extractor)}, layer '{layer}': some values are not finite")


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
