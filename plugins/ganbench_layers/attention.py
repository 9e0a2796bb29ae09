"""Self-attention between the pixels of a feature map (arXiv:1805.08318)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """x + γ · attention(x), where each pixel looks at all others; γ is learnt and starts at 0.

    Queries and keys have an eighth of the channels, values half of them; keys and values are pooled 2×2.

    Shapes: (N, C, H, W) to the same, with H and W of at least 2.
    Paper: arXiv:1805.08318, §3, eq. 1–3; values and pooling as in the authors' code. There, the four convolutions are
    spectrally normalised in both networks (§4.1); here that is up to the network.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        keys, values = max(channels // 8, 1), max(channels // 2, 1)
        self.query = nn.Conv2d(channels, keys, 1, bias=False)
        self.key = nn.Conv2d(channels, keys, 1, bias=False)
        self.value = nn.Conv2d(channels, values, 1, bias=False)
        self.output = nn.Conv2d(values, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        queries = self.query(features).flatten(2)  # (N, C/8, H·W)
        keys = F.max_pool2d(self.key(features), 2).flatten(2)  # (N, C/8, H·W/4)
        values = F.max_pool2d(self.value(features), 2).flatten(2)  # (N, C/2, H·W/4)
        weights = (queries.mT @ keys).softmax(dim=2)  # (N, H·W, H·W/4)
        attended = (values @ weights.mT).unflatten(2, features.shape[2:])  # (N, C/2, H, W)
        answer: Tensor = self.output(attended)
        return features + self.gamma * answer
