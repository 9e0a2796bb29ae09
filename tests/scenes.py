"""Small networks in float64, and gradients by two ways: what the tests of methods have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

LATENT_DIM, DIMENSION = 2, 3


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def initialised(network: nn.Module, seed: int) -> nn.Module:
    """The network in float64, its weights by the seed alone."""
    network = network.double()
    with torch.no_grad():
        for number, weight in enumerate(network.parameters()):
            weight.copy_(drawn(1000 * seed + number, *weight.shape))
    return network


class SmallCritic(nn.Module):
    """Samples (N, …) to logits (N,), by one hidden layer, which is its features."""

    def __init__(self, inputs: int = DIMENSION, width: int = 4) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, width)
        self.out = nn.Linear(width, 1)

    def forward(self, samples: Tensor) -> Tensor:
        return self.judge(samples)["logits"]

    def judge(self, samples: Tensor) -> dict[str, Tensor]:
        features = torch.tanh(self.hidden(samples.flatten(1)))
        return {"logits": self.out(features)[:, 0], "features": features}


class PairCritic(nn.Module):
    """Samples (N, D) and latents (N, Z) to logits (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(DIMENSION + LATENT_DIM, 1)

    def forward(self, samples: Tensor, latents: Tensor) -> Tensor:
        return self.linear(torch.cat([samples, latents], dim=1))[:, 0]


def small_generator(seed: int = 1) -> nn.Module:
    return initialised(nn.Sequential(nn.Linear(LATENT_DIM, 4), nn.Tanh(), nn.Linear(4, DIMENSION)), seed)


def small_encoder(outputs: int, seed: int = 2) -> nn.Module:
    return initialised(nn.Sequential(nn.Linear(DIMENSION, 4), nn.Tanh(), nn.Linear(4, outputs)), seed)


def gradients(terms: Mapping[str, Tensor], network: nn.Module) -> list[Tensor | None]:
    """Those of what the core would minimise, None for weights that it does not reach."""
    total = torch.stack([term.mean() for term in terms.values()]).sum()
    return list(torch.autograd.grad(total, list(network.parameters()), allow_unused=True, retain_graph=True))


def slopes(minimised: Callable[[], Mapping[str, Tensor]], network: nn.Module, step: float = 1e-6) -> list[Tensor]:
    """The same by central differences, weight by weight: nothing of it is differentiated."""

    def total() -> float:
        return sum(float(term.detach().mean()) for term in minimised().values())

    found = []
    for weight in network.parameters():
        flat, slope = weight.detach().view(-1), torch.zeros(weight.numel(), dtype=torch.float64)
        for place in range(len(flat)):
            kept = float(flat[place])
            flat[place] = kept + step
            above = total()
            flat[place] = kept - step
            slope[place] = (above - total()) / (2 * step)
            flat[place] = kept
        found.append(slope.view_as(weight))
    return found
