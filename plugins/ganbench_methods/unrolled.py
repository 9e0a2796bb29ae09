"""Unrolled GAN: the generator looks ahead at how the discriminator will answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganbench.errors import ChoiceError
from ganbench.penalties import nonnegative
from ganbench_methods.usual import UsualGame, objective_of

if TYPE_CHECKING:
    from ganbench.protocols import Game, Scene, Terms

Weights = Mapping[str, Tensor]


class Unrolled(UsualGame):
    """Unrolled GAN (arXiv:1611.02163): the generator looks ahead at how the discriminator will answer its move.

    Formula: θ_D⁰ = θ_D; θ_Dᵏ⁺¹ = θ_Dᵏ − η·∇f(θ_G, θ_Dᵏ), with f what the discriminator minimises; the generator
    descends along ∂g(θ_G, θ_Dᴷ)/∂θ_G − ∂f(θ_G, θ_Dᴷ)/∂θ_Dᴷ · dθ_Dᴷ/dθ_G, with g its own loss. The discriminator takes
    one usual step at θ_D.
    Shapes: those of the usual game.
    Paper: arXiv:1611.02163, §2.2 to 2.4, where the game is zero-sum, g = −f; with the loss minimax this is the same.
    There, the discriminator is unrolled as Adam would move it; here by plain descent, as in the paper's formula, for a
    step of Adam without history has the sign of the gradient, which nothing differentiates.
    Recipe: the loss's own. `rate` is what helped on ring8 (nonsaturating, two layers of 64, batches of 128, learning
    rate 1e-3, K = 5, 1,500 steps, two seeds): 73 and 70 % of the samples came near a mode, with K = 0 58 and 64 %; with
    a rate of 0.1 training diverged.
    Traps: the unrolled steps are thrown away: the discriminator, its running statistics too, stays where its own
    updates left it. Without the gradient through the steps this would be a game against a later discriminator, and no
    cure for collapse. That gradient is of all that the discriminator minimises, real samples too: through g alone, the
    generator would win by leading the discriminator astray, up for all samples. All K steps see the same samples.
    Parameters: `steps` is K; 0 is the usual game; `rate` is η.
    """

    def __init__(self, steps: int = 5, rate: float = 0.02) -> None:
        if steps < 0:
            raise ChoiceError(f"unrolled: steps is {steps}, expected 0 or more")
        self.steps = steps
        self.rate = nonnegative("unrolled", "rate", rate)

    def disguise(self, scene: Scene) -> Terms:
        """What the loss says of the discriminator K steps later, and what follows from its steps: each term (N,)."""
        objective = objective_of(scene)
        fake = scene.networks["generator"](scene.latents)
        critic = Later.now(scene.networks["discriminator"])
        for _ in range(self.steps):
            terms = objective.discriminator(_forgetting(scene.game(fake, critic)))
            critic = critic.after(torch.stack([term.mean() for term in terms.values()]).sum(), self.rate)
        answer: dict[str, Tensor] = {}
        if self.steps:
            later = objective.discriminator(_forgetting(scene.game(fake.detach(), critic)))
            answer = {"answer": -torch.stack([*later.values()]).sum(dim=0)}
        # The game that comes last is the one whose memory is kept: the generator's, as in the usual game.
        return {**objective.generator(scene.game(fake, critic.held())), **answer}


@dataclass(frozen=True)
class Later:
    """A discriminator with weights that are not its own, and buffers that are copies: what a call leaves there goes."""

    network: nn.Module
    weights: Weights
    buffers: Weights

    @classmethod
    def now(cls, network: nn.Module) -> Later:
        """The discriminator as it stands."""
        weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        return cls(network, weights, {name: buffer.clone() for name, buffer in network.named_buffers()})

    def after(self, loss: Tensor, rate: float) -> Later:
        """As it is after one step down the gradient of `loss`, differentiable in all that `loss` depends on."""
        slopes = torch.autograd.grad(
            loss, list(self.weights.values()), create_graph=True, allow_unused=True, materialize_grads=True
        )
        moved = zip(self.weights.items(), slopes, strict=True)
        return replace(self, weights={name: weight - rate * slope for (name, weight), slope in moved})

    def held(self) -> Later:
        """The same, as if its weights depended on nothing."""
        return replace(self, weights={name: weight.detach() for name, weight in self.weights.items()})

    def __call__(self, samples: Tensor) -> Tensor:
        """Samples (N, *shape) to logits."""
        logits: Tensor = functional_call(self.network, {**self.weights, **self.buffers}, (samples,))
        return logits

    def judge(self, samples: Tensor) -> Mapping[str, Tensor]:
        """The logits and all heads of samples (N, *shape)."""
        stand_in = {f"network.{name}": tensor for name, tensor in {**self.weights, **self.buffers}.items()}
        heads: Mapping[str, Tensor] = functional_call(_Judging(self.network), stand_in, (samples,))
        return heads


class _Judging(nn.Module):
    """A network whose `judge` is called as `forward`, since weights can be exchanged only for that."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: Tensor) -> Mapping[str, Tensor]:
        heads: Mapping[str, Tensor] = self.network.judge(samples)  # type: ignore[operator]
        return heads


def _forgetting(game: Game) -> Game:
    """The same game, in which what a part remembers does not outlast it: a step that is thrown away leaves nothing."""
    return replace(game, memory=dict(game.memory))
