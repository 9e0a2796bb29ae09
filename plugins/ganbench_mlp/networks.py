"""Fully connected players, the plainest there are: for points, and for images seen as long vectors."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from ganbench_layers.critic import Critic, Duties, vector_head
from ganbench_layers.initial import start_normal
from ganbench_layers.latents import GeneratorInput, needs_classes
from ganbench_layers.shapes import check_sizes
from ganbench_layers.spectral import spectral_throughout

LEAK = 0.2


class MLPGenerator(nn.Module):
    """Fully connected layers with ReLU, from latents to points or to images.

    Layers: `depth` hidden layers of `width` units, each followed by BatchNorm if `norm` is "batch", and by ReLU; then a
    linear layer to the sample, and for images tanh. With BatchNorm, hidden layers have no bias.
    Shapes: latents (N, Z), and labels (N,) if `conditional`, to points (N, D) or images (N, C, H, W) in [−1, 1].
    Paper: arXiv:1406.2661, §5, for the fully connected player; arXiv:1411.1784, §3.2, for labels;
    arXiv:1606.03657, §7.2, for codes.
    Recipe: PacGAN's toys (arXiv:1712.04086) have two latents, width 400, depth 4, norm batch, initial_deviation .02.
    Traps: PacGAN's generator has no bias but in its last layer; nor has this one with BatchNorm.
    Parameters: `width` units in each of `depth` hidden layers; `norm` after them; `conditional` appends labels as
    one-hot to the latents; `categories` and `continuous` say how many of the latents become InfoGAN's codes: a uniform
    category, and numbers in [−1, 1]; `initial_deviation` draws weights from N(0, initial_deviation²) and sets biases to
    0, where null leaves torch's uniform start.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 128,
        depth: int = 3,
        norm: Literal["none", "batch"] = "none",
        conditional: bool = False,
        categories: int = 0,
        continuous: int = 0,
        initial_deviation: float | None = None,
    ) -> None:
        super().__init__()
        check_sizes("mlp", width=width, depth=depth)
        known = needs_classes("mlp", "conditional", classes) if conditional else 0
        self.entry = GeneratorInput("mlp", latent_dim, classes=known, categories=categories, continuous=continuous)
        layers: list[nn.Module] = []
        for inputs in (self.entry.features, *[width] * (depth - 1)):
            layers += [nn.Linear(inputs, width, bias=norm == "none")]
            layers += [nn.BatchNorm1d(width)] if norm == "batch" else []
            layers += [nn.ReLU()]
        layers += [nn.Linear(width, math.prod(shape)), nn.Unflatten(1, shape)]
        layers += [nn.Tanh()] if _is_image(shape) else []
        self.layers = nn.Sequential(*layers)
        if initial_deviation is not None:
            start_normal(self, initial_deviation)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, Z), and labels (N,) if it is conditional, to (N, *shape)."""
        samples: Tensor = self.layers(self.entry(latents, labels))
        return samples


class MLPDiscriminator(Critic):
    """Fully connected layers with LeakyReLU, from points or images to logits.

    Layers: `depth` hidden layers of `width` units, each followed by what `norm` says and LeakyReLU of slope 0.2; then
    what `minibatch` says and a linear layer.
    Shapes: samples (N, *shape), and labels (N,) if `conditioning` is "concat" or "projection", to logits (N,), or
    (N, outputs) where `outputs` is more than 1. Heads: features (N, width), code (N, categories + continuous), and
    classes (N, K) if `conditioning` is "auxiliary".
    Paper: arXiv:1406.2661, §5; labels by arXiv:1411.1784 (concat), 1802.05637 (projection) or 1610.09585 (auxiliary);
    codes by 1606.03657; comparison within a batch by 1710.10196 or 1606.03498, §3.2; normalisation by 1802.05957
    (spectral) or 2109.02235 (of the gradient).
    Recipe: none of its own; the loss brings one.
    Traps: labels are appended to images as `classes` numbers, not as planes of them. A batch is compared within one
    call, real samples apart from fake ones.
    Parameters: `width` units in each of `depth` hidden layers; `outputs` numbers a sample; `norm` is "layer" (LayerNorm
    after each hidden layer) or "spectral" (every weight); `conditioning` says how labels enter; `minibatch` is
    "deviation" (one more feature) or "discrimination" (100 more), and mixes the batch; `gradient_normalised` gives
    f / (‖∇f‖ + |f|); `categories` and `continuous` are the codes to be recognised; `initial_deviation` draws weights
    from N(0, initial_deviation²) and sets biases to 0.
    """

    flat = True

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 128,
        depth: int = 3,
        outputs: int = 1,
        norm: Literal["none", "layer", "spectral"] = "none",
        conditioning: Literal["none", "concat", "projection", "auxiliary"] = "none",
        minibatch: Literal["none", "deviation", "discrimination"] = "none",
        gradient_normalised: bool = False,
        categories: int = 0,
        continuous: int = 0,
        initial_deviation: float | None = None,
    ) -> None:
        check_sizes("mlp", width=width, depth=depth)
        duties = Duties(
            classes=classes,
            outputs=outputs,
            conditioning=conditioning,
            minibatch=minibatch,
            gradient_normalised=gradient_normalised,
            categories=categories,
            continuous=continuous,
        )
        duties.check("mlp", norm)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs in (duties.widened(math.prod(shape)), *[width] * (depth - 1)):
            layers += [nn.Linear(inputs, width)]
            layers += [nn.LayerNorm(width)] if norm == "layer" else []
            layers += [nn.LeakyReLU(LEAK)]
        super().__init__(duties, nn.Sequential(*layers), vector_head(duties, width))
        if initial_deviation is not None:
            start_normal(self, initial_deviation)
        if norm == "spectral":
            spectral_throughout(self)


class MaxoutDiscriminator(Critic):
    """The critic of PacGAN's toys: fully connected layers, each unit the largest of several linear functions.

    Layers: `depth` hidden layers of `width` maxout units with `pieces` linear functions each, then a linear layer.
    Shapes: samples (N, *shape) to logits (N,), or (N, outputs) if `outputs` is more than 1. Head: features (N, width).
    Paper: arXiv:1712.04086, synthetic data experiments, and its code; arXiv:1302.4389, §2, for maxout.
    Recipe: as the defaults; with Adam at 1e-4 and β₁ = .8, batches of 100 packed samples.
    Traps: every piece has weights and a bias of its own, so that a hidden layer costs `pieces` times those of a ReLU
    layer; the code has dropout switched off, and so has this.
    Parameters: `width`, `depth` and `pieces` as above; `outputs` numbers a sample; weights are drawn from
    N(0, `initial_deviation`²), biases start at 0.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int = 200,
        depth: int = 3,
        pieces: int = 5,
        outputs: int = 1,
        initial_deviation: float = 0.02,
    ) -> None:
        check_sizes("maxout", width=width, depth=depth, pieces=pieces)
        duties = Duties(outputs=outputs)
        duties.check("maxout")
        sizes = (math.prod(shape), *[width] * (depth - 1))
        hidden = [Maxout(inputs, width, pieces) for inputs in sizes]
        super().__init__(duties, nn.Sequential(nn.Flatten(), *hidden), vector_head(duties, width))
        start_normal(self, initial_deviation)


class Maxout(nn.Module):
    """Units that are each the largest of `pieces` linear functions (arXiv:1302.4389, §2): (N, inputs) to (N, units)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.functions = nn.Sequential(nn.Linear(inputs, units * pieces), nn.Unflatten(1, (units, pieces)))

    def forward(self, samples: Tensor) -> Tensor:
        """(N, inputs) to (N, units)."""
        values: Tensor = self.functions(samples)  # (N, units, pieces)
        return values.amax(dim=2)


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3
