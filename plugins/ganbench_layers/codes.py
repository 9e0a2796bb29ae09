"""Latent codes of InfoGAN (arXiv:1606.03657), read from standard normal latents."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench_layers.conditioning import one_hot


def codes_of(latents: Tensor, categories: int, continuous: int) -> tuple[Tensor, Tensor, Tensor]:
    """A uniform category as one-hot (N, categories), uniform codes (N, continuous) in [−1, 1], and the rest as it is.

    The largest of the first `categories` normals names the category, each with the same probability; the next
    `continuous` normals z become 2Φ(z) − 1. `latents` is (N, Z), the rest (N, Z − categories − continuous). The same
    latents always give the same codes, so that a loss can tell what the generator was given.
    """
    sizes = [categories, continuous, latents.shape[1] - categories - continuous]
    chosen, normals, rest = torch.split(latents, sizes, dim=1)
    category = one_hot(chosen.argmax(dim=1), categories, latents.dtype) if categories else chosen
    return category, torch.erf(normals / 2**0.5), rest


def coded(latents: Tensor, categories: int, continuous: int) -> Tensor:
    """Latents (N, Z) with the category and the codes in the place of the normals that they were read from: (N, Z)."""
    return torch.cat(codes_of(latents, categories, continuous), dim=1)
