"""Layers that let a critic see how samples of a batch differ: what they add to one sample depends on the others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TINY = 1e-8


class MinibatchDeviation(nn.Module):
    """Appends the standard deviation of features over a group of samples, one number a group and added channel.

    Shapes: (N, C, H, W) to (N, C + channels, H, W), or (N, F) to (N, F + channels).
    Paper: arXiv:1710.10196, §3; groups as in the code of arXiv:1912.04958: sample n is in group n mod (N / group).
    Parameters: a batch that `group` does not divide has groups of the largest divisor of N up to `group`; a group of
    one has a deviation of almost 0. Of several added `channels`, each is the mean deviation of its share of the
    features.
    """

    def __init__(self, group: int = 4, channels: int = 1) -> None:
        super().__init__()
        self.group, self.channels, self.added = group, channels, channels

    def forward(self, features: Tensor) -> Tensor:
        """(N, F, …) to (N, F + channels, …)."""
        count = len(features)
        group = next(size for size in range(min(self.group, count), 0, -1) if count % size == 0)
        grouped = features.reshape(group, count // group, self.channels, -1)  # (group, groups, channels, shares)
        variances = grouped.var(dim=0, correction=0)
        # A square root has no finite slope at zero, hence the small number.
        deviations = (variances + TINY).sqrt().mean(dim=2).repeat(group, 1)  # (N, channels)
        spread = deviations.reshape(count, self.channels, *[1] * (features.dim() - 2))
        return torch.cat([features, spread.expand(-1, -1, *features.shape[2:])], dim=1)


class MinibatchDiscrimination(nn.Module):
    """Appends to each sample how close it lies to the others of the batch, in `kernels` learnt projections.

    Formula: M = f(x) T, of shape (N, kernels, size); o(xᵢ)ₖ = Σⱼ exp(−‖Mᵢₖ − Mⱼₖ‖₁) over the batch, with j = i too.
    Shapes: (N, F) to (N, F + kernels).
    Paper: arXiv:1606.03498, §3.2.
    Parameters: `kernels` projections of `size` numbers each.
    """

    def __init__(self, inputs: int, kernels: int = 100, size: int = 5) -> None:
        super().__init__()
        self.kernels, self.size, self.added = kernels, size, kernels
        self.projection = nn.Linear(inputs, kernels * size, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) to (N, F + kernels)."""
        projected = self.projection(features).unflatten(1, (self.kernels, self.size))  # (N, kernels, size)
        distances = (projected.unsqueeze(0) - projected.unsqueeze(1)).abs().sum(dim=3)  # (N, N, kernels)
        return torch.cat([features, distances.neg().exp().sum(dim=0)], dim=1)
