"""Top-k training: bad fakes teach the generator nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganbench.errors import ChoiceError
from ganbench.penalties import at_least_one
from ganbench_methods.usual import UsualGame, objective_of

if TYPE_CHECKING:
    from ganbench.protocols import Scene, Terms


class TopK(UsualGame):
    """Top-k training (arXiv:2002.06224): the generator learns from those of its fakes that look most real.

    Formula: the generator minimises the mean of its loss over the k fakes with the highest logits; k starts as the
    batch size B, is multiplied by γ every so many steps, and stays at ν·B once it is there.
    Shapes: those of the usual game.
    Paper: arXiv:2002.06224, §3.
    Recipe: the loss's own.
    Traps: the best k, not the worst: those lie outside of every mode, where a gradient may lead further away. The
    discriminator sees all fakes. The mean is over k, not over B, or the step would shrink with k.
    Parameters: `share` is ν; `decay` is γ; `every` is the number of steps after which k shrinks (an epoch in the
    paper).
    """

    def __init__(self, share: float = 0.75, decay: float = 0.99, every: int = 100) -> None:
        for name, value in (("share", share), ("decay", decay)):
            if not 0 < value <= 1:
                raise ChoiceError(f"top-k: {name} is {value}, expected more than 0 and at most 1")
        self.share = share
        self.decay = decay
        self.every = at_least_one("top-k", "every", every)

    def disguise(self, scene: Scene) -> Terms:
        """What the loss says, scaled by N/k for the k best fakes and 0 for the others, so that its mean is theirs."""
        fake = scene.networks["generator"](scene.latents)
        critic = Listener(scene.networks["discriminator"], fake)
        terms = objective_of(scene).generator(scene.game(fake, critic))
        kept = self.kept(len(fake), scene.step)
        chosen = torch.zeros_like(critic.said).scatter(0, critic.said.topk(kept).indices, len(fake) / kept)  # (N,)
        return {name: term * chosen for name, term in terms.items()}

    def kept(self, batch_size: int, step: int) -> int:
        """k at a step, counted from 1."""
        share = max(self.share, self.decay ** ((step - 1) // self.every))
        return max(1, round(share * batch_size))


class Listener:
    """A discriminator that remembers the logits of the fakes, so that they need not be asked for twice."""

    def __init__(self, network: nn.Module, fake: Tensor) -> None:
        self._network = network
        self._fake = fake
        self._said: Tensor | None = None

    def __call__(self, samples: Tensor) -> Tensor:
        """Samples (N, *shape) to logits (N,)."""
        return self._heard(samples, self._network(samples))

    def judge(self, samples: Tensor) -> Mapping[str, Tensor]:
        """The logits and all heads of samples (N, *shape)."""
        heads: Mapping[str, Tensor] = self._network.judge(samples)  # type: ignore[operator]
        self._heard(samples, heads["logits"])
        return heads

    @property
    def said(self) -> Tensor:
        """The logits of the fakes, detached: (N,)."""
        return self(self._fake).detach() if self._said is None else self._said

    def _heard(self, samples: Tensor, logits: Tensor) -> Tensor:
        if samples is self._fake:
            self._said = logits.detach()
        return logits
