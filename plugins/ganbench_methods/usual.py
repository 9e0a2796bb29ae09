"""What methods have in common that change the generator's update alone, and leave the usual game as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from ganbench.protocols import Turn

if TYPE_CHECKING:
    from ganbench.protocols import Loss, Scene, Terms


class UsualGame(ABC):
    """The two networks of the usual game; `disguise` is the generator's turn."""

    def networks(self, make: Callable[..., nn.Module], latent_dim: int, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The discriminator as it is."""
        return {"discriminator": make(shape)}

    def turns(self) -> tuple[Turn, ...]:
        """The usual two."""
        return (
            Turn("discriminator", ("discriminator",), "discriminator", self.criticism, every_batch=True),
            Turn("generator", ("generator",), "generator", self.disguise),
        )

    def criticism(self, scene: Scene) -> Terms:
        """What the loss says to the discriminator of all fakes: each term (N,)."""
        with torch.no_grad():
            fake = scene.networks["generator"](scene.latents)
        return objective_of(scene).discriminator(scene.game(fake, scene.networks["discriminator"]))

    @abstractmethod
    def disguise(self, scene: Scene) -> Terms:
        """What the generator minimises: each term (N,)."""


def objective_of(scene: Scene) -> Loss:
    """The loss that the method was added to."""
    assert scene.objective is not None  # a plan without a loss is refused
    return scene.objective
