"""What both of BigGAN's players do with their layers: how weights start, and which map attends to itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from torch import nn

from ganbench.errors import ChoiceError
from ganbench_layers.attention import SelfAttention
from ganbench_layers.residual import Finish
from ganbench_layers.spectral import spectral

INITIALISATIONS: Mapping[str, Callable[[Any], Any]] = {
    "orthogonal": nn.init.orthogonal_,
    "normal": partial(nn.init.normal_, std=0.02),
    "xavier": nn.init.xavier_uniform_,
}

_Layer = TypeVar("_Layer", bound=nn.Module)

SMALLEST = 8  # pixels: the side of the smallest map that a generator may attend to


def initialised(layer: _Layer, initialisation: str) -> _Layer:
    """The layer, its weights initialised so and its biases at 0."""
    INITIALISATIONS[initialisation](layer.get_parameter("weight"))
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.get_parameter("bias"))
    return layer


def finisher(initialisation: str) -> Finish:
    """Initialises a layer so, whatever gain is asked for, and normalises it spectrally."""
    return lambda layer, _gain: spectral(initialised(layer, initialisation))


def finished(module: nn.Module, finish: Finish) -> nn.Module:
    """The module, each of its convolutions and linear layers finished."""
    for child in module.children():
        if isinstance(child, nn.Conv2d | nn.Linear):
            finish(child, 1)
    return module


def attentions(sides: list[int], channels: list[int], attention: int, finish: Finish) -> nn.ModuleList:
    """What follows each block: self-attention after the first whose map has the side `attention`, identities elsewhere.

    `sides` and `channels` are those of the maps that the blocks give. Where no map has that side, it is the largest one
    below. None attends where `attention` is 0. Raises ChoiceError for a side below 8.
    """
    if attention != 0 and attention < SMALLEST:
        raise ChoiceError(
            f"biggan: attention is {attention}, expected 0 for none, or a map's side of {SMALLEST} or more"
        )
    chosen = max((side for side in sides if side <= attention), default=0)
    place = sides.index(chosen) if chosen else None
    return nn.ModuleList(
        finished(SelfAttention(count), finish) if number == place else nn.Identity()
        for number, count in enumerate(channels)
    )
