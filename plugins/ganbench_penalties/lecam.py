"""LeCam regularisation: the critic's logits stay near what it lately said of the other side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import relu

from ganbench.errors import ChoiceError
from ganbench.penalties import nonnegative

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.protocols import Game, Remembered, Terms


class LeCam:
    """Keeps logits at real samples below, and at fakes above, a running mean of the logits at the other side.

    Formula: weight · (relu(r − m_fake)² + relu(m_real − f)²), m_real and m_fake running means of r and f; 0 before
    `start` steps are over, while the means move already.
    Shapes: logits r and f (N,); the term is (N,), real n beside fake n. The means hold this step's batch already, so
    that a term depends a little on the other samples of its batch; no gradient flows into a mean.
    Paper: arXiv:2104.03310, §3. The paper writes the squares alone; its authors' code cuts them off at 0, as here.
    Recipe: weight 0.3, decay 0.99, start 1000, as in the authors' code for CIFAR-10.
    Traps: the anchor of the real side is the mean at fakes, and the other way round; exchanged, they would only
    narrow each side around its own mean. Means that start at 0 pull all logits there for a hundred steps: they are
    divided by the weight that they have gathered.
    Parameters: `weight` is λ; `decay` is what a mean keeps of itself in a step; `start` is the number of discriminator
    steps that pass before the penalty counts.
    """

    remembers: Mapping[str, float] = {"real": 0.0, "fake": 0.0, "weight": 0.0, "steps": 0.0}

    def __init__(self, weight: float = 0.3, decay: float = 0.99, start: int = 1000) -> None:
        self.weight = nonnegative("lecam", "weight", weight)
        self.start = int(nonnegative("lecam", "start", start))
        if not 0 <= decay < 1:
            raise ChoiceError(f"lecam: decay is {decay}, expected at least 0 and less than 1")
        self.decay = decay

    def discriminator(self, game: Game) -> Terms:
        """weight · (relu(r − m_fake)² + relu(m_real − f)²), or 0 up to `start` steps: (N,)."""
        real, fake = game.critic(game.real), game.critic(game.fake)  # (N,), (N,)
        real_mean, fake_mean = self._means(game.memory, real.detach().mean(), fake.detach().mean())
        excess = relu(real - fake_mean).square() + relu(real_mean - fake).square()  # (N,)
        game.memory["steps"] = game.memory["steps"] + 1
        return {"lecam": self.weight * torch.where(game.memory["steps"] > self.start, excess, 0.0)}

    def _means(self, memory: Remembered, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The running means with this step's in them: scalars."""
        for name, value in (("real", real), ("fake", fake), ("weight", torch.ones_like(real))):
            memory[name] = self.decay * memory[name] + (1 - self.decay) * value
        return memory["real"] / memory["weight"], memory["fake"] / memory["weight"]
