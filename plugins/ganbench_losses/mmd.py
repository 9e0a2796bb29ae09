"""MMD-GAN: the critic gives vectors, and a kernel between them says how far real and fake are apart.

Similarities are of pairs, so every term depends on the whole batch; their mean is what the paper writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganbench.errors import ChoiceError
from ganbench.penalties import interpolate, lipschitz_penalty, nonnegative

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms

Kernel = Callable[[Tensor, Tensor], Tensor]
"""Vectors (N, E) and (M, E) to similarities (N, M)."""


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """‖aᵢ − bⱼ‖₂² of vectors (N, E) and (M, E): (N, M)."""
    # ‖a‖² − 2a·b + ‖b‖² loses near pairs to rounding and can come out negative.
    return (one.unsqueeze(1) - other.unsqueeze(0)).square().sum(dim=-1)


def mean_to_others(similarities: Tensor) -> Tensor:
    """The mean similarity of each vector to the others, itself left out: (N, N) to (N,)."""
    count = len(similarities)
    others = 1 - torch.eye(count, dtype=similarities.dtype, device=similarities.device)
    return (similarities * others).sum(dim=1) / max(count - 1, 1)


def squared_mmd(real: Tensor, fake: Tensor, kernel: Kernel) -> Tensor:
    """Terms whose mean is the unbiased estimate of MMD² of vectors (N, E) and (N, E): (N,).

    Gretton et al., "A kernel two-sample test" (JMLR 13, 2012), eq. 3: a vector is never compared with itself.
    """
    across = kernel(real, fake)  # (N, N)
    within = mean_to_others(kernel(real, real)) + mean_to_others(kernel(fake, fake))  # (N,)
    return within - across.mean(dim=1) - across.mean(dim=0)


class MMD:
    """Maximum mean discrepancy of the critic's vectors under a mixture of Gaussian kernels, with a gradient penalty.

    Formula: D minimises −MMD²(D(real), D(fake)) + weight · (‖∇w(x̂)‖₂ − 1)²; G minimises MMD²(D(real), D(fake)).
        k(a, b) = Σ_σ exp(−‖a − b‖²/2σ²); the witness w(x) = mean k(D(x), D(real)) − mean k(D(x), D(fake));
        x̂ = ε·real + (1 − ε)·fake.
    Shapes: vectors (N, E), each of the two terms (N,).
    Paper: arXiv:1705.08584, §3, for the game and the mixture; its clipped weights and autoencoder are replaced by the
        penalty of arXiv:1801.01401 on the witness, whose gradient the generator follows.
    Recipe: Adam 1e-4 with betas 0.5 and 0.9, 5 critic steps, weight 1; 16 outputs do (arXiv:1801.01401).
    Traps: the biased estimate compares each vector with itself, so that a collapsed generator looks better than it is;
        here the diagonal is left out, and the estimate may be negative. The penalty is on the witness, not on an output
        of the critic, and its norm is over all dimensions of a sample (released code takes it over one axis).
    Parameters: `weight` is the penalty's; `bandwidths` are the σ of the mixture, which is a sum, not a mean.
    """

    def __init__(self, weight: float = 1.0, bandwidths: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)) -> None:
        if not bandwidths or not all(bandwidth > 0 for bandwidth in bandwidths):
            raise ChoiceError(f"mmd: bandwidths is {bandwidths}, expected one or more numbers above 0")
        self.weight = nonnegative("mmd", "weight", weight)
        self.bandwidths = bandwidths

    def discriminator(self, game: Game) -> Terms:
        """−MMD², and weight · (‖∇w(x̂)‖₂ − 1)² between real and fake: each (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N, E), (N, E)

        def witness(samples: Tensor) -> Tensor:
            vectors = game.critic(samples)  # (N, E)
            return self._kernel(vectors, real).mean(dim=1) - self._kernel(vectors, fake).mean(dim=1)

        penalty = lipschitz_penalty(witness, interpolate(game.real, game.fake, game.rng), self.weight)
        return {"adversarial": -squared_mmd(real, fake, self._kernel), "gradient_penalty": penalty}

    def generator(self, game: Game) -> Terms:
        """MMD²: (N,)."""
        return {"adversarial": squared_mmd(game.critic(game.real), game.critic(game.fake), self._kernel)}

    def _kernel(self, one: Tensor, other: Tensor) -> Tensor:
        distances = squared_distances(one, other)  # (N, M)
        return torch.stack([torch.exp(-distances / (2 * sigma**2)) for sigma in self.bandwidths]).sum(dim=0)


class RepulsiveMMD:
    """Maximum mean discrepancy for the generator; the critic spreads real samples and draws fakes together.

    Formula: D minimises E k(D(x), D(x')) − E k(D(y), D(y')), x real and y fake; G minimises MMD²(D(real), D(fake)).
        k(a, b) = exp(−½‖a − b‖²); in D, ‖a − b‖² is at most `upper` for real pairs, at least `lower` for fake ones.
    Shapes: vectors (N, E), the term (N,).
    Paper: arXiv:1812.09916, §3, the repulsive loss with the bounded Gaussian kernel.
    Recipe: Adam with betas 0.5 and 0.999, 2e-4 for the discriminator and 5e-4 for the generator, as in the authors'
        code for CIFAR-10. The critic has 16 outputs and spectral normalisation, which this loss relies on.
    Traps: the signs: with them turned round, real samples are pulled together, which is what the ordinary MMD critic
        does and what this one is against. The bounds are on squared distances, and the critic's only.
    Parameters: `lower` is the squared distance below which fakes are near enough; `upper` the one beyond which real
        samples are far enough apart.
    """

    def __init__(self, lower: float = 0.25, upper: float = 4.0) -> None:
        self.lower = nonnegative("mmd-repulsive", "lower", lower)
        self.upper = nonnegative("mmd-repulsive", "upper", upper)

    def discriminator(self, game: Game) -> Terms:
        """Each real vector's similarity to the other real ones less each fake one's to the other fakes: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N, E), (N, E)
        between_real = squared_distances(real, real).clamp(max=self.upper)  # (N, N)
        between_fake = squared_distances(fake, fake).clamp(min=self.lower)  # (N, N)
        return {"adversarial": mean_to_others(_gaussian(between_real)) - mean_to_others(_gaussian(between_fake))}

    def generator(self, game: Game) -> Terms:
        """MMD²: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N, E), (N, E)
        return {"adversarial": squared_mmd(real, fake, lambda a, b: _gaussian(squared_distances(a, b)))}


def _gaussian(squared_distances: Tensor) -> Tensor:
    return torch.exp(-squared_distances / 2)
