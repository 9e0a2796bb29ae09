"""Losses for critics that are autoencoders: the energy of a sample is how badly it is reconstructed.

Such a critic's logit is minus its energy, so that high still means real. Below, E_r = −r and E_f = −f are the energies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import relu

from ganbench.errors import ChoiceError
from ganbench.penalties import nonnegative, pulling_away

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms


class EBGAN:
    """Energy-based GAN: low energy for real samples, at least a margin for fakes, and fakes that point apart.

    Formula: D minimises E_r + max(0, margin − E_f); G minimises E_f + pulling_away · PT,
        PT = 1/(N(N − 1)) · Σᵢ Σⱼ≠ᵢ cos²(sᵢ, sⱼ) over the codes s of the fakes.
    Shapes: logits −E (N,) and the head features (N, F), each of the two terms (N,).
    Paper: arXiv:1609.03126, eq. 1 and 2, and §2.4 for the pulling-away term.
    Recipe: Adam 2e-4 with betas 0.5 and 0.999, of DCGAN; pulling-away 0.1 (with which the paper calls it EBGAN-PT).
    Traps: cosines are between samples, over the features; normalised over the batch axis instead, they say nothing of
        diversity. A sample is not compared with itself. A margin has the energy's scale: 1 is for mean errors of
        numbers in [−1, 1], the paper's (10 on MNIST, 80 on LSUN) are for its own, larger energies.
    Parameters: `margin` is the energy at which a fake is bad enough; `pulling_away` the weight of that term.
    """

    def __init__(self, margin: float = 1.0, pulling_away: float = 0.1) -> None:
        self.margin = nonnegative("ebgan", "margin", margin)
        self.pulling_away = nonnegative("ebgan", "pulling_away", pulling_away)

    def discriminator(self, game: Game) -> Terms:
        """E_r + relu(margin − E_f): (N,)."""
        real, fake = -game.critic(game.real), -game.critic(game.fake)  # energies: (N,), (N,)
        return {"adversarial": real + relu(self.margin - fake)}

    def generator(self, game: Game) -> Terms:
        """E_f, and the weighted mean squared cosine of each fake's code to the others': each (N,)."""
        judged = game.critic.judge(game.fake)
        repelling = self.pulling_away * pulling_away(judged["features"])
        return {"adversarial": -judged["logits"], "pulling_away": repelling}


class BEGAN:
    """Boundary equilibrium GAN: energies of fake and real are kept in a ratio by a weight that is steered.

    Formula: D minimises E_r − k·E_f; G minimises E_f; after each step k ← k + rate · (gamma·mean E_r − mean E_f),
        within [0, 1], from k = 0.
    Shapes: logits −E (N,), the term (N,); k is remembered as a scalar.
    Paper: arXiv:1703.10717, §3.3 and §3.4.
    Recipe: Adam 1e-4 with betas 0.9 and 0.999 (the paper states none), rate 0.001, k₀ = 0; the paper halves the
        learning rate where the energies stall.
    Traps: k is no parameter and gets no gradient; an unclamped one runs away. It is updated from the same energies as
        the critic, with the k of this step still in the loss. The fakes are the discriminator's, not a second batch: an
        equally good estimate, without a pass. From k₀ = 0 at a rate of 0.001, thousands of steps pass before k matters;
        in less, the generator draws whatever the critic reconstructs best: blank images.
    Parameters: `gamma` is the ratio of fake to real energy to keep, less of it for sharper and less diverse samples;
        `rate` is λₖ, the step of k.
    """

    remembers: ClassVar[Mapping[str, float]] = {"k": 0.0}

    def __init__(self, gamma: float = 0.75, rate: float = 0.001) -> None:
        if not 0 <= gamma <= 1:  # NaN too
            raise ChoiceError(f"began: gamma is {gamma}, expected 0 to 1")
        self.gamma = gamma
        self.rate = nonnegative("began", "rate", rate)

    def discriminator(self, game: Game) -> Terms:
        """E_r − k·E_f: (N,). Moves k."""
        real, fake = -game.critic(game.real), -game.critic(game.fake)  # energies: (N,), (N,)
        k = game.memory["k"]
        balance = (self.gamma * real - fake).detach().mean()
        game.memory["k"] = (k + self.rate * balance).clamp(0, 1)
        return {"adversarial": real - k * fake}

    def generator(self, game: Game) -> Terms:
        """E_f: (N,)."""
        return {"adversarial": -game.critic(game.fake)}
