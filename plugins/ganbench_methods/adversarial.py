"""Autoencoders that are kept in shape by a critic: of the latents alone, or of samples and latents in pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganbench.penalties import at_least_one, nonnegative
from ganbench.protocols import Turn
from ganbench_methods.gaussians import drawn, split

if TYPE_CHECKING:
    from ganbench.protocols import Scene, Terms

LEAK = 0.2


class AAE:
    """Adversarial autoencoder (arXiv:1511.05644): it reconstructs, and a critic pulls its codes to the prior.

    Formula: generator and encoder minimise λ·½‖x − G(E(x))‖²; the critic of latents softplus(−D(z)) +
    softplus(D(E(x))), z ~ N(0, I); then the encoder softplus(−D(E(x))).
    Shapes: the discriminator becomes the encoder, (N, *shape) to (N, Z); the critic is a small one of its own, (N, Z)
    to (N,).
    Paper: arXiv:1511.05644, §2 and figure 1, with the deterministic encoder of §2.
    Recipe: Adam 2e-4 (0.5, 0.999); the paper has momentum, with other rates for each data set.
    Traps: three updates with an optimiser each, for the encoder's two aims must not share running moments. The prior is
    real and the code is fake, not the other way round. An encoder that draws nothing cannot spread a few tight modes
    over the whole prior: on ring8 samples fall between the modes, on digits they are digits.
    Parameters: `reconstruction` is λ; `width` is the number of units in both hidden layers of the critic.
    """

    def __init__(self, reconstruction: float = 1.0, width: int = 128) -> None:
        self.reconstruction = nonnegative("aae", "reconstruction", reconstruction)
        self.width = at_least_one("aae", "width", width)

    def networks(self, make: Callable[..., nn.Module], latent_dim: int, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The encoder, (N, *shape) to (N, Z), and the critic of latents, (N, Z) to (N,)."""
        return {"encoder": make(shape, outputs=latent_dim), "critic": _judge(latent_dim, self.width)}

    def turns(self) -> tuple[Turn, ...]:
        """Reconstruction, then the critic, then the encoder against it."""
        return (
            Turn("autoencoder", ("generator", "encoder"), "generator", self.errors, every_batch=True),
            Turn("discriminator", ("critic",), "discriminator", self.criticism, every_batch=True),
            Turn("encoder", ("encoder",), "generator", self.disguise, every_batch=True),
        )

    def errors(self, scene: Scene) -> Terms:
        """λ·½‖x − G(E(x))‖²: (N,)."""
        again = scene.networks["generator"](_codes(scene))
        errors = (again - scene.real).flatten(1)
        return {"reconstruction": self.reconstruction * errors.square().sum(dim=1) / 2}

    def criticism(self, scene: Scene) -> Terms:
        """softplus(−D(z)) + softplus(D(E(x))): (N,)."""
        critic = scene.networks["critic"]
        with torch.no_grad():
            codes = _codes(scene)
        return {"adversarial": softplus(-critic(scene.latents)) + softplus(critic(codes))}

    def disguise(self, scene: Scene) -> Terms:
        """softplus(−D(E(x))): (N,)."""
        return {"adversarial": softplus(-scene.networks["critic"](_codes(scene)))}


class BiGAN:
    """Bidirectional GAN (arXiv:1605.09782), also known as ALI (arXiv:1606.00704): a game of samples with latents.

    Formula: the critic minimises softplus(−D(x, E(x))) + softplus(D(G(z), z)); generator and encoder together
    softplus(D(x, E(x))) + softplus(−D(G(z), z)).
    Shapes: the discriminator is made twice: as the encoder, (N, *shape) to (N, Z), or to (N, 2·Z) where it is
    stochastic, and as the first part of the critic, which joins its `width` outputs with those of the latents.
    Paper: arXiv:1605.09782, eq. 3 and §3.4; arXiv:1606.00704, §2 for the stochastic encoder.
    Recipe: Adam 2e-4 (0.5, 0.999) (arXiv:1605.09782, appendix C).
    Traps: the encoder plays on the generator's side: real pairs have to look fake. Its objective alone says nothing of
    reconstruction, so G(E(x)) is like x only as far as the game has come.
    Parameters: `width` is the number of features of sample and latents that the critic joins; `stochastic` is ALI's
    encoder, which gives a mean and a variance.
    """

    def __init__(self, width: int = 128, *, stochastic: bool = False) -> None:
        self.width = at_least_one("bigan", "width", width)
        self.stochastic = stochastic

    def networks(self, make: Callable[..., nn.Module], latent_dim: int, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The encoder, and the critic of pairs, (N, *shape) and (N, Z) to (N,)."""
        encoder = make(shape, outputs=2 * latent_dim if self.stochastic else latent_dim)
        return {"encoder": encoder, "critic": Joint(make(shape, outputs=self.width), latent_dim, self.width)}

    def turns(self) -> tuple[Turn, ...]:
        """The critic, then generator and encoder together."""
        return (
            Turn("discriminator", ("critic",), "discriminator", self.criticism, every_batch=True),
            Turn("generator", ("generator", "encoder"), "generator", self.disguise),
        )

    def criticism(self, scene: Scene) -> Terms:
        """softplus(−D(x, E(x))) + softplus(D(G(z), z)): (N,)."""
        with torch.no_grad():
            codes, fake = self._encoded(scene), scene.networks["generator"](scene.latents)
        real_logits, fake_logits = self._logits(scene, codes, fake)
        return {"adversarial": softplus(-real_logits) + softplus(fake_logits)}

    def disguise(self, scene: Scene) -> Terms:
        """softplus(D(x, E(x))) + softplus(−D(G(z), z)): (N,)."""
        fake = scene.networks["generator"](scene.latents)
        real_logits, fake_logits = self._logits(scene, self._encoded(scene), fake)
        return {"adversarial": softplus(real_logits) + softplus(-fake_logits)}

    def _logits(self, scene: Scene, codes: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        critic = scene.networks["critic"]
        return critic(scene.real, codes), critic(fake, scene.latents)

    def _encoded(self, scene: Scene) -> Tensor:
        encoded = _codes(scene)
        return drawn(*split(encoded), scene.rng) if self.stochastic else encoded


class Joint(nn.Module):
    """A critic of pairs: samples (N, *shape) and latents (N, Z) to logits (N,)."""

    def __init__(self, samples: nn.Module, latent_dim: int, width: int) -> None:
        super().__init__()
        self.samples = samples
        self.latents = nn.Sequential(nn.Linear(latent_dim, width), nn.LeakyReLU(LEAK))
        self.both = _judge(2 * width, width)

    def forward(self, samples: Tensor, latents: Tensor) -> Tensor:
        """(N, *shape) and (N, Z) to (N,)."""
        features = nn.functional.leaky_relu(self.samples(samples), LEAK)
        logits: Tensor = self.both(torch.cat([features, self.latents(latents)], dim=1))
        return logits


def _judge(inputs: int, width: int) -> nn.Module:
    """Vectors (N, inputs) to logits (N,), by two hidden layers."""
    hidden = [nn.Linear(inputs, width), nn.LeakyReLU(LEAK), nn.Linear(width, width), nn.LeakyReLU(LEAK)]
    return nn.Sequential(*hidden, nn.Linear(width, 1), nn.Flatten(0))


def _codes(scene: Scene) -> Tensor:
    """What the encoder makes of the real samples."""
    codes: Tensor = scene.networks["encoder"](scene.real)
    return codes
