"""A plugin file whose loss waits as long as a file is there: time for a test to do what it likes to the trial."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ganbench import Component, hookimpl


@hookimpl
def ganbench_losses():
    yield Component("patient", ":Patient", summary="A Wasserstein loss that waits while its gate is there")


class Patient:
    """f − r for the discriminator, −f for the generator, once the file at `gate` is gone."""

    def __init__(self, gate: str) -> None:
        self.gate = Path(gate)

    def discriminator(self, game):
        if self.gate.exists():
            self.gate.write_text(f"{os.getpid()}\n")
        while self.gate.exists():
            time.sleep(0.02)
        return {"adversarial": game.critic(game.fake) - game.critic(game.real)}

    def generator(self, game):
        return {"adversarial": -game.critic(game.fake)}
