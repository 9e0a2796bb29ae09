"""How weights start."""

from __future__ import annotations

from torch import nn


def start_normal(network: nn.Module, deviation: float) -> None:
    """Draw weights of linear layers and convolutions from N(0, deviation²); their biases are 0.

    Normalisations keep their scale and shift, and embeddings what they were made with.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
