"""Evidence that consists of features alone, and features whose statistics are known exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganbench.protocols import Data, Evidence, Extractor
from ganbench.terms import Score

BLANK = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)


def evidence(real: Tensor, fake: Tensor, tag: str = "toy", **more: Any) -> Evidence:
    """Evidence about real and fake features (N, D)."""
    extractor = Extractor(torch.nn.Identity(), tag, weights_sha256="ab", layer="fc", dimension=real.shape[1])
    return Evidence(
        fake=BLANK.expand(len(fake), -1, -1, -1),
        real=BLANK.expand(len(real), -1, -1, -1),
        data=Data(train=BLANK, heldout=BLANK),
        extractor=extractor,
        fake_features=fake,
        real_features=real,
        **more,
    )


def values(scores: tuple[Score, ...]) -> dict[str, float | None]:
    """The scores' values by name."""
    return {score.name: score.value for score in scores}


def normal(count: int, dimension: int, seed: int) -> Tensor:
    """Standard normal features, (count, dimension) float64."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimension, generator=rng, dtype=torch.float64)


def whitened(count: int, dimension: int, seed: int) -> Tensor:
    """Features whose sample mean is exactly 0 and whose sample covariance is exactly the identity."""
    features = normal(count, dimension, seed)
    features -= features.mean(dim=0)
    factor = torch.linalg.cholesky(features.T @ features / (count - 1))
    return torch.linalg.solve_triangular(factor, features.T, upper=False).T


def mixed(count: int, dimension: int, seed: int) -> Tensor:
    """Correlated features of unequal variance, all of about the size 1."""
    mixing = normal(dimension, dimension, 1000 + seed) / dimension**0.5
    return normal(count, dimension, seed) @ (mixing + torch.eye(dimension, dtype=torch.float64))
