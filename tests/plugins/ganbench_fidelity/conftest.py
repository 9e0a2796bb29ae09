"""Weights made up here, in the layout of DINOv2's published file."""

import pytest
import torch

WIDTH, DEPTH, PATCH, SIDE = 128, 2, 16, 5


@pytest.fixture
def dinov2_weights():
    """Random weights in the published file's layout, for a small network of 5×5 patches of 16²."""
    rng = torch.Generator().manual_seed(0)
    shapes = {
        "cls_token": (1, 1, WIDTH),
        "mask_token": (1, WIDTH),
        "pos_embed": (1, 1 + SIDE**2, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    linear = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)}
    linear |= {"mlp.fc1": (4 * WIDTH, WIDTH), "mlp.fc2": (WIDTH, 4 * WIDTH)}
    for index in range(DEPTH):
        shapes |= {f"blocks.{index}.ls{number}.gamma": (WIDTH,) for number in (1, 2)}
        shapes |= {f"blocks.{index}.norm{number}.{part}": (WIDTH,) for number in (1, 2) for part in ("weight", "bias")}
        shapes |= {f"blocks.{index}.{name}.weight": shape for name, shape in linear.items()}
        shapes |= {f"blocks.{index}.{name}.bias": shape[:1] for name, shape in linear.items()}
    return {name: torch.randn(shape, generator=rng) * (0.1 if len(shape) > 1 else 1) for name, shape in shapes.items()}
