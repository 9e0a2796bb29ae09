"""Train the classifiers whose weights ganbench ships: `python -m ganbench_classifiers.train digits --out DIR`."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

from ganbench.protocols import Data, Places
from ganbench_classifiers.networks import DIGITS, MNIST, Architecture, Classifier
from ganbench_digits.data import digits
from ganbench_torchvision.data import mnist

SEED = 0


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained. Distortions are the largest (uniform) or the deviation (elastic), in image widths.

    `coarse` is the share of the images that are shown at half their resolution, for data sets that are offered at it.
    """

    load: Callable[[Places], Data]
    architecture: Architecture
    epochs: int
    rotation_degrees: float
    shear: float
    scaling: float
    shift: float
    elastic: float
    coarse: float = 0
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    averaging: float = 0.998


RECIPES = {
    "digits": Recipe(digits, DIGITS, epochs=120, rotation_degrees=12, shear=0.1, scaling=0.1, shift=0.08, elastic=0),
    "mnist": Recipe(
        mnist,
        MNIST,
        epochs=36,
        rotation_degrees=15,
        shear=0.2,
        scaling=0.15,
        shift=0.08,
        elastic=0.03,
        coarse=0.2,
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one classifier and write its weights as `NAME-HASH.safetensors`, accuracy and settings in its metadata."""
    parser = argparse.ArgumentParser(prog="python -m ganbench_classifiers.train", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--data-root", type=Path, help="the folder that holds MNIST/raw")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder to write to")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    recipe = RECIPES[given.name]
    data = recipe.load(Places(data_root=given.data_root))
    network = train(recipe, data, torch.Generator().manual_seed(SEED))
    content = pack(network, data)
    path = given.out / f"{given.name}-{hashlib.sha256(content).hexdigest()[:8]}.safetensors"
    path.write_bytes(content)
    _say(f"{path}: accuracy {accuracy(network, data):.4f} on {len(data.heldout)} held-out images")


def train(recipe: Recipe, data: Data, rng: torch.Generator) -> Classifier:
    """A classifier trained on `data.train`, the moving average of its weights, in evaluation mode."""
    assert data.train_labels is not None
    network = Classifier(recipe.architecture)
    initialise(network, rng)
    images = data.train.float()
    network.mean, network.spread = images.mean(), images.std()
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * (len(images) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, steps, pct_start=0.15)
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=rng)
        for batch in torch.split(order[: len(order) // recipe.batch_size * recipe.batch_size], recipe.batch_size):
            _, logits = network(distort(images[batch], recipe, rng))
            loss = F.cross_entropy(logits, data.train_labels[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            follow(average, network, recipe.averaging)
        _say(f"epoch {epoch + 1}/{recipe.epochs}: loss {loss.item():.3f}")
    features, _ = _outputs(average.eval(), data.train)  # (N, features)
    average.deviation = (features - features.mean(dim=0)).square().mean().sqrt()
    return average


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
    """The images (N, 1, H, W), each turned, sheared, scaled, shifted and bent by its own amount."""
    count, _, height, width = images.shape
    grid = F.affine_grid(_affine(count, recipe, rng), [count, 1, height, width], align_corners=False)  # (N, H, W, 2)
    knots = torch.randn(count, 2, 5, 5, generator=rng) * recipe.elastic * 2  # the grid is 2 wide
    bend = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)  # (N, 2, H, W)
    bent = F.grid_sample(images, grid + bend.permute(0, 2, 3, 1), align_corners=False)
    chosen = torch.rand(count, 1, 1, 1, generator=rng) < recipe.coarse
    return torch.where(chosen, _coarse(bent), bent)


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


def accuracy(network: Classifier, data: Data) -> float:
    """The share of the held-out images whose class the network gets right."""
    assert data.heldout_labels is not None
    return _outputs(network, data.heldout)[1].argmax(dim=1).eq(data.heldout_labels).double().mean().item()


def pack(network: Classifier, data: Data) -> bytes:
    """The weights as a safetensors file, which says in its metadata, as JSON, what they are."""
    description = {
        "accuracy": accuracy(network, data),
        "n_train": len(data.train),
        "n_test": len(data.heldout),
        "origin": data.origin,
        "seed": SEED,
        "torch": torch.__version__,
    }
    # One entry only: safetensors writes several in random order, and the file's hash is its name.
    return save(network.state_dict(), metadata={"description": json.dumps(description, sort_keys=True)})


def _outputs(network: Classifier, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        features, logits = zip(*(network(chunk) for chunk in torch.split(images, 1000)), strict=True)
    return torch.cat(features), torch.cat(logits)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
