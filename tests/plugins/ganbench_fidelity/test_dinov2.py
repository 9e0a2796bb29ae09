"""DINOv2's network against its formulas, written out with LayerScale, in float64."""

import pytest
import torch
import torch.nn.functional as F

from ganbench_fidelity.dinov2 import stretched, vision_transformer

RESOLUTION, PATCH, SIDE = 48, 16, 3


def written_out(weights, images, side):
    """The class token, by the formulas of arXiv:2010.11929 (eqs. 1 to 4) with arXiv:2103.17239 (eq. 1)."""
    weights = {name: weight.double() for name, weight in weights.items()}
    width = weights["cls_token"].shape[-1]

    def linear(name, tokens):
        return tokens @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name, tokens):
        return F.layer_norm(tokens, (width,), weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-6)

    patches = F.unfold(images.double(), PATCH, stride=PATCH).transpose(1, 2)  # (N, side², 3 · PATCH²)
    tokens = patches @ weights["patch_embed.proj.weight"].flatten(1).T + weights["patch_embed.proj.bias"]
    tokens = torch.cat([weights["cls_token"].expand(len(images), -1, -1), tokens], dim=1)
    tokens = tokens + stretched(weights["pos_embed"], side)
    for index in range(2):
        block = f"blocks.{index}"
        query, key, value = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", tokens)).chunk(3, dim=-1)
        mixed = []
        for head in torch.arange(width).split(64):
            scores = query[..., head] @ key[..., head].transpose(1, 2) / 8
            mixed.append(scores.softmax(dim=-1) @ value[..., head])
        attended = linear(f"{block}.attn.proj", torch.cat(mixed, dim=-1))
        tokens = tokens + weights[f"{block}.ls1.gamma"] * attended
        hidden = F.gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", tokens)))
        tokens = tokens + weights[f"{block}.ls2.gamma"] * linear(f"{block}.mlp.fc2", hidden)
    return norm("norm", tokens[:, 0])


def test_the_class_token_is_that_of_the_formulas(dinov2_weights):
    weights = dinov2_weights
    images = torch.randn(3, 3, RESOLUTION, RESOLUTION, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = vision_transformer(weights, RESOLUTION).eval()(images)
    torch.testing.assert_close(found.double(), written_out(weights, images, SIDE), rtol=1e-4, atol=1e-4)


def test_positions_are_kept_where_the_number_of_patches_is_theirs(dinov2_weights):
    positions = dinov2_weights["pos_embed"]  # of 5×5 patches
    assert torch.equal(stretched(positions, 5), positions)


def test_stretched_positions_follow_a_slope_and_keep_the_class_tokens():
    slope = torch.arange(37.0).expand(37, 37)  # across
    positions = torch.cat([torch.tensor([[-7.0]]), slope.reshape(-1, 1)]).view(1, -1, 1)
    found = stretched(positions, 16)[0, :, 0]
    assert found[0] == -7
    grid = found[1:].view(16, 16)
    # Where patch i of 16 looks in the old grid: ((i + ½) · 37 / 16.1) - ½, the 0.1 being DINOv2's own.
    expected = (torch.arange(16) + 0.5) * 37 / 16.1 - 0.5
    torch.testing.assert_close(grid[5, 2:-2], expected[2:-2], rtol=0, atol=0.06)  # 0.19 off in the end without it
    torch.testing.assert_close(grid[5], grid[11])


def test_a_missing_weight_is_not_passed_over(dinov2_weights):
    del dinov2_weights["norm.bias"]
    with pytest.raises(KeyError, match=r"norm\.bias"):
        vision_transformer(dinov2_weights, RESOLUTION)
