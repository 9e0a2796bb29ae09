"""Autoencoders with a prior on the latents: the VAE, and the VAE that compares by a critic's features."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganbench.errors import ChoiceError
from ganbench.penalties import nonnegative
from ganbench.protocols import Turn
from ganbench_methods.gaussians import divergence, drawn, split

if TYPE_CHECKING:
    from ganbench.protocols import Scene, Terms


SMALLEST = 1e-12
"""What a variance is held above where all errors are 0."""


class VAE:
    """Variational autoencoder (arXiv:1312.6114): maximum likelihood as far as a bound of it can be had.

    Formula: both players minimise −log p(x|z) + β·KL(q(z|x) ‖ p(z)), with z drawn from q(z|x) = N(μ(x), σ²(x)), the
    prior p(z) = N(0, I), and p(x|z) a Gaussian of deviation s around what the generator makes of z.
    Shapes: the discriminator becomes the encoder, (N, *shape) to (N, 2·Z): means, then logarithms of variances.
    Paper: arXiv:1312.6114, eq. 3 and 10, appendix B; β is arXiv:1804.03599's and 1 in the paper; s as in
    arXiv:2006.13202, §3.
    Recipe: Adam 1e-3 (0.9, 0.999), its authors' own settings; the paper has Adagrad.
    Traps: the reconstruction is summed over a sample's numbers, not averaged, or it weighs nothing beside the
    divergence. With too large an s all codes collapse to the prior, as with 1 on images in [−1, 1]; and with the most
    likely one too where the data vary in all directions alike: points on a ring or a grid want a `deviation`, of 0.1
    say. Samples are the Gaussians' means: what the generator gives, without noise of deviation s.
    Parameters: `beta` weighs the divergence; `deviation` is s, and none stands for the most likely one: the root of the
    batch's mean squared error. No gradient goes through that: at the most likely s it would be 0.
    """

    def __init__(self, beta: float = 1.0, deviation: float | None = None) -> None:
        self.beta = nonnegative("vae", "beta", beta)
        if deviation is not None and not deviation > 0:
            raise ChoiceError(f"vae: deviation is {deviation}, expected more than 0")
        self.deviation = deviation

    def networks(self, make: Callable[..., nn.Module], latent_dim: int, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The encoder, (N, *shape) to (N, 2·Z)."""
        return {"encoder": make(shape, outputs=2 * latent_dim)}

    def turns(self) -> tuple[Turn, ...]:
        """One update of both."""
        return (Turn("autoencoder", ("generator", "encoder"), "generator", self.bound, every_batch=True),)

    def bound(self, scene: Scene) -> Terms:
        """The negative bound in nats, as reconstruction and divergence: each (N,)."""
        means, log_variances = split(scene.networks["encoder"](scene.real))
        latents = drawn(means, log_variances, scene.rng)
        errors = (scene.networks["generator"](latents) - scene.real).flatten(1)  # (N, numbers of a sample)
        return {
            "reconstruction": negative_log_likelihood(errors, self.deviation),
            "divergence": self.beta * divergence(means, log_variances),
        }


def negative_log_likelihood(errors: Tensor, deviation: float | None = None) -> Tensor:
    """−log N(errors; 0, s²·I) in nats for each sample: (N, D) to (N,); without s, with the batch's most likely one."""
    found = errors.detach().square().mean().clamp_min(SMALLEST)
    variance = found if deviation is None else torch.full_like(found, deviation**2)
    constant = errors.shape[1] / 2 * (math.log(2 * math.pi) + variance.log())
    return errors.square().sum(dim=1) / (2 * variance) + constant


class VAEGAN:
    """VAE whose reconstructions are compared by a critic's features, and judged by it too (arXiv:1512.09300).

    Formula: with F the critic's features, x̃ = G(z), z ~ q(z|x), and x_p = G(z_p), z_p ~ p(z): the encoder minimises
    KL(q(z|x) ‖ p(z)) + ½‖F(x) − F(x̃)‖²; the generator γ·½‖F(x) − F(x̃)‖² + softplus(−D(x̃)) + softplus(−D(x_p)); the
    critic softplus(−D(x)) + softplus(D(x̃)) + softplus(D(x_p)).
    Shapes: the discriminator is made twice: as the encoder, (N, *shape) to (N, 2·Z), and as the critic with features.
    Paper: arXiv:1512.09300, algorithm 1 and eq. 8; the generator's adversarial part does not saturate here
    (arXiv:1406.2661, §3), where algorithm 1 subtracts the critic's.
    Recipe: Adam 2e-4 (0.5, 0.999) for all three; the paper has RMSprop 3e-4.
    Traps: the encoder must not be rewarded for fooling the critic, nor the critic for features that reconstruct well:
    each turn moves its own network only.
    Parameters: `gamma` weighs the reconstruction in the generator's turn.
    """

    def __init__(self, gamma: float = 1e-2) -> None:
        self.gamma = nonnegative("vae-gan", "gamma", gamma)

    def networks(self, make: Callable[..., nn.Module], latent_dim: int, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The encoder, (N, *shape) to (N, 2·Z), and the critic, (N, *shape) to logits and features."""
        return {"encoder": make(shape, outputs=2 * latent_dim), "critic": make(shape)}

    def turns(self) -> tuple[Turn, ...]:
        """The critic, then the encoder, then the generator."""
        return (
            Turn("discriminator", ("critic",), "discriminator", self.criticism, every_batch=True),
            Turn("encoder", ("encoder",), "generator", self.encoding),
            Turn("generator", ("generator",), "generator", self.generation),
        )

    def criticism(self, scene: Scene) -> Terms:
        """softplus(−D(x)) + softplus(D(x̃)) + softplus(D(x_p)): (N,)."""
        critic = scene.networks["critic"]
        with torch.no_grad():
            again, new = _again(scene), scene.networks["generator"](scene.latents)
        return {"adversarial": softplus(-critic(scene.real)) + softplus(critic(again)) + softplus(critic(new))}

    def encoding(self, scene: Scene) -> Terms:
        """KL(q(z|x) ‖ p(z)) and ½‖F(x) − F(x̃)‖²: each (N,)."""
        means, log_variances = split(scene.networks["encoder"](scene.real))
        again = scene.networks["generator"](drawn(means, log_variances, scene.rng))
        return {"divergence": divergence(means, log_variances), "reconstruction": _unlike(scene, again)}

    def generation(self, scene: Scene) -> Terms:
        """γ·½‖F(x) − F(x̃)‖² and softplus(−D(x̃)) + softplus(−D(x_p)): each (N,)."""
        critic, generator = scene.networks["critic"], scene.networks["generator"]
        again, new = _again(scene), generator(scene.latents)
        return {
            "reconstruction": self.gamma * _unlike(scene, again),
            "adversarial": softplus(-critic(again)) + softplus(-critic(new)),
        }


def _again(scene: Scene) -> Tensor:
    """What the generator makes of real samples' codes, drawn anew, none of which reaches the encoder: (N, *shape)."""
    with torch.no_grad():
        latents = drawn(*split(scene.networks["encoder"](scene.real)), scene.rng)
    fake: Tensor = scene.networks["generator"](latents)
    return fake


def _unlike(scene: Scene, fake: Tensor) -> Tensor:
    """½‖F(x) − F(x̃)‖² for each sample: (N,)."""
    critic = scene.networks["critic"]
    real_features = critic.judge(scene.real)["features"].detach()  # type: ignore[operator]
    fake_features = critic.judge(fake)["features"]  # type: ignore[operator]
    distances: Tensor = (real_features - fake_features).flatten(1).square().sum(dim=1) / 2
    return distances
