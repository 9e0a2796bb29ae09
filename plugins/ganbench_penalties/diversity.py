"""Terms of the generator against mode collapse: fakes are to differ from each other as real samples do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ganbench.penalties import nonnegative, pulling_away

if TYPE_CHECKING:
    from ganbench.protocols import Game, Terms

EPSILON = 1e-5
"""What keeps the mode-seeking term finite where all fakes are the same, as in its authors' code."""


class ModeSeeking:
    """Mode seeking: fakes of two latents are to be as far apart as the latents are.

    Formula: weight / (‖G(z) − G(z′)‖₁ / ‖z − z′‖₁ + 10⁻⁵), each norm a mean over dimensions and over the batch,
    z′ a second batch of latents.
    Shapes: fakes (N, ...) and latents (N, Z); the term is (N,), the same number for every sample.
    Paper: arXiv:1903.05628, §3.2; the inverse is what its authors' code minimises to maximise the ratio.
    Recipe: a weight of 1.
    Traps: the ratio is of the batch's mean distances, as in the authors' code. Inverted pair by pair, the two closest
    fakes of a batch would outweigh all others, and a pair that coincides the loss itself.
    Parameters: `weight` is λ_ms.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = nonnegative("mode-seeking", "weight", weight)

    def generator(self, game: Game) -> Terms:
        """weight / (ratio of distances + 10⁻⁵), for every sample: (N,)."""
        latents = game.latents  # (N, Z)
        others = torch.randn(latents.shape, generator=game.rng, dtype=latents.dtype, device=latents.device)
        between_fakes = (game.fake - game.generator(others)).abs().mean()
        ratio = between_fakes / (latents - others).abs().mean()
        return {"mode_seeking": (self.weight / (ratio + EPSILON)).expand(len(game.fake))}


class FeatureMatching:
    """Feature matching: the critic's mean features of fakes are to be those of real samples.

    Formula: weight · ‖mean φ(real) − mean φ(fake)‖₂², φ the features before the critic's last layer.
    Shapes: features (N, F); the term is (N,), the same number for every sample.
    Paper: arXiv:1606.03498, §3.1.
    Recipe: a weight of 1, in place of the generator's own loss in the paper, beside it here.
    Traps: the difference is of the two means: fakes that match real samples pair by pair would be means themselves.
    Parameters: `weight` is the term's.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = nonnegative("feature-matching", "weight", weight)

    def generator(self, game: Game) -> Terms:
        """weight · ‖mean φ(real) − mean φ(fake)‖₂², for every sample: (N,)."""
        real = game.critic.judge(game.real)["features"].detach()  # (N, F)
        fake = game.critic.judge(game.fake)["features"]  # (N, F)
        distance = (real.mean(dim=0) - fake.mean(dim=0)).square().sum()
        return {"feature_matching": (self.weight * distance).expand(len(fake))}


class PullingAway:
    """Pulling away: the critic's features of different fakes are to be at right angles.

    Formula: weight · 1/(N − 1) · Σⱼ≠ᵢ cos²(φ(fakeᵢ), φ(fakeⱼ)) for each sample i.
    Shapes: features (N, F); the term is (N,), each sample's against the N − 1 others.
    Paper: arXiv:1609.03126, §2.4.
    Recipe: a weight of 0.1, as in the paper's EBGAN-PT.
    Traps: the cosine is between the features of two samples; known code normalises over the batch instead, or counts
    the N pairs of a sample with itself, whose cosine is always 1.
    Parameters: `weight` is the term's.
    """

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = nonnegative("pulling-away", "weight", weight)

    def generator(self, game: Game) -> Terms:
        """weight · mean squared cosine to the other fakes: (N,)."""
        return {"pulling_away": self.weight * pulling_away(game.critic.judge(game.fake)["features"])}
