"""Ways for labels to enter a network: appended, by class-conditional normalisation, or by projection."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def one_hot(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Labels (N,) int64 as (N, classes): 1 at the label, 0 elsewhere."""
    return (labels.unsqueeze(-1) == torch.arange(classes, device=labels.device)).to(dtype)


def with_labels(samples: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Samples with their labels appended as one-hot.

    (N, D) becomes (N, D + classes), and (N, C, H, W) becomes (N, C + classes, H, W): in images each class is a plane of
    ones or zeros (arXiv:1411.1784, §3.2, carried over to convolutions).
    """
    marks = one_hot(labels, classes, samples.dtype)  # (N, classes)
    planes = marks.reshape(*marks.shape, *[1] * (samples.dim() - 2)).expand(-1, -1, *samples.shape[2:])
    return torch.cat([samples, planes], dim=1)


class Projection(nn.Module):
    """The inner product of a label's embedding with features: what a projection critic adds to its logit.

    Shapes: features (N, F) and labels (N,) to (N,).
    Paper: arXiv:1802.05637, §3 and figure 1d: D(x, y) = ⟨e(y), φ(x)⟩ + ψ(φ(x)).
    The embedding starts as Glorot's uniform, as in the authors' code.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, features)
        nn.init.xavier_uniform_(self.embedding.weight)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """(N, F) and (N,) to (N,)."""
        products: Tensor = self.embedding(labels) * features  # (N, F)
        return products.sum(dim=1)


class Added(nn.Module):
    """Labels in a critic's last layer: a projection of their own is added to each logit (arXiv:1802.05637, §3).

    `finish` has the last word on an embedding, once it is made.
    """

    def __init__(self, features: int, classes: int, outputs: int, finish: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        self.outputs = nn.ModuleList(Projection(features, classes) for _ in range(outputs))
        for projection in self.outputs:
            finish(projection.get_submodule("embedding"))

    def forward(self, logits: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """(N, outputs), (N, F) and (N,) to (N, outputs)."""
        return logits + torch.stack([projection(features, labels) for projection in self.outputs], dim=1)


class Multiplied(nn.Module):
    """Labels in a critic's last layer: each logit is the inner product of what that layer says with their embedding.

    There is no term that knows no label, as in the code of arXiv:2006.06676 and of arXiv:2501.05441. `embedding` maps
    labels (N,) to (N, E); `scale` multiplies every logit.
    """

    def __init__(self, embedding: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.embedding, self.scale = embedding, scale

    def forward(self, said: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """(N, outputs · E), features that are not looked at, and (N,) to (N, outputs)."""
        embedded: Tensor = self.embedding(labels)  # (N, E)
        return (said.reshape(len(said), -1, embedded.shape[1]) * embedded[:, None]).sum(dim=2) * self.scale


class LabelEmbedding(nn.Module):
    """Labels (N,) to (N, E), by a layer that sees them as one-hot, (N, classes)."""

    def __init__(self, linear: nn.Module, classes: int) -> None:
        super().__init__()
        self.linear, self.classes = linear, classes

    def forward(self, labels: Tensor) -> Tensor:
        """(N,) to (N, E)."""
        embedded: Tensor = self.linear(one_hot(labels, self.classes, self.linear.get_parameter("weight").dtype))
        return embedded


class ConditionalBatchNorm2d(nn.Module):
    """BatchNorm whose scale and shift depend on what each sample is to be.

    Shapes: features (N, channels, H, W) and a condition to (N, channels, H, W). The condition is labels (N,) int64 of
    `conditions` classes, each with a scale (at first 1) and a shift (at first 0) of its own; or, if `embedded`, vectors
    (N, conditions), of which scale − 1 and shift are linear functions without bias.
    Paper: arXiv:1707.00683, §3, and 1802.05637, §4, with labels; arXiv:1809.11096, §3, with a shared embedding.
    It mixes the batch.
    """

    def __init__(self, channels: int, conditions: int, *, embedded: bool = False) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.base = 1.0 if embedded else 0.0
        self.gain = _of_vectors(conditions, channels) if embedded else _of_labels(conditions, channels, 1.0)
        self.shift = _of_vectors(conditions, channels) if embedded else _of_labels(conditions, channels, 0.0)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(N, channels, H, W) and (N,) or (N, conditions) to (N, channels, H, W)."""
        gain: Tensor = self.base + self.gain(condition)  # (N, channels)
        shift: Tensor = self.shift(condition)
        normalised: Tensor = self.normalise(features)
        return normalised * gain[:, :, None, None] + shift[:, :, None, None]


def _of_vectors(conditions: int, channels: int) -> nn.Module:
    return nn.Linear(conditions, channels, bias=False)


def _of_labels(conditions: int, channels: int, value: float) -> nn.Module:
    embedding = nn.Embedding(conditions, channels)
    nn.init.constant_(embedding.weight, value)
    return embedding
