"""Real samples for training: each seed's own random order, gathered and mirrored on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ganbench.datasets import as_input
from ganbench.players import wants_channels_last
from ganbench.seeding import stream
from ganbench.states import State, random_states, restore_random


class Order:
    """The order in which one seed sees the samples: random in each epoch, whose last part runs into the next."""

    def __init__(self, count: int, batch_size: int, rng: torch.Generator) -> None:
        self._count = count
        self._batch_size = batch_size
        self._rng = rng
        self._order = torch.empty(0, dtype=torch.int64, device=rng.device)
        self._position = 0

    def next(self) -> Tensor:
        """The indices of the next batch: (batch_size,)."""
        while self._position + self._batch_size > len(self._order):
            epoch = torch.randperm(self._count, generator=self._rng, device=self._rng.device)
            self._order = torch.cat([self._order[self._position :], epoch])
            self._position = 0
        chosen = self._order[self._position : self._position + self._batch_size]
        self._position += self._batch_size
        return chosen

    def state(self) -> State:
        """Which samples are still to come in this epoch, and what decides the next ones."""
        return {"left": self._order[self._position :], "rng": self._rng.get_state()}

    def restore(self, state: State) -> None:
        """Go on from there."""
        self._order, self._position = state["left"].to(self._rng.device), 0
        self._rng.set_state(state["rng"])


class Batches:
    """Real samples on the device for one seed, or for several at once, as networks see them.

    `samples` are (N, C, H, W) uint8 or (N, D) float32, `labels` (N,) or None. With `flips`, images are mirrored left to
    right with probability ½. With `together`, what is given has a first axis for the seeds.
    """

    def __init__(
        self,
        samples: Tensor,
        labels: Tensor | None,
        batch_size: int,
        seeds: Sequence[int],
        *,
        together: bool = False,
        flips: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        device = samples.device
        self._samples = samples
        self._labels = labels
        self._dtype = dtype
        self._together = together
        self._orders = [Order(len(samples), batch_size, stream(seed, "data", device)) for seed in seeds]
        self._coins = [stream(seed, "flips", device) for seed in seeds] if flips else []
        self._format = torch.channels_last if wants_channels_last(tuple(samples.shape[1:])) else torch.contiguous_format

    @property
    def generators(self) -> list[torch.Generator]:
        """What `take` draws from."""
        return self._coins

    def state(self) -> State:
        """Where each seed is in its order, and in its coins."""
        return {"orders": [order.state() for order in self._orders], "coins": random_states(self._coins)}

    def restore(self, state: State) -> None:
        """Go on from there."""
        for order, saved in zip(self._orders, state["orders"], strict=True):
            order.restore(saved)
        restore_random(self._coins, state["coins"])

    def choose(self) -> Tensor:
        """Which samples are next: (batch_size,), or (seeds, batch_size)."""
        chosen = [order.next() for order in self._orders]
        return torch.stack(chosen) if self._together else chosen[0]

    def take(self, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
        """Those samples as networks see them, and their labels: (…, batch_size, *shape) and (…, batch_size)."""
        rows = self._samples.index_select(0, chosen.flatten())
        samples = rows.reshape(*chosen.shape, *rows.shape[1:])
        if self._coins:
            samples = self._mirrored(samples)
        real = as_input(samples).to(self._dtype)
        if self._format is torch.channels_last and not self._together:
            real = real.contiguous(memory_format=torch.channels_last)
        return real, None if self._labels is None else self._labels[chosen]

    def _mirrored(self, samples: Tensor) -> Tensor:
        size, device = samples.shape[-4], samples.device
        coins = torch.stack([torch.rand(size, generator=rng, device=device) for rng in self._coins]) < 0.5
        coins = coins.reshape(*samples.shape[:-3], 1, 1, 1)
        return torch.where(coins, samples.flip(-1), samples)
