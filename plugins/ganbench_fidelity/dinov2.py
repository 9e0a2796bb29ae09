"""DINOv2's network (arXiv:2304.07193) as torchvision's vision transformer, whose weights are made to fit."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import VisionTransformer

Weights = dict[str, torch.Tensor]

HEAD_WIDTH = 64
"""Of each attention head, in every published size."""

OFFSET = 0.1
"""What DINOv2 adds to the number of patches on a side before it stretches its position embeddings to them."""


def vision_transformer(weights: Weights, resolution: int) -> VisionTransformer:
    """The network that these published weights belong to, for images of `resolution`: (N, 3, R, R) to (N, width).

    It gives the class token after the last normalisation. Depth, width and patches are read from the weights.
    """
    width, patch = weights["cls_token"].shape[-1], weights["patch_embed.proj.weight"].shape[-1]
    depth = sum(name.endswith(".norm1.weight") for name in weights)
    network = VisionTransformer(
        image_size=resolution,
        patch_size=patch,
        num_layers=depth,
        num_heads=width // HEAD_WIDTH,
        hidden_dim=width,
        mlp_dim=weights["blocks.0.mlp.fc1.weight"].shape[0],
    )
    network.heads = nn.Identity()
    network.load_state_dict(dict(_converted(weights, depth, resolution // patch)))
    return network


def stretched(positions: torch.Tensor, side: int) -> torch.Tensor:
    """Position embeddings (1, 1 + M², width) for side² patches: (1, 1 + side², width); the first is the class token's.

    Bicubic, with the scale slightly off as in DINOv2's own program, which the weights were published with.
    """
    old_side = round((positions.shape[1] - 1) ** 0.5)
    if old_side == side:
        return positions
    grid = positions[:, 1:].reshape(1, old_side, old_side, -1).permute(0, 3, 1, 2)  # (1, width, M, M)
    grid = F.interpolate(grid, scale_factor=(side + OFFSET) / old_side, mode="bicubic")  # (1, width, side, side)
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


def _converted(weights: Weights, depth: int, side: int) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights under torchvision's names."""
    yield "class_token", weights["cls_token"]
    yield "encoder.pos_embedding", stretched(weights["pos_embed"], side)
    for index in range(depth):
        yield from _block(weights, f"blocks.{index}", f"encoder.layers.encoder_layer_{index}")
    for part in ("weight", "bias"):
        yield f"conv_proj.{part}", weights[f"patch_embed.proj.{part}"]
        yield f"encoder.ln.{part}", weights[f"norm.{part}"]


def _block(weights: Weights, old: str, new: str) -> Iterator[tuple[str, torch.Tensor]]:
    """One block; torchvision's has no LayerScale (arXiv:2103.17239, eq. 1), which scales what a linear layer gives."""
    after_attention, after_mlp = weights[f"{old}.ls1.gamma"], weights[f"{old}.ls2.gamma"]  # (width,), (width,)
    for part in ("weight", "bias"):
        yield f"{new}.ln_1.{part}", weights[f"{old}.norm1.{part}"]
        yield f"{new}.ln_2.{part}", weights[f"{old}.norm2.{part}"]
        yield f"{new}.self_attention.in_proj_{part}", weights[f"{old}.attn.qkv.{part}"]
        yield f"{new}.self_attention.out_proj.{part}", _scaled(weights[f"{old}.attn.proj.{part}"], after_attention)
        yield f"{new}.mlp.0.{part}", weights[f"{old}.mlp.fc1.{part}"]
        yield f"{new}.mlp.3.{part}", _scaled(weights[f"{old}.mlp.fc2.{part}"], after_mlp)


def _scaled(parameter: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """A linear layer's weight (out, in) or bias (out,), each output times its `scale` (out,)."""
    return parameter * scale.view(-1, *[1] * (parameter.ndim - 1))
