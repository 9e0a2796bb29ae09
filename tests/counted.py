"""Networks of the papers' sizes, counted without the memory that they would take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn


@contextmanager
def on_paper() -> Iterator[None]:
    """What is made inside has no weights to set, and none to iterate on: only shapes."""
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganbench_layers.spectral.WARM_UP", 0)
        yield


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def weighted(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding)]
