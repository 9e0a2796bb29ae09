"""Relativistic losses: what counts is how much more real than fakes a real sample looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import softplus

from ganbench.penalties import nonnegative, zero_centred_penalty

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class Relativistic:
    """Relativistic pairing: each fake is judged against one real sample.

    Formula: D minimises −log σ(r − f); G minimises −log σ(f − r); real n is paired with fake n.
    Shapes: logits r and f (N,), the term (N,).
    Paper: arXiv:1807.00734, §4; arXiv:2501.05441, §2.
    Recipe: Adam 2e-4 with betas 0 and 0.99, those at the end of the schedule of arXiv:2501.05441.
    Traps: the generator needs the real samples too: −log σ(−(r − f)), whose gradient in f depends on r. By itself this
        need not converge (arXiv:2501.05441, §2); with gradient penalties at both real and fake it is r3gan.
    """

    def discriminator(self, game: Game) -> Terms:
        """softplus(−(r − f)), real n paired with fake n: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": softplus(fake - real)}

    def generator(self, game: Game) -> Terms:
        """softplus(−(f − r)), real n paired with fake n: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": softplus(real - fake)}


class RelativisticAverage:
    """Relativistic averages: each sample is judged against the mean logit of the other side.

    Formula: D minimises −log σ(r − E f) − log(1 − σ(f − E r)); G minimises −log(1 − σ(r − E f)) − log σ(f − E r).
    Shapes: logits r and f (N,), the term (N,): real n's and fake n's part. E is the mean over the batch.
    Paper: arXiv:1807.00734, §4, relativistic average GANs with the logistic loss (RaSGAN).
    Recipe: Adam 2e-4 with betas 0 and 0.99, as for relativistic.
    Traps: not one logarithm of σ(E r − E f), and not divided by 2, as some code has it. The means are part of the game:
        gradients flow through them. Every term depends on the whole batch.
    """

    def discriminator(self, game: Game) -> Terms:
        """softplus(−(r − E f)) + softplus(f − E r): (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": softplus(fake.mean() - real) + softplus(fake - real.mean())}

    def generator(self, game: Game) -> Terms:
        """softplus(r − E f) + softplus(−(f − E r)): (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        return {"adversarial": softplus(real - fake.mean()) + softplus(real.mean() - fake)}


class R3GAN(Relativistic):
    """Relativistic pairing with zero-centred gradient penalties at real and at fake, which makes it converge.

    Formula: D minimises −log σ(r − f) + (γ/2)·‖∇D(real)‖₂² + (γ/2)·‖∇D(fake)‖₂²; G minimises −log σ(f − r).
    Shapes: logits r and f (N,), each of the three terms (N,).
    Paper: arXiv:2501.05441, §2.
    Recipe: Adam 2e-4 with betas 0 and 0.99, γ constant. Published: γ falls from 0.05 to 0.005 and β₂ rises from 0.9 to
        0.99 on CIFAR-10, with a cosine schedule and a moving average of the generator (`training` in a suite).
    Traps: both penalties are needed, R1 alone lets training diverge (§2), and both are taken at every step. The ½ is
        part of the definition.
    Parameters: `gamma` is γ, the weight of both penalties.
    """

    def __init__(self, gamma: float = 0.05) -> None:
        self.gamma = nonnegative("r3gan", "gamma", gamma)

    def discriminator(self, game: Game) -> Terms:
        """softplus(−(r − f)), and (γ/2)·‖∇D‖₂² at each real and at each fake sample: each (N,)."""
        return {
            **super().discriminator(game),
            "r1": zero_centred_penalty(game.critic, game.real, self.gamma),
            "r2": zero_centred_penalty(game.critic, game.fake, self.gamma),
        }
