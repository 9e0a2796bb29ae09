"""How a classifier is trained: on the CPU, from one generator, the same weights for the same data and recipe."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ganbench.protocols import Data
from ganbench_classifiers.networks import Architecture, Classifier

CHUNK = 500
"""Images looked at together where nothing is learnt."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained. Distortions are the largest (uniform) or the deviation (elastic), in image widths.

    `coarse` is the share of the images that are shown at half their resolution, for data sets that are offered at it.
    `averaging` is the share that the average of the weights keeps at each step.
    """

    epochs: int
    rotation_degrees: float = 0
    shear: float = 0
    scaling: float = 0
    shift: float = 0
    elastic: float = 0
    coarse: float = 0
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    averaging: float = 0.998


def train(architecture: Architecture, recipe: Recipe, data: Data, rng: torch.Generator) -> Classifier:
    """A classifier trained on `data.train`, the moving average of its weights, in evaluation mode.

    On one thread, for sums depend on how they are shared out; torch's global generator is left where it was.
    """
    assert data.train_labels is not None
    with one_thread(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        network = Classifier(architecture)
        initialise(network, rng)
        network.mean, network.spread = _moments(data.train)
        average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        _optimise(network, average, recipe, data.train, data.train_labels, rng)
        features, _ = outputs(average.eval(), data.train)  # (N, features)
        average.deviation = (features - features.mean(dim=0)).square().mean().sqrt()
    return average


def accuracy(network: Classifier, images: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of the images whose class the network gets right."""
    return outputs(network, images)[1].argmax(dim=1).eq(labels).double().mean().item()


@torch.no_grad()
def outputs(network: Classifier, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and logits of uint8 images (N, C, H, W)."""
    features, logits = zip(*(network(chunk) for chunk in torch.split(images, CHUNK)), strict=True)
    return torch.cat(features), torch.cat(logits)


@contextmanager
def one_thread() -> Iterator[None]:
    """A block in which torch computes on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def initialise(network: nn.Module, rng: torch.Generator) -> None:
    """Draw every weight from `rng` (He normal, arXiv:1502.01852, §2.2); biases start at 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def follow(average: nn.Module, network: nn.Module, share: float) -> None:
    """Move the averaged weights a step of 1 - `share` towards the network's; statistics of BatchNorm alike."""
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - share)
        else:
            mean.copy_(value)


def distort(images: torch.Tensor, recipe: Recipe, rng: torch.Generator) -> torch.Tensor:
    """The images (N, C, H, W), each turned, sheared, scaled, shifted and bent by its own amount."""
    count, _, height, width = images.shape
    grid = F.affine_grid(_affine(count, recipe, rng), [count, 1, height, width], align_corners=False)  # (N, H, W, 2)
    knots = torch.randn(count, 2, 5, 5, generator=rng) * recipe.elastic * 2  # the grid is 2 wide
    bend = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)  # (N, 2, H, W)
    bent = F.grid_sample(images, grid + bend.permute(0, 2, 3, 1), align_corners=False)
    chosen = torch.rand(count, 1, 1, 1, generator=rng) < recipe.coarse
    return torch.where(chosen, _coarse(bent), bent)


def _optimise(
    network: Classifier,
    average: Classifier,
    recipe: Recipe,
    images: torch.Tensor,
    labels: torch.Tensor,
    rng: torch.Generator,
) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * (len(images) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, steps, pct_start=0.15)
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=rng)
        for batch in torch.split(order[: len(order) // recipe.batch_size * recipe.batch_size], recipe.batch_size):
            _, logits = network(distort(images[batch].float(), recipe, rng))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            follow(average, network, recipe.averaging)
        logger.info("epoch %d/%d: loss %.3f", epoch + 1, recipe.epochs, loss.item())


def _moments(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the pixels of uint8 images, float32."""
    chunks = torch.split(images, CHUNK)
    counts = (
        torch.stack([torch.bincount(chunk.flatten(), minlength=256) for chunk in chunks]).sum(dim=0).double()
    )  # (256,)
    values, total = torch.arange(256.0, dtype=torch.float64), counts.sum()
    mean = (counts * values).sum() / total
    variance = (counts * (values - mean).square()).sum() / (total - 1)
    return mean.float(), variance.sqrt().float()


def _affine(count: int, recipe: Recipe, rng: torch.Generator) -> torch.Tensor:
    """A random affine map for each image: (N, 2, 3)."""
    draws = torch.rand(count, 6, generator=rng).mul(2).sub(1)  # (N, 6) in [-1, 1]
    angle = draws[:, 0] * math.radians(recipe.rotation_degrees)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(count, 2, 2)
    stretch = torch.diag_embed(1 + recipe.scaling * draws[:, 1:3])  # (N, 2, 2)
    stretch[:, 0, 1] = recipe.shear * draws[:, 3]
    shift = 2 * recipe.shift * draws[:, 4:, None]  # (N, 2, 1)
    return torch.cat([turn @ stretch, shift], dim=2)


def _coarse(images: torch.Tensor) -> torch.Tensor:
    """The images as they look after they have been at half their resolution."""
    half = F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    return F.interpolate(half, images.shape[-2:], mode="bilinear", align_corners=False)
